import type { AgentLogger, Clock } from './environment.js';

/** Sources remembered; one that is forgotten begins anew with a full bucket. */
const MAX_SOURCES = 10_000;
/** What may come at once after a pause, in seconds' worth of the rate. */
const BURST_SEC = 2;
/** What beyond that is refused rather than ignored, likewise. */
const REFUSED_SEC = 1;
const LOG_INTERVAL_MS = 60_000;

interface Bucket {
  /** Below 0 requests are refused. */
  tokens: number;
  atMs: number;
  loggedAtMs: number;
}

export type RateVerdict = 'take' | 'refuse' | 'ignore';

/** A token bucket for each source of requests, so that one that runs wild takes nothing from the others. */
export class RequestRates {
  readonly #perSec: number;
  readonly #clock: Clock;
  readonly #logger: AgentLogger;
  /** The one longest quiet first. */
  readonly #buckets = new Map<string, Bucket>();
  #limited = 0;

  constructor(perSec: number, clock: Clock, logger: AgentLogger) {
    this.#perSec = perSec;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Requests not taken, since the start. */
  get limited(): number {
    return this.#limited;
  }

  /** Sources remembered. */
  get sources(): number {
    return this.#buckets.size;
  }

  judge(address: string): RateVerdict {
    const bucket = this.#filled(address);
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1;
      return 'take';
    }
    this.#note(address, bucket);
    // What is refused is answered, and is paid for as well, down to a floor.
    if (bucket.tokens < 1 - REFUSED_SEC * this.#perSec) return 'ignore';
    bucket.tokens -= 1;
    return 'refuse';
  }

  #filled(address: string): Bucket {
    const nowMs = this.#clock.nowMs();
    const full = BURST_SEC * this.#perSec;
    const bucket = this.#buckets.get(address) ?? { tokens: full, atMs: nowMs, loggedAtMs: -Infinity };
    bucket.tokens = Math.min(full, bucket.tokens + ((nowMs - bucket.atMs) / 1_000) * this.#perSec);
    bucket.atMs = nowMs;
    this.#buckets.delete(address);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size >= MAX_SOURCES && oldest !== undefined) this.#buckets.delete(oldest);
    this.#buckets.set(address, bucket);
    return bucket;
  }

  #note(address: string, bucket: Bucket): void {
    this.#limited += 1;
    if (bucket.atMs - bucket.loggedAtMs < LOG_INTERVAL_MS) return;
    bucket.loggedAtMs = bucket.atMs;
    this.#logger.warn({ event: 'sip.rate_limited', address, perSec: this.#perSec });
  }
}
