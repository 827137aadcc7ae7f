import type { AgentClock } from '../environment.js';

const INTERVAL_MS = 60_000;
/** Keys remembered; with more of them at once some are let through again too soon. */
const MAX_KEYS = 1_000;

/** Lets a thing be logged once a minute, whoever else makes it happen how often. */
export class LogThrottle {
  readonly #clock: AgentClock;
  /** When a key was last let through, oldest first. */
  readonly #passedAtMs = new Map<string, number>();

  constructor(clock: AgentClock) {
    this.#clock = clock;
  }

  /** Whether what `key` stands for is to be logged now. */
  passes(key: string): boolean {
    const nowMs = this.#clock.nowMs();
    const lastMs = this.#passedAtMs.get(key);
    if (lastMs !== undefined && nowMs - lastMs < INTERVAL_MS) return false;
    this.#passedAtMs.delete(key);
    const [oldest] = this.#passedAtMs.keys();
    if (this.#passedAtMs.size >= MAX_KEYS && oldest !== undefined) this.#passedAtMs.delete(oldest);
    this.#passedAtMs.set(key, nowMs);
    return true;
  }
}

/** Kinds of trouble one thing can have; more are not told apart. */
const MAX_REASONS = 16;

/** Writes each reason once only: a socket in trouble says the same again and again. */
export function logOnce(write: (reason: string) => void): (reason: string) => void {
  const written = new Set<string>();
  return (reason) => {
    if (written.has(reason) || written.size >= MAX_REASONS) return;
    written.add(reason);
    write(reason);
  };
}
