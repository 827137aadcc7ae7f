/**
 * Finds the name of a scanner in a User-Agent, whatever its case: as whole words, whose characters are letters, digits,
 * `-` and `_`, so that `sipcli` is in `sipcli/v1.8` and not in `SIPClient`. A name that ends in `/` is the product alone,
 * with a version or without: `iwar/` is `iWar/0.08` and `iWar`, not `Iwar Gateway 2`.
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

/** The names may be replaced while everybody who asks holds on to this. */
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
