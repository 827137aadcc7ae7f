import { LRUCache } from 'lru-cache';
import type { AgentClock } from '../environment.js';

const INTERVAL_MS = 60_000;
/** Keys remembered; with more of them at once some are logged again too early. */
const MAX_KEYS = 1_000;

/** Limits log lines to one a minute for each key. */
export class LogThrottle {
  readonly #clock: AgentClock;
  /** When each key passed last. Only passing counts as a use. */
  readonly #passedAtMs = new LRUCache<string, number>({ max: MAX_KEYS });

  constructor(clock: AgentClock) {
    this.#clock = clock;
  }

  /** Whether a line for `key` is to be logged now. */
  passes(key: string): boolean {
    const nowMs = this.#clock.nowMs();
    const lastMs = this.#passedAtMs.peek(key);
    if (lastMs !== undefined && nowMs - lastMs < INTERVAL_MS) return false;
    this.#passedAtMs.set(key, nowMs);
    return true;
  }
}

/** Different reasons logged by one `logOnce`; further ones are dropped. */
const MAX_REASONS = 16;

/** Writes each reason once: a failing socket reports the same error again and again. */
export function logOnce(write: (reason: string) => void): (reason: string) => void {
  const written = new Set<string>();
  return (reason) => {
    if (written.has(reason) || written.size >= MAX_REASONS) return;
    written.add(reason);
    write(reason);
  };
}
