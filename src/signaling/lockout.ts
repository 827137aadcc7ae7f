import type { Clock } from '../clock.js';

const MAX_ATTEMPTS = 10;
const LOCK_MS = 10 * 60_000;
/** Sources remembered. More of them at once than this do not come from guessing at one machine. */
const MAX_SOURCES = 10_000;

interface Source {
  failures: number;
  /** When its failures are forgotten, and its lock with them. */
  untilMs: number;
}

/** Locks out who guesses passwords: a source with too many failures in a row, for a while after the last one. */
export class Lockout {
  static readonly maxAttempts = MAX_ATTEMPTS;
  static readonly lockMs = LOCK_MS;
  readonly #clock: Clock;
  /** The one that failed longest ago first. */
  readonly #sources = new Map<string, Source>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#sources.size;
  }

  isLocked(address: string): boolean {
    return (this.#current(address)?.failures ?? 0) >= MAX_ATTEMPTS;
  }

  /** True when this one locks the source. */
  failed(address: string): boolean {
    const failures = (this.#current(address)?.failures ?? 0) + 1;
    this.#sources.delete(address);
    const [oldest] = this.#sources.keys();
    if (this.#sources.size >= MAX_SOURCES && oldest !== undefined) this.#sources.delete(oldest);
    this.#sources.set(address, { failures, untilMs: this.#clock.nowMs() + LOCK_MS });
    return failures === MAX_ATTEMPTS;
  }

  /** One phone's right password does not excuse another's wrong ones for ever, but for now. */
  succeeded(address: string): void {
    this.#sources.delete(address);
  }

  #current(address: string): Source | undefined {
    const source = this.#sources.get(address);
    if (!source || source.untilMs > this.#clock.nowMs()) return source;
    this.#sources.delete(address);
    return undefined;
  }
}
