import { isMapping } from './document.js';
import { REDACTED, showKey, showValue } from './faults.js';
import type { FaultList } from './faults.js';
import type { Format } from './formats.js';

/**
 * One mapping inside a list of the file: hands out checked values, notes a fault for each bad one, and at the end
 * for each key nobody asked for.
 */
export class Section {
  readonly path: string;
  readonly faults: FaultList;
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #known = new Set<string>();

  private constructor(path: string, values: Readonly<Record<string, unknown>>, faults: FaultList) {
    this.path = path;
    this.faults = faults;
    this.#values = values;
  }

  /** Undefined, and a fault, if `value` is no mapping. */
  static of(path: string, value: unknown, faults: FaultList): Section | undefined {
    if (isMapping(value)) return new Section(path, value, faults);
    faults.add({ path, message: 'expected a mapping', value: showValue(value) });
    return undefined;
  }

  /** Whether the key is there at all, right or wrong. */
  has(key: string): boolean {
    this.#known.add(key);
    return Object.hasOwn(this.#values, key);
  }

  /** Every key there is, in the order of the file. */
  keys(): string[] {
    return Object.keys(this.#values);
  }

  /** The value as the file has it; undefined if it is not there. */
  raw(key: string): unknown {
    return this.has(key) ? this.#values[key] : undefined;
  }

  /** The value; undefined if it is not there, or not of this format (and then a fault). */
  read<T>(key: string, format: Format<T>, options: { secret?: boolean } = {}): T | undefined {
    if (!this.has(key)) return undefined;
    const value = this.#values[key];
    const parsed = format.parse(value);
    if (parsed === undefined) {
      const shown = options.secret === true ? REDACTED : showValue(value);
      this.fault(key, `expected ${format.what}`, { value: shown, allowed: format.allowed });
    }
    return parsed;
  }

  /** The mapping at `key`; undefined if it is not there, or no mapping (and then a fault). */
  child(key: string): Section | undefined {
    return this.has(key) ? Section.of(this.#pathOf(key), this.#values[key], this.faults) : undefined;
  }

  /** Notes a fault at `key`, or at the mapping itself if `key` is empty. */
  fault(key: string, message: string, details: { value?: string; allowed?: string } = {}): void {
    this.faults.add({ path: this.#pathOf(key), message, ...details });
  }

  /** Exactly one of `keys` must be there: that one, or undefined and a fault. */
  exactlyOne<K extends string>(keys: readonly K[]): K | undefined {
    const present = keys.filter((key) => this.has(key));
    if (present.length === 1) return present[0];
    const found = present.length === 0 ? 'none' : present.join(', ');
    this.fault('', 'needs exactly one of several keys', { value: found, allowed: keys.join(', ') });
    return undefined;
  }

  /** To be called last: every key that was not asked for is a fault. The value is not shown; it may be a secret. */
  end(): void {
    for (const key of Object.keys(this.#values)) {
      if (!this.#known.has(key)) this.fault(showKey(key), 'unknown key', { allowed: [...this.#known].join(', ') });
    }
  }

  #pathOf(key: string): string {
    return key === '' ? this.path : `${this.path}.${key}`;
  }
}
