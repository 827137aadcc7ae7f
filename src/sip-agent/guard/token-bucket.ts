/** What may come at once after a pause, in seconds' worth of the rate. */
const BURST_SEC = 2;
/** What beyond that is refused rather than ignored, likewise. */
const REFUSED_SEC = 1;
const LOG_INTERVAL_MS = 60_000;

export type RateVerdict = 'take' | 'refuse' | 'ignore';

/** How many requests a second are taken, after a pause some more at once (token bucket). */
export class TokenBucket {
  readonly #perSec: number;
  /** Below 1 requests are refused, far below 0 ignored. */
  #tokens: number;
  #atMs: number;
  #loggedAtMs = -Infinity;

  constructor(perSec: number, nowMs: number) {
    this.#perSec = perSec;
    this.#tokens = BURST_SEC * perSec;
    this.#atMs = nowMs;
  }

  judge(nowMs: number): RateVerdict {
    const earned = ((nowMs - this.#atMs) / 1_000) * this.#perSec;
    this.#tokens = Math.min(BURST_SEC * this.#perSec, this.#tokens + earned);
    this.#atMs = nowMs;
    if (this.#tokens < 1 - REFUSED_SEC * this.#perSec) return 'ignore';
    // What is refused is answered, and is paid for as well, down to a floor.
    this.#tokens -= 1;
    return this.#tokens >= 0 ? 'take' : 'refuse';
  }

  /** Whether the log is to be told now that something was not taken: once a minute. */
  mayLog(nowMs: number): boolean {
    if (nowMs - this.#loggedAtMs < LOG_INTERVAL_MS) return false;
    this.#loggedAtMs = nowMs;
    return true;
  }
}
