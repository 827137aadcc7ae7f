const FRAME_MS = 20;

/**
 * How long after a packet is due something else takes its place. The tick that notices comes up to 20 ms later, and the
 * last frame was sent a packet's length before: at most 100 ms without a frame, when packets are of 20 ms. Where packets
 * come too late for that, the agent waits for 20 ms more rather than miss them.
 */
export const HOLD_MS = 60;
const MAX_HOLD_MS = 80;

/** The most punctual packet is looked for over this window: it tells the sender's clock from the network's delays. */
const WINDOW_MS = 5_000;

/**
 * A packet whose place has been filled is heard all the same if the agent then has no more than this too much: better a voice
 * drawn out, and a pause cut short afterwards, than a syllable lost.
 */
const MAX_EXTRA_MS = 30;

/** A sender this far ahead of time floods. As far behind it is no question of clocks; what is missing is then missing. */
const MAX_LEAD_MS = 100;
const MAX_LAG_MS = 80;

/**
 * A stream's place in time. `dueMs` is when all of it that has been passed would have come on a path without delay
 * variation; packets are early or late by that. And what the agent has got is compared with the time gone by: the two come
 * apart when the caller's clock is not ours, or the path becomes longer or shorter.
 */
export class LiveTimeline {
  #dueMs: number;
  #holdMs = HOLD_MS;
  #windowEndsMs: number;
  /** In this window: the least that a packet was late, the most that the agent seemed ahead, and whether one was too late. */
  #earliestMs = Infinity;
  #mostLeadMs = -Infinity;
  #wasTooLate = false;
  #leadMs = 0;
  #errorMs = 0;
  #hasBegun = false;
  #hasOrigin = false;

  constructor(nowMs: number) {
    this.#dueMs = nowMs - HOLD_MS - FRAME_MS;
    this.#windowEndsMs = nowMs + WINDOW_MS;
  }

  /** A packet has come. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** How much the agent has got too much, as it seems: a packet that is late makes it seem less. */
  get leadMs(): number {
    return this.#leadMs;
  }

  /** The same without the network's delays: what is to be taken out or, with a minus, put in. */
  get errorMs(): number {
    return this.#errorMs;
  }

  /** How long `nowMs` is after the end of the next `aheadMs` was due. */
  latenessMs(nowMs: number, aheadMs: number): number {
    return nowMs - this.#dueMs - aheadMs;
  }

  /** How long ago a packet of `packetMs` should have come, waiting for it included. */
  overdueMs(nowMs: number, packetMs: number): number {
    return this.latenessMs(nowMs, packetMs) - this.#holdMs;
  }

  /** Whether a packet this late is part of a backlog, not of the conversation. */
  isTooLate(latenessMs: number): boolean {
    return latenessMs > this.#holdMs + FRAME_MS;
  }

  /** Whether a packet of which `extraMs` have been filled already may be heard from its beginning. */
  mayRewind(extraMs: number, latenessMs: number): boolean {
    return extraMs > 0 && this.#leadMs + extraMs <= MAX_EXTRA_MS && latenessMs <= MAX_HOLD_MS + FRAME_MS;
  }

  /** Whether a packet this late, or early, is more than a sender that is not mad would have sent by now. */
  isFlood(latenessMs: number): boolean {
    return this.#hasBegun && this.#leadMs - latenessMs > MAX_LEAD_MS;
  }

  /** The stream's place moves on. */
  advance(ms: number): void {
    this.#dueMs += ms;
  }

  /** Takes a packet's lateness. */
  observe(latenessMs: number): void {
    this.#earliestMs = Math.min(this.#earliestMs, latenessMs);
    if (latenessMs < 0) this.#moveDue(latenessMs);
    this.#mostLeadMs = Math.max(this.#mostLeadMs, this.#leadMs);
  }

  /** The next packet, `latenessMs` late, is on time by definition. */
  begin(latenessMs: number): void {
    this.#moveDue(latenessMs);
    if (!this.#hasBegun) this.#leadMs = 0;
    this.#hasBegun = true;
    this.#settle();
  }

  /** The agent is going to get `ms` for which no time goes by, or with a minus, time goes by for which it gets nothing. */
  give(ms: number): void {
    this.#changeLead(ms);
  }

  /** The same, where it is known to be the whole error there is. */
  makeUp(ms: number): void {
    this.#leadMs += ms;
    this.#settle();
  }

  /** Goes back by what had been put in place of a late packet. */
  rewind(extraMs: number, latenessMs: number): void {
    this.tooLate(latenessMs);
    this.advance(-extraMs);
    this.#changeLead(extraMs);
    this.#errorMs += extraMs;
    this.#moveDue(latenessMs);
  }

  /** A packet came after its place had been filled: if waiting would have helped, the next one is waited for. */
  tooLate(latenessMs: number): void {
    if (latenessMs > MAX_HOLD_MS + FRAME_MS) return;
    this.#holdMs = Math.min(MAX_HOLD_MS, this.#holdMs + FRAME_MS);
    this.#wasTooLate = true;
  }

  /** The agent has been given so much more, or with a minus, less. */
  corrected(byMs: number): void {
    this.#leadMs += byMs;
    this.#mostLeadMs += byMs;
    this.#errorMs += byMs;
  }

  /** Every 20 ms. */
  tick(nowMs: number): void {
    if (nowMs < this.#windowEndsMs) return;
    // The sender's clock is slower than ours, or its path longer, by what even its most punctual packet was late.
    const laterMs = this.#earliestMs < Infinity ? Math.max(0, this.#earliestMs) : 0;
    this.#moveDue(laterMs);
    if (this.#mostLeadMs > -Infinity) this.#judge(this.#mostLeadMs - laterMs);
    if (!this.#wasTooLate) this.#holdMs = Math.max(HOLD_MS, this.#holdMs - FRAME_MS);
    this.#wasTooLate = false;
    this.#mostLeadMs = -Infinity;
    this.#earliestMs = Infinity;
    this.#windowEndsMs = nowMs + WINDOW_MS;
  }

  /** The first window shows what being on time is: the first packet may have been late itself. */
  #judge(mostLeadMs: number): void {
    if (this.#hasOrigin) this.#errorMs = mostLeadMs;
    else this.#leadMs -= mostLeadMs;
    this.#hasOrigin = true;
  }

  #settle(): void {
    this.#mostLeadMs = this.#leadMs;
    if (this.#hasOrigin) this.#errorMs = this.#leadMs;
  }

  /** The sender turns out to be earlier or later than thought: the agent has more or less than its time's worth. */
  #moveDue(byMs: number): void {
    this.#dueMs += byMs;
    this.#earliestMs -= byMs;
    this.#changeLead(-byMs);
  }

  #changeLead(byMs: number): void {
    this.#leadMs = Math.max(-MAX_LAG_MS, this.#leadMs + byMs);
  }
}
