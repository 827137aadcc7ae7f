/** A timer that has not fired yet. Cancelling twice, or after it fired, does nothing. */
export type CancelTimer = () => void;

/** The only source of time. Protocol and audio code is handed one; tests hand it a fake. */
export interface Clock {
  /** Milliseconds on a monotonic origin, with fractions. Not wall-clock time. */
  nowMs(): number;
  /** Calls `fire` once, `delayMs` from now. */
  after(delayMs: number, fire: () => void): CancelTimer;
}

/** Resolves `delayMs` from now; without a timer when that is over already. */
export function wait(clock: Clock, delayMs: number): Promise<void> {
  if (delayMs <= 0) return Promise.resolve();
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}

/** The process's own clock: monotonic, sub-millisecond, unaffected by changes of the system time. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    return () => clearTimeout(timer);
  },
};

/** The time of day in milliseconds since 1970: for what is told to others, never for measuring. */
export const systemWallMs = (): number => Date.now();
