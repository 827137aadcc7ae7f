import type { CancelTimer, Clock } from '../../src/clock.js';

/** As much as the clock moves between two reads of the sockets. */
const STEP_MS = 2;

/**
 * Real time, but for what the machine takes away: the clock moves in small steps, one for each turn of the event loop,
 * and the sockets are read between two of them. A test whose two sides share a process sees neither retransmissions nor
 * time-outs because the process had to wait for a processor, however short its timers are.
 */
class SteadyClock implements Clock {
  #nowMs = 0;
  #steppedAtMs = performance.now();
  /** By the whole millisecond they are due at. */
  readonly #due = new Map<number, Set<() => void>>();

  constructor() {
    setInterval(() => this.#step(), 1).unref();
  }

  nowMs(): number {
    return this.#nowMs + Math.min(performance.now() - this.#steppedAtMs, STEP_MS);
  }

  after(delayMs: number, fire: () => void): CancelTimer {
    const dueMs = Math.max(Math.ceil(this.nowMs() + delayMs), Math.floor(this.#nowMs) + 1);
    const timers = this.#due.get(dueMs) ?? new Set();
    // A function of its own: the same one may be asked for twice.
    const timer = (): void => fire();
    this.#due.set(dueMs, timers.add(timer));
    return () => {
      timers.delete(timer);
    };
  }

  #step(): void {
    const fromMs = Math.floor(this.#nowMs) + 1;
    this.#nowMs = this.nowMs();
    this.#steppedAtMs = performance.now();
    for (let dueMs = fromMs; dueMs <= this.#nowMs; dueMs++) {
      const timers = this.#due.get(dueMs) ?? [];
      this.#due.delete(dueMs);
      for (const fire of timers) fire();
    }
  }
}

/** For both sides of whatever a test connects: agent and phone, session and simulator. */
export const steadyClock: Clock = new SteadyClock();
