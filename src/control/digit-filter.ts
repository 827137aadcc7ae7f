/** How a digit came: in the RTP (RFC 4733), or by INFO. */
export type DigitPath = 'telephone-event' | 'info';

/** By how much one path may lag behind the other beyond the digit's duration: an INFO that was lost once is sent again after T1. */
const LAG_MS = 1_000;

/** More than a caller presses within that time. */
const MAX_WAITING = 32;

interface Waiting {
  readonly digit: string;
  readonly path: DigitPath;
  readonly atMs: number;
  readonly durationMs: number;
}

/**
 * Drops DTMF digits that come twice: many phones send each digit both in RTP and by INFO. Each digit waits for its twin
 * from the other path, and each twin is taken once, so that keys pressed in quick succession all count.
 */
export class DigitFilter {
  readonly #waiting: Waiting[] = [];

  /** False for a digit that has come by the other path. `durationMs` is 0 where the path does not give it. */
  accept(digit: string, path: DigitPath, nowMs: number, durationMs: number): boolean {
    const twin = this.#waiting.findIndex(
      (one) =>
        one.digit === digit && one.path !== path && nowMs - one.atMs <= Math.max(one.durationMs, durationMs) + LAG_MS,
    );
    if (twin >= 0) {
      this.#waiting.splice(twin, 1);
      return false;
    }
    this.#waiting.push({ digit, path, atMs: nowMs, durationMs });
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift();
    return true;
  }
}
