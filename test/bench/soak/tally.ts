const MAX_NAMES = 20;

/** How often each of a few things happened. Beyond a number of names the rest are one: a soak must not grow itself. */
export class Tally {
  readonly #counts = new Map<string, number>();

  add(name: string): void {
    const counted = this.#counts.has(name) || this.#counts.size < MAX_NAMES ? name : 'others';
    this.#counts.set(counted, this.of(counted) + 1);
  }

  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  /** "3 × one thing, 1 × another"; "none" of nothing. */
  toString(): string {
    return this.total === 0 ? 'none' : [...this.#counts].map(([name, count]) => `${count} × ${name}`).join(', ');
  }
}
