/** Messages that come before the second 20 ms frame after a "stop" may have been on their way when it was sent. */
const IN_FLIGHT_FRAMES = 1;

/** More than this is an answer: what is in flight is little, and a word takes longer. */
const FRAGMENT_MS = 240;

/** Nothing has followed for four frames: it was the rest of what has been stopped. */
const RESOLVED_AFTER_FRAMES = 4;

/**
 * Barge-in: speech of the old answer that arrives right behind "stop". The protocol does not say which answer a message
 * belongs to, so little speech within 20 ms of "stop" is held back until it is known: if more follows, it was the beginning of
 * the new answer and is played whole; if nothing does, it was the end of the old one and is dropped. Pure; told of every
 * message and of every 20 ms frame.
 */
export class StopGuard {
  #state: 'clear' | 'watching' | 'doubtful' = 'clear';
  #framesSinceStop = 0;

  stopped(): void {
    this.#state = 'watching';
    this.#framesSinceStop = 0;
  }

  /** Speech has come; `queuedMs` wait to be played now. */
  pushed(queuedMs: number): void {
    if (this.#state === 'clear') return;
    const mayBeOld = this.#framesSinceStop <= IN_FLIGHT_FRAMES && queuedMs <= FRAGMENT_MS;
    this.#state = mayBeOld ? 'doubtful' : 'clear';
  }

  /** The next frame: what is to be done with what waits. `framesSincePush`: since speech came last. */
  next(framesSincePush: number): 'play' | 'wait' | 'drop' {
    if (this.#state === 'clear') return 'play';
    this.#framesSinceStop += 1;
    if (this.#state === 'watching') {
      if (this.#framesSinceStop > IN_FLIGHT_FRAMES) this.#state = 'clear';
      return 'play';
    }
    if (framesSincePush < RESOLVED_AFTER_FRAMES) return 'wait';
    this.#state = 'clear';
    return 'drop';
  }
}
