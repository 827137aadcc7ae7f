/** How much of something each source has; one that has none costs nothing. */
export class SourceCounts {
  readonly #counts = new Map<string, number>();

  of(source: string): number {
    return this.#counts.get(source) ?? 0;
  }

  /** `amount` may be negative, where something is given back. */
  add(source: string, amount = 1): void {
    const left = this.of(source) + amount;
    if (left > 0) this.#counts.set(source, left);
    else this.#counts.delete(source);
  }
}
