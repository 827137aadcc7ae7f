/** Silence after the last word before it counts as heard: the caller's jitter buffer still holds it. */
const TAIL_MS = 100;

/** Watches what is queued being played to its end, or for as long as there is. */
export class FarewellWatch {
  readonly #untilMs: number;
  #silentSinceMs: number | undefined;

  constructor(nowMs: number, farewellMs: number) {
    this.#untilMs = nowMs + farewellMs;
  }

  /** Every tick. @returns whether it is over. */
  isOver(isQueueEmpty: boolean, nowMs: number): boolean {
    if (isQueueEmpty) this.#silentSinceMs ??= nowMs;
    const isPlayed = this.#silentSinceMs !== undefined && nowMs - this.#silentSinceMs >= TAIL_MS;
    return isPlayed || nowMs >= this.#untilMs;
  }
}
