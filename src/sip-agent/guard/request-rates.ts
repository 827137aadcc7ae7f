import type { AgentLogger, AgentClock } from '../environment.js';
import { TokenBucket, type RateVerdict } from './token-bucket.js';

/** Sources remembered; a forgotten one starts again with a full bucket. */
const MAX_SOURCES = 10_000;

/** Rate limit (token bucket) for each source, so that one faulty source does not affect the others. */
export class RequestRates {
  readonly #perSec: number;
  readonly #clock: AgentClock;
  readonly #logger: AgentLogger;
  /** Ordered by last use, oldest first. */
  readonly #buckets = new Map<string, TokenBucket>();
  #limited = 0;

  constructor(perSec: number, clock: AgentClock, logger: AgentLogger) {
    this.#perSec = perSec;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Requests not accepted, since the start. */
  get limited(): number {
    return this.#limited;
  }

  /** Sources remembered. */
  get sources(): number {
    return this.#buckets.size;
  }

  judge(address: string): RateVerdict {
    const nowMs = this.#clock.nowMs();
    const bucket = this.#bucketOf(address, nowMs);
    const verdict = bucket.judge(nowMs);
    if (verdict !== 'take') {
      this.#limited += 1;
      if (bucket.mayLog(nowMs)) this.#logger.warn({ event: 'sip.rate_limited', address, perSec: this.#perSec });
    }
    return verdict;
  }

  #bucketOf(address: string, nowMs: number): TokenBucket {
    const bucket = this.#buckets.get(address) ?? new TokenBucket(this.#perSec, nowMs);
    this.#buckets.delete(address);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size >= MAX_SOURCES && oldest !== undefined) this.#buckets.delete(oldest);
    this.#buckets.set(address, bucket);
    return bucket;
  }
}
