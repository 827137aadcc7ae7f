import { SourceCounts } from '../transport/source-counts.js';

/** Limits the octets a table may hold: in total, and for each source, so that one source cannot take all of them. */
export class OctetBudget {
  readonly #max: number;
  readonly #maxPerSource: number;
  #total = 0;
  readonly #bySource = new SourceCounts();

  constructor(max: number, maxPerSource: number) {
    this.#max = max;
    this.#maxPerSource = maxPerSource;
  }

  /** Octets held at present. */
  get octets(): number {
    return this.#total;
  }

  /** Whether the table is full. `stretch` multiplies the limit: above 1 for requests that must not be refused early. */
  isFull(stretch: number): boolean {
    return this.#total >= this.#max * stretch;
  }

  /** Whether the share of one source is used up; `stretch` as above. */
  isFullFor(source: string, stretch: number): boolean {
    return this.#bySource.of(source) >= this.#maxPerSource * stretch;
  }

  /** Adds octets; a negative number gives them back. */
  take(source: string, octets: number): void {
    this.#total += octets;
    this.#bySource.add(source, octets);
  }
}
