/** How many octets a table may hold: all of it, and what belongs to one source, which shall not take all from the others. */
export class OctetBudget {
  readonly #max: number;
  readonly #maxPerSource: number;
  #total = 0;
  readonly #bySource = new Map<string, number>();

  constructor(max: number, maxPerSource: number) {
    this.#max = max;
    this.#maxPerSource = maxPerSource;
  }

  /** Held at present. */
  get octets(): number {
    return this.#total;
  }

  /** Whether the source has no room left. `stretch`: 1, or more for what must not be refused easily. */
  isFull(source: string, stretch: number): boolean {
    const ofSource = this.#bySource.get(source) ?? 0;
    return this.#total >= this.#max * stretch || ofSource >= this.#maxPerSource * stretch;
  }

  /** Takes octets, or gives them back where the number is negative. */
  take(source: string, octets: number): void {
    this.#total += octets;
    const left = (this.#bySource.get(source) ?? 0) + octets;
    if (left > 0) this.#bySource.set(source, left);
    else this.#bySource.delete(source);
  }
}
