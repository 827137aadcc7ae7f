import { LRUCache } from 'lru-cache';
import type { AgentLogger, AgentClock } from '../environment.js';
import { TokenBucket, type RateVerdict } from './token-bucket.js';

/** Sources remembered; a forgotten one starts again with a full bucket. */
const MAX_SOURCES = 10_000;

/** Rate limit (token bucket) for each source, so that one faulty source does not affect the others. */
export class RequestRates {
  readonly #perSec: number;
  readonly #clock: AgentClock;
  readonly #logger: AgentLogger;
  readonly #buckets = new LRUCache<string, TokenBucket>({ max: MAX_SOURCES });
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
    const known = this.#buckets.get(address);
    if (known) return known;
    const bucket = new TokenBucket(this.#perSec, nowMs);
    this.#buckets.set(address, bucket);
    return bucket;
  }
}
