import type { AgentLogger, Clock } from './environment.js';

const LOG_INTERVAL_MS = 60_000;
/** Sources remembered; with more of them at once some are logged again too soon. */
const MAX_SOURCES = 1_000;

/** Counts requests from sources that are not allowed, and logs each source at most once a minute. */
export class ForbiddenLog {
  readonly #clock: Clock;
  readonly #logger: AgentLogger;
  /** When a source was last logged, oldest first. */
  readonly #loggedAtMs = new Map<string, number>();
  #count = 0;

  constructor(clock: Clock, logger: AgentLogger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  get count(): number {
    return this.#count;
  }

  note(address: string, method: string): void {
    this.#count++;
    const nowMs = this.#clock.nowMs();
    const lastMs = this.#loggedAtMs.get(address);
    if (lastMs !== undefined && nowMs - lastMs < LOG_INTERVAL_MS) return;
    this.#remember(address, nowMs);
    this.#logger.warn({ event: 'sip.forbidden', address, method });
  }

  #remember(address: string, nowMs: number): void {
    this.#loggedAtMs.delete(address);
    const [oldest] = this.#loggedAtMs.keys();
    if (this.#loggedAtMs.size >= MAX_SOURCES && oldest !== undefined) this.#loggedAtMs.delete(oldest);
    this.#loggedAtMs.set(address, nowMs);
  }
}
