import { toSample } from './half-band.js';

const RAMP_MS = 5;

/**
 * Rounds off where speech begins and breaks off in a stream of frames, so that neither is heard as a click. Frames that
 * speech fills from one end to the other are not touched.
 */
export class EdgeSmoother {
  readonly #ramp: number;
  /** What is still to be added to what comes next: speech that is broken off, fading out. `#tailAt` is how far it is. */
  readonly #tail: Int16Array;
  #tailAt: number;
  #isRampDue = false;
  /** The last frame was speech to its end. */
  #wasFull = false;

  constructor(rateHz: 8_000 | 16_000) {
    this.#ramp = (RAMP_MS * rateHz) / 1_000;
    this.#tail = new Int16Array(this.#ramp);
    this.#tailAt = this.#ramp;
  }

  /** Whether a frame of which `count` samples of `length` are speech would be touched. */
  isNeeded(count: number, length: number): boolean {
    return (
      this.#tailAt < this.#ramp || (count > 0 && this.#isRampDue) || (count < length && (count > 0 || this.#wasFull))
    );
  }

  /** The next speech begins in the middle of a sound: it rises within 5 ms. */
  rampUp(): void {
    this.#isRampDue = true;
  }

  /** Speech breaks off here. `next` is how it would go on, `count` samples of it: 5 ms of it fade out. */
  cut(next: Int16Array, count: number): void {
    for (let i = 0; i < this.#ramp; i++) this.#tail[i] = i < count ? this.#fading(next[i] ?? 0, i) : 0;
    this.#tailAt = 0;
    this.#wasFull = false;
  }

  /** How many samples a fade takes. */
  get rampSamples(): number {
    return this.#ramp;
  }

  /**
   * Finishes a frame whose first `count` samples are speech; behind them it still holds the frame before. Where speech
   * ends with nothing following, it is mirrored and faded out.
   */
  finish(frame: Int16Array, count: number): void {
    if (count > 0 && this.#isRampDue) this.#raise(frame, count);
    const endsHere = count < frame.length && (count > 0 || this.#wasFull);
    // What is left of another ending gives way.
    if (endsHere) this.#mirror(frame, count === 0 ? frame.length : count);
    frame.fill(0, count);
    this.#addTail(frame, endsHere ? count : 0);
    this.#wasFull = count === frame.length;
  }

  /** A frame was speech from end to end and needed nothing. */
  pass(): void {
    this.#wasFull = true;
  }

  /** The frame that has just passed was the last, and complete. */
  end(): void {
    this.#wasFull = false;
  }

  reset(): void {
    this.#tailAt = this.#ramp;
    this.#isRampDue = this.#wasFull = false;
  }

  #raise(frame: Int16Array, count: number): void {
    this.#isRampDue = false;
    for (let i = 0; i < Math.min(this.#ramp, count); i++) {
      frame[i] = Math.round(((i + 0.5) / this.#ramp) * (frame[i] ?? 0));
    }
  }

  #mirror(frame: Int16Array, end: number): void {
    for (let i = 0; i < this.#ramp; i++) this.#tail[i] = this.#fading(frame[end - 1 - i] ?? 0, i);
    this.#tailAt = 0;
  }

  #fading(sample: number, i: number): number {
    return Math.round((1 - (i + 0.5) / this.#ramp) * sample);
  }

  #addTail(frame: Int16Array, from: number): void {
    for (let i = from; i < frame.length && this.#tailAt < this.#ramp; i++) {
      frame[i] = toSample((frame[i] ?? 0) + (this.#tail[this.#tailAt++] ?? 0));
    }
  }
}
