/** Burst after a pause, in seconds of the rate. */
const BURST_SEC = 2;
/** Requests beyond the burst that are refused before further ones are ignored, in seconds of the rate. */
const REFUSED_SEC = 1;
const LOG_INTERVAL_MS = 60_000;

export type RateVerdict = 'take' | 'refuse' | 'ignore';

/** Token bucket: accepts a number of requests a second, and a burst after a pause. */
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
    // A refusal costs a token too, down to a floor.
    this.#tokens -= 1;
    return this.#tokens >= 0 ? 'take' : 'refuse';
  }

  /** Whether a refusal is to be logged now: at most once a minute. */
  mayLog(nowMs: number): boolean {
    if (nowMs - this.#loggedAtMs < LOG_INTERVAL_MS) return false;
    this.#loggedAtMs = nowMs;
    return true;
  }
}
