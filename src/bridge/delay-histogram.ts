import type { DelaySummary } from './stats.js';

/** From 0.01 ms on, eight buckets an octave: a figure read from them is off by 5 % at most. */
const SMALLEST_MS = 0.01;
const BUCKETS_PER_OCTAVE = 8;
/** 21 octaves: up to twenty seconds. */
const BUCKETS = 21 * BUCKETS_PER_OCTAVE;

/** How delays are distributed, in fixed memory and without an allocation for each. */
export class DelayHistogram {
  readonly #counts = new Uint32Array(BUCKETS);
  #count = 0;
  #maxMs = 0;

  record(delayMs: number): void {
    const octaves = Math.log2(Math.max(delayMs, SMALLEST_MS) / SMALLEST_MS);
    const bucket = Math.min(BUCKETS - 1, Math.floor(octaves * BUCKETS_PER_OCTAVE));
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count += 1;
    this.#maxMs = Math.max(this.#maxMs, delayMs);
  }

  /** Undefined before the first. */
  get summary(): DelaySummary | undefined {
    if (this.#count === 0) return undefined;
    const maxMs = round(this.#maxMs);
    return { count: this.#count, p50Ms: this.#percentile(0.5), p95Ms: this.#percentile(0.95), maxMs };
  }

  #percentile(share: number): number {
    const rank = Math.ceil(share * this.#count);
    let seen = 0;
    let bucket = 0;
    for (; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket] ?? 0;
      if (seen >= rank) break;
    }
    // The middle of the bucket; no delay was longer than the longest.
    return round(Math.min(this.#maxMs, SMALLEST_MS * 2 ** ((bucket + 0.5) / BUCKETS_PER_OCTAVE)));
  }
}

const round = (ms: number): number => Math.round(ms * 100) / 100;
