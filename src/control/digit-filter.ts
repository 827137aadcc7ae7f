/** How a digit came: in the RTP (RFC 4733), or by INFO. */
export type DigitPath = 'telephone-event' | 'info';

/** By how much one path may lag behind the other beyond the digit's duration: an INFO that was lost once is sent again after T1. */
const LAG_MS = 1_000;

/** Nobody presses more keys than that while one is on its way. */
const MAX_WAITING = 32;

interface Waiting {
  readonly digit: string;
  readonly path: DigitPath;
  readonly atMs: number;
  readonly durationMs: number;
}

/**
 * Tells a key pressed from the same key told twice: phones that send digits both in RTP and by INFO are many. Each digit
 * waits for its twin from the other path, and each twin is taken once, so that keys pressed in haste all count.
 */
export class DigitFilter {
  readonly #waiting: Waiting[] = [];

  /** False for a digit that has come by the other path. `durationMs` where the path tells it, else 0. */
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
