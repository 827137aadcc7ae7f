import type { Clock } from '../../clock.js';
import { asError } from '../../error-text.js';

/** Nothing came within the time that was allowed. */
export class TimeoutError extends Error {
  override readonly name = 'TimeoutError';
}

export interface Bounds<T> {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly what: string;
  /** Releases a result that comes when nobody waits for it any more. */
  readonly late?: (result: T) => void;
  /** Subscribes `fail` to whatever makes waiting vain; returns how to unsubscribe. */
  readonly watch?: (fail: (error: Error) => void) => () => void;
}

/**
 * A promise of drachtio-fsmrf may stay pending for ever when its server hangs or dies. This one settles within
 * `timeoutMs`.
 */
export function bounded<T>(pending: Promise<T>, bounds: Bounds<T>): Promise<T> {
  const { clock, timeoutMs, what, late, watch } = bounds;
  return new Promise((resolve, reject) => {
    let settled = false;
    const settle = (): boolean => {
      if (settled) return false;
      settled = true;
      cancelTimer();
      stopWatching?.();
      return true;
    };
    const fail = (error: Error): void => {
      if (settle()) reject(error);
    };
    const cancelTimer = clock.after(timeoutMs, () =>
      fail(new TimeoutError(`${what}: no answer within ${timeoutMs} ms`)),
    );
    const stopWatching = watch?.(fail);
    pending.then(
      (result) => {
        if (settle()) resolve(result);
        else late?.(result);
      },
      (error: unknown) => fail(asError(error)),
    );
  });
}
