import type { Clock } from '../../clock.js';

/** Nothing came within the time that was allowed. */
export class TimeoutError extends Error {
  override readonly name = 'TimeoutError';
}

/**
 * A promise of drachtio-fsmrf may stay pending for ever when its server hangs or dies. This one settles within
 * `timeoutMs`; a result that comes later goes to `late`, which releases it.
 */
export function bounded<T>(
  pending: Promise<T>,
  { clock, timeoutMs, what, late }: { clock: Clock; timeoutMs: number; what: string; late?: (result: T) => void },
): Promise<T> {
  return new Promise((resolve, reject) => {
    let expired = false;
    const cancelTimer = clock.after(timeoutMs, () => {
      expired = true;
      reject(new TimeoutError(`${what}: no answer within ${timeoutMs} ms`));
    });
    pending.then(
      (result) => {
        cancelTimer();
        if (expired) late?.(result);
        else resolve(result);
      },
      (error: unknown) => {
        cancelTimer();
        reject(error instanceof Error ? error : new Error(String(error)));
      },
    );
  });
}
