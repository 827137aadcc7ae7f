/**
 * Finds the name of a scanner in a User-Agent, ignoring case. A name matches whole words, of letters, digits, `-` and `_`:
 * `sipcli` matches `sipcli/v1.8` and not `SIPClient`. A name that ends in `/` matches that product alone, with or without a
 * version: `iwar/` matches `iWar/0.08` and `iWar`, not `Iwar Gateway 2`.
 */
export function scannerMatcher(names: readonly string[]): (userAgent: string) => string | undefined {
  const patterns = names.map((name) => ({ name, pattern: patternOf(name) }));
  return (userAgent) => patterns.find(({ pattern }) => pattern.test(userAgent))?.name;
}

function patternOf(name: string): RegExp {
  if (name.endsWith('/')) return new RegExp(`^\\s*${escaped(name.slice(0, -1))}\\s*(?:/|$)`, 'i');
  return new RegExp(`(?<![\\w-])${escaped(name)}(?![\\w-])`, 'i');
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

/** A scanner matcher whose names a reload can replace. */
export class ScannerNames {
  #find: (userAgent: string) => string | undefined;

  constructor(names: readonly string[]) {
    this.#find = scannerMatcher(names);
  }

  configure(names: readonly string[]): void {
    this.#find = scannerMatcher(names);
  }

  /** The name by which a User-Agent is refused, if it is. */
  readonly find = (userAgent: string): string | undefined => this.#find(userAgent);
}
