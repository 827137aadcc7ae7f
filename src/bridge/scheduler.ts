import type { CancelTimer, Clock } from '../clock.js';

export const TICK_MS = 20;

/** Missed ticks made up for at once after the event loop was blocked; more than that would only burst into the peer. */
const MAX_CATCH_UP_TICKS = 5;

/** The ticks of a period are spread over this many instants, so that 200 calls do not all send in the same millisecond. */
const PHASES = 10;
const PHASE_MS = TICK_MS / PHASES;

/** Something that happens every 20 ms of a call. */
export interface Ticking {
  tick(nowMs: number): void;
  /** `ticks` periods were missed beyond what is made up for: time went by without a tick. */
  skip(ticks: number): void;
}

interface Phase {
  readonly members: Set<Ticking>;
  /** Number of the last period run, counted from the origin. */
  lastPeriod: number;
}

/**
 * One timer for all calls of a thread. Due times come from a monotonic origin, so a timer that fires late never makes
 * the next one late: 20 ms stay 20 ms over hours, where `setInterval` runs 0.6 % slow.
 */
export class Scheduler {
  readonly #clock: Clock;
  readonly #afterPolling: (run: () => void) => void;
  readonly #originMs: number;
  readonly #phases: Phase[];
  #cancelTimer: CancelTimer | undefined;
  /** The timer fired and the sockets are being read first. */
  #polling = false;
  #members = 0;

  /**
   * `afterPolling` runs a callback once the packets already waiting in sockets have been read; without it, after a
   * blocked event loop, a tick would take the place of packets that did come in time.
   */
  constructor(clock: Clock, afterPolling: (run: () => void) => void = setImmediate) {
    this.#clock = clock;
    this.#afterPolling = afterPolling;
    // Whole milliseconds, so that a due time reached is never a rounding error short of its period.
    this.#originMs = Math.floor(clock.nowMs());
    this.#phases = Array.from({ length: PHASES }, () => ({ members: new Set<Ticking>(), lastPeriod: 0 }));
  }

  get size(): number {
    return this.#members;
  }

  /** Ticks `member` every 20 ms, in the emptiest phase, until the returned function is called. */
  add(member: Ticking): () => void {
    const phase = this.#emptiestPhase();
    if (phase.members.size === 0) phase.lastPeriod = this.#periodOf(phase, this.#clock.nowMs());
    phase.members.add(member);
    this.#members += 1;
    // The new member may be due before those the timer was set for.
    this.#disarm();
    this.#arm();
    return () => {
      if (!phase.members.delete(member)) return;
      this.#members -= 1;
      if (this.#members === 0) this.#disarm();
    };
  }

  #emptiestPhase(): Phase {
    return this.#phases.reduce((least, phase) => (phase.members.size < least.members.size ? phase : least));
  }

  #offsetMs(phase: Phase): number {
    return this.#originMs + this.#phases.indexOf(phase) * PHASE_MS;
  }

  #periodOf(phase: Phase, nowMs: number): number {
    return Math.floor((nowMs - this.#offsetMs(phase)) / TICK_MS);
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #arm(): void {
    if (this.#cancelTimer || this.#polling || this.#members === 0) return;
    let dueMs = Infinity;
    for (const phase of this.#phases) {
      if (phase.members.size > 0) dueMs = Math.min(dueMs, this.#offsetMs(phase) + (phase.lastPeriod + 1) * TICK_MS);
    }
    const delayMs = Math.max(0, dueMs - this.#clock.nowMs());
    this.#cancelTimer = this.#clock.after(Math.ceil(delayMs), () => {
      this.#cancelTimer = undefined;
      this.#polling = true;
      this.#afterPolling(() => {
        this.#polling = false;
        this.#run();
        this.#arm();
      });
    });
  }

  #run(): void {
    const nowMs = this.#clock.nowMs();
    for (const phase of this.#phases) {
      if (phase.members.size === 0) continue;
      const period = this.#periodOf(phase, nowMs);
      const missed = period - phase.lastPeriod;
      phase.lastPeriod = period;
      if (missed > 0) runPhase(phase, missed, nowMs);
    }
  }
}

function runPhase(phase: Phase, missed: number, nowMs: number): void {
  const ticks = Math.min(missed, MAX_CATCH_UP_TICKS);
  for (const member of phase.members) {
    if (missed > ticks) member.skip(missed - ticks);
    // A member may leave in the middle of its own catching up.
    for (let i = 0; i < ticks && phase.members.has(member); i++) member.tick(nowMs);
  }
}
