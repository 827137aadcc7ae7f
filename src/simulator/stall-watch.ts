import type { CancelTimer, Clock } from '../clock.js';

/** How often the clock is looked at; what comes between two looks is a standstill from this much more on. */
const LOOK_MS = 10;
const MIN_STALL_MS = 30;
/** The latest are remembered: whoever asks, asks about the last moments. */
const REMEMBERED = 64;

interface Stall {
  readonly sinceMs: number;
  readonly untilMs: number;
}

/**
 * Event loop delay: notes when this thread stood still, so that who measures in it can tell what came late from what was
 * looked at late. One timer while it runs.
 */
export class StallWatch {
  readonly #clock: Clock;
  readonly #stalls: Stall[] = [];
  #lookedAtMs = 0;
  #longestMs = 0;
  #cancelTimer: CancelTimer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The longest standstill so far; 0 when there was none. */
  get longestMs(): number {
    return this.#longestMs;
  }

  start(): void {
    this.#lookedAtMs = this.#clock.nowMs();
    this.#lookAgain();
  }

  stop(): void {
    this.#cancelTimer?.();
  }

  /** How much of the time between the two this thread stood still. */
  stalledMs(sinceMs: number, untilMs: number): number {
    this.#look();
    return this.#stalls.reduce(
      (sum, stall) => sum + Math.max(0, Math.min(untilMs, stall.untilMs) - Math.max(sinceMs, stall.sinceMs)),
      0,
    );
  }

  #lookAgain(): void {
    this.#cancelTimer = this.#clock.after(LOOK_MS, () => {
      this.#look();
      this.#lookAgain();
    });
  }

  #look(): void {
    const nowMs = this.#clock.nowMs();
    const stalledMs = nowMs - this.#lookedAtMs - LOOK_MS;
    if (stalledMs >= MIN_STALL_MS) {
      this.#stalls.push({ sinceMs: this.#lookedAtMs, untilMs: nowMs });
      if (this.#stalls.length > REMEMBERED) this.#stalls.shift();
      this.#longestMs = Math.max(this.#longestMs, stalledMs);
    }
    this.#lookedAtMs = nowMs;
  }
}
