/** A correction is wanted when it makes the error clearly smaller, and made wherever it falls from this much on. */
const WANTED_MS = 12;
const FORCED_MS = 35;

/** Frames between two corrections, and between two in unfavourable places. */
const REST_FRAMES = 2;
const FORCED_REST_FRAMES = 10;

/** What two frames may differ by (RMS) to pass for background noise: at the first opportunity, and at the last. */
const QUIET_RMS = 40;
const LAST_QUIET_RMS = 200;

/** The same as a part of their energy, for voices and tones: 0 is equal, 1 unrelated, 2 opposite. */
const ALIKE = 0.1;
const LAST_ALIKE = 1.1;

/**
 * What becomes of a frame. `as-is`: it is sent. `hold`: nothing is sent now, and the next frame will be `joined`: what
 * both have become, `blend`, is sent in its place. `stretched`: `blend` is sent and then the frame.
 */
export type Splice = 'as-is' | 'hold' | 'joined' | 'stretched';

/**
 * Takes 20 ms out of a stream of frames, or puts 20 ms in, where it is not heard: two clocks are never the same, and after
 * minutes one side has a frame too many. Two frames are faded into one, or one is played twice with its predecessor faded
 * in. That is inaudible in a pause, and in a voice or tone whose period divides 20 ms, so the correction waits for either.
 * It becomes less particular as the error grows, and frames that need no correction are never touched.
 */
export class FrameSplicer {
  readonly #previous: Int16Array;
  readonly #blend: Int16Array;
  #isHolding = false;
  #rest = 0;

  constructor(frameSamples: number) {
    this.#previous = new Int16Array(frameSamples);
    this.#blend = new Int16Array(frameSamples);
  }

  get blend(): Int16Array {
    return this.#blend;
  }

  /** Takes the next frame of a stream that has `leadMs` more than it should, or with a minus, less. */
  next(frame: Int16Array, leadMs: number): Splice {
    this.#rest += 1;
    const splice = this.#isHolding ? 'joined' : this.#choose(frame, leadMs);
    this.#isHolding = splice === 'hold';
    if (splice === 'joined') this.#fade(this.#previous, frame);
    else if (splice === 'stretched') this.#fade(frame, this.#previous);
    if (splice !== 'as-is') this.#rest = 0;
    this.#previous.set(frame);
    return splice;
  }

  #choose(frame: Int16Array, leadMs: number): Splice {
    const errorMs = Math.abs(leadMs);
    if (errorMs < WANTED_MS || this.#rest <= REST_FRAMES) return 'as-is';
    const isForced = errorMs >= FORCED_MS && this.#rest > FORCED_REST_FRAMES;
    const urgency = Math.min(1, (errorMs - WANTED_MS) / (FORCED_MS - WANTED_MS));
    if (!isForced && !this.#isGoodPlace(frame, urgency)) return 'as-is';
    return leadMs > 0 ? 'hold' : 'stretched';
  }

  /** Whether a frame and the one before it could be faded into one another. (What comes next is taken to be like them.) */
  #isGoodPlace(frame: Int16Array, urgency: number): boolean {
    let difference = 0;
    let energy = 0;
    for (let i = 0; i < frame.length; i++) {
      const now = frame[i] ?? 0;
      const before = this.#previous[i] ?? 0;
      difference += (now - before) ** 2;
      energy += now * now + before * before;
    }
    const quietRms = QUIET_RMS + urgency * (LAST_QUIET_RMS - QUIET_RMS);
    const alike = ALIKE + urgency * (LAST_ALIKE - ALIKE);
    return difference <= Math.max(frame.length * quietRms ** 2, alike * energy);
  }

  #fade(from: Int16Array, to: Int16Array): void {
    const { length } = this.#blend;
    for (let i = 0; i < length; i++) {
      const before = from[i] ?? 0;
      this.#blend[i] = Math.round(before + ((i + 0.5) / length) * ((to[i] ?? 0) - before));
    }
  }
}
