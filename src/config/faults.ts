/** One thing wrong with the configuration. */
export interface Fault {
  /** `sip.listen[0]`, `routes[2].agentId`; for a file that cannot be read, `bridge.yaml:12:3`. */
  readonly path: string;
  readonly message: string;
  /** What was given, ready to print: shortened, and `[redacted]` if it may be a secret. */
  readonly value?: string;
  /** The environment variable or option that gave it; absent when the file did. */
  readonly from?: string;
  /** What would have been accepted. */
  readonly allowed?: string;
}

/** Every fault of a configuration at once. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly Fault[];

  constructor(faults: readonly Fault[]) {
    super(faults.map(formatFault).join('\n'));
    this.faults = faults;
  }
}

/** What is printed instead of a secret. */
export const REDACTED = '[redacted]';

/** A hostile or absurd file does not get to print a thousand pages. */
const MAX_FAULTS = 100;
const MAX_SHOWN_LENGTH = 80;

/** Collects faults while the reading goes on. */
export class FaultList {
  readonly #faults: Fault[] = [];
  #leftOut = 0;
  readonly #warnings: string[] = [];

  add(fault: Fault): void {
    if (this.#faults.length < MAX_FAULTS) this.#faults.push(fault);
    else this.#leftOut++;
  }

  /** What is allowed but probably not meant, a sentence. */
  warn(sentence: string): void {
    this.#warnings.push(sentence);
  }

  get warnings(): readonly string[] {
    return this.#warnings;
  }

  /** Whether `path`, or anything inside it, has been found faulty. */
  has(path: string): boolean {
    return this.#faults.some((fault) => fault.path.startsWith(path) && /^([.[]|$)/.test(fault.path.slice(path.length)));
  }

  /** Throws a `ConfigError` if there is any. */
  throwIfAny(): void {
    if (this.#faults.length === 0) return;
    const more = { path: 'and more', message: `${this.#leftOut} further faults are not shown` };
    throw new ConfigError(this.#leftOut > 0 ? [...this.#faults, more] : this.#faults);
  }
}

/** `path: message (got …; allowed …)`, on one line whatever the value holds. */
export function formatFault(fault: Fault): string {
  const details: string[] = [];
  if (fault.value !== undefined) details.push(`got ${fault.value}${fault.from ? ` from ${fault.from}` : ''}`);
  if (fault.allowed !== undefined) details.push(`allowed: ${fault.allowed}`);
  return `${fault.path}: ${fault.message}${details.length > 0 ? ` (${details.join('; ')})` : ''}`;
}

/** A value as a fault shows it: JSON, shortened, without the credentials a URL may carry. */
export function showValue(value: unknown): string {
  const json = JSON.stringify(value).replace(/\/\/[^/@]*@/, `//${REDACTED}@`);
  return json.length > MAX_SHOWN_LENGTH ? `${json.slice(0, MAX_SHOWN_LENGTH)}…` : json;
}

/** A key of a file as part of a path: as it is, or quoted when it would not read as one word. */
export function showKey(key: string): string {
  return /^[\w-]{1,64}$/.test(key) ? key : showValue(key);
}
