import { SourceCounts } from '../transport/source-counts.js';

/** How many octets a table may hold: all of it, and what belongs to one source, which shall not take all from the others. */
export class OctetBudget {
  readonly #max: number;
  readonly #maxPerSource: number;
  #total = 0;
  readonly #bySource = new SourceCounts();

  constructor(max: number, maxPerSource: number) {
    this.#max = max;
    this.#maxPerSource = maxPerSource;
  }

  /** Held at present. */
  get octets(): number {
    return this.#total;
  }

  /** Whether there is no room left. `stretch`: 1, or more for what must not be refused easily. */
  isFull(stretch: number): boolean {
    return this.#total >= this.#max * stretch;
  }

  /** Whether the source has taken all that one may; likewise. */
  isFullFor(source: string, stretch: number): boolean {
    return this.#bySource.of(source) >= this.#maxPerSource * stretch;
  }

  /** Takes octets, or gives them back where the number is negative. */
  take(source: string, octets: number): void {
    this.#total += octets;
    this.#bySource.add(source, octets);
  }
}
