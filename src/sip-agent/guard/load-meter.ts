import type { AgentLogger, StopTimer, AgentClock } from '../environment.js';

export interface LoadMeterOptions {
  readonly clock: AgentClock;
  readonly logger: AgentLogger;
  /** Average lateness of a timer, in milliseconds, beyond which new requests are refused. */
  readonly maxLagMs: number;
}

const PERIOD_MS = 100;
/** Weight of one reading in the moving average: a single pause is smoothed out, a lasting one counts after about four. */
const WEIGHT = 0.25;

/**
 * Overload detection: measures the lag of the event loop. Beyond a peer's T1, requests are answered so late that they are
 * retransmitted, which adds load: then new ones are refused (RFC 3261 section 21.5.4).
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

  /** Measures until `stop`. */
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
    // Hysteresis: the overload ends at half the limit.
    const overloaded = this.#lagMs > (this.#overloaded ? maxLagMs / 2 : maxLagMs);
    if (overloaded === this.#overloaded) return;
    this.#overloaded = overloaded;
    if (overloaded) logger.warn({ event: 'sip.overloaded', lagMs: Math.round(this.#lagMs) });
    else logger.info({ event: 'sip.overload_over' });
  }
}
