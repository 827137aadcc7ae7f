/** Many figures of one kind, kept without an allocation for each: up to a limit, then every other one, and so on. */
export class Samples {
  readonly #values: Float64Array;
  #length = 0;
  #every = 1;
  #count = 0;
  #max = -Infinity;

  constructor(capacity = 65_536) {
    this.#values = new Float64Array(capacity);
  }

  get count(): number {
    return this.#count;
  }

  add(value: number): void {
    this.#max = Math.max(this.#max, value);
    if (this.#count++ % this.#every !== 0) return;
    if (this.#length === this.#values.length) this.#thinOut();
    this.#values[this.#length++] = value;
  }

  spread(): Spread {
    const sorted = this.#values.slice(0, this.#length).sort();
    const at = (percent: number): number => sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? NaN;
    return { n: this.#count, p50: at(50), p95: at(95), p99: at(99), max: this.#count === 0 ? NaN : this.#max };
  }

  #thinOut(): void {
    this.#length /= 2;
    for (let i = 0; i < this.#length; i++) this.#values[i] = this.#values[2 * i] ?? 0;
    this.#every *= 2;
  }
}

/** Nearest rank; NaN of nothing. `max` is of all. */
export interface Spread {
  readonly n: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}
