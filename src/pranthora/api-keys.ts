/**
 * The keys a conversation may show, one at a time: the next one when the one shown is refused, until all have been.
 * While Pranthora's customer replaces a key, two are good for some time, and each of them for all but that time.
 */
export class ApiKeys {
  #keys: readonly string[];
  #current: string;
  readonly #refused = new Set<string>();

  constructor(keys: readonly string[]) {
    this.#keys = keys;
    this.#current = keys[0] ?? '';
  }

  /** What to show now; '' without keys. */
  get current(): string {
    return this.#current;
  }

  /** Others are configured: they are shown from the next time on. */
  renew(keys: readonly string[]): void {
    const isSame = keys.length === this.#keys.length && keys.every((key, index) => key === this.#keys[index]);
    if (isSame || keys.length === 0) return;
    this.#keys = keys;
    this.#current = keys[0] ?? '';
    this.#refused.clear();
  }

  /** @param shown the key that was refused. @returns whether there is one left to show, `current` from now on. */
  refuse(shown: string): boolean {
    this.#refused.add(shown);
    const next = this.#keys.find((key) => !this.#refused.has(key));
    if (next === undefined) return false;
    this.#current = next;
    return true;
  }

  /** The conversation goes well: a refusal after this is news about the key shown, and not about the others. */
  accept(): void {
    this.#refused.clear();
  }
}
