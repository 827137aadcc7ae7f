import type { AgentLogger, StopTimer, AgentClock } from '../environment.js';

export interface LoadMeterOptions {
  readonly clock: AgentClock;
  readonly logger: AgentLogger;
  /** How late, on average, a timer may come before new work is turned away, in milliseconds. */
  readonly maxLagMs: number;
}

const PERIOD_MS = 100;
/** What one reading counts for: a single pause is forgotten, a lasting one is believed after about four. */
const WEIGHT = 0.25;

/**
 * Watches how late the event loop comes to what is due. Past a peer's T1, requests are answered so late that they come
 * again, which makes it later still: from there on new ones are better turned away (RFC 3261 section 21.5.4).
 */
export class LoadMeter {
  readonly #options: LoadMeterOptions;
  #lagMs = 0;
  #overloaded = false;
  #cancel: StopTimer = () => undefined;

  constructor(options: LoadMeterOptions) {
    this.#options = options;
  }

  get overloaded(): boolean {
    return this.#overloaded;
  }

  /** Begins to watch, until `stop`. */
  start(): void {
    const { clock } = this.#options;
    const dueMs = clock.nowMs() + PERIOD_MS;
    this.#cancel = clock.after(PERIOD_MS, () => {
      this.#take(clock.nowMs() - dueMs);
      this.start();
    });
  }

  stop(): void {
    this.#cancel();
  }

  #take(lagMs: number): void {
    const { logger, maxLagMs } = this.#options;
    this.#lagMs += WEIGHT * (lagMs - this.#lagMs);
    // It has to be well over before it counts as over.
    const overloaded = this.#lagMs > (this.#overloaded ? maxLagMs / 2 : maxLagMs);
    if (overloaded === this.#overloaded) return;
    this.#overloaded = overloaded;
    if (overloaded) logger.warn({ event: 'sip.overloaded', lagMs: Math.round(this.#lagMs) });
    else logger.info({ event: 'sip.overload_over' });
  }
}
