/** Counts per source address; a source whose count is 0 takes no memory. */
export class SourceCounts {
  readonly #counts = new Map<string, number>();

  of(source: string): number {
    return this.#counts.get(source) ?? 0;
  }

  /** A negative `amount` gives something back. */
  add(source: string, amount = 1): void {
    const left = this.of(source) + amount;
    if (left > 0) this.#counts.set(source, left);
    else this.#counts.delete(source);
  }
}
