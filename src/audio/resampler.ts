import { HALF_TAPS, interpolateMidpoint, toSample } from './half-band.js';

/** Samples a pass works on at most; longer input takes several passes. Sized for 20 ms at 8 kHz and more. */
const BLOCK_SAMPLES = 320;

/** What the filter has to remember of the samples before the current one. */
const HISTORY_SAMPLES = 2 * HALF_TAPS - 1;

/**
 * The last samples of the stream, continued by the block being worked on:
 * `[ history | block ]`, so that the filter reads across the seam without noticing it.
 */
class SlidingWindow {
  readonly samples = new Float64Array(HISTORY_SAMPLES + BLOCK_SAMPLES);

  /** Appends every `stride`-th sample of `input`, `count` of them. */
  load(input: Int16Array, inputOffset: number, stride: number, count: number): void {
    const samples = this.samples;
    for (let i = 0, from = inputOffset; i < count; i++, from += stride) {
      samples[HISTORY_SAMPLES + i] = input[from] ?? 0;
    }
  }

  /** Makes the end of a block of `count` samples the history of the next. */
  advance(count: number): void {
    this.samples.copyWithin(0, count, count + HISTORY_SAMPLES);
  }

  reset(): void {
    this.samples.fill(0);
  }
}

/**
 * 8 kHz → 16 kHz, continuous over calls: the result does not depend on how the stream is cut into frames.
 * Every input sample comes out untouched, with one interpolated sample after it.
 */
export class Upsampler2x {
  /** How far the output lags behind the input, in output samples (2.1 ms). */
  static readonly delaySamples = 2 * HALF_TAPS;

  readonly #window = new SlidingWindow();

  /** Reads `count` samples, writes `2 * count`. */
  process(input: Int16Array, inputOffset: number, count: number, output: Int16Array, outputOffset: number): void {
    for (let done = 0; done < count; done += BLOCK_SAMPLES) {
      const block = Math.min(BLOCK_SAMPLES, count - done);
      this.#processBlock(input, inputOffset + done, block, output, outputOffset + 2 * done);
    }
  }

  /** Forgets what went before: the next sample starts after silence. */
  reset(): void {
    this.#window.reset();
  }

  #processBlock(input: Int16Array, inputOffset: number, count: number, output: Int16Array, outputOffset: number): void {
    const window = this.#window;
    const samples = window.samples;
    window.load(input, inputOffset, 1, count);
    for (let i = 0; i < count; i++) {
      const left = i + HALF_TAPS - 1;
      output[outputOffset + 2 * i] = samples[left] ?? 0;
      output[outputOffset + 2 * i + 1] = toSample(interpolateMidpoint(samples, left));
    }
    window.advance(count);
  }
}

/** 16 kHz → 8 kHz, continuous over calls: the result does not depend on how the stream is cut into frames. */
export class Downsampler2x {
  /** How far the output lags behind the input, in output samples (2 ms). */
  static readonly delaySamples = HALF_TAPS - 1;

  /** The samples at the output's own instants, and those between: the two polyphase branches. */
  readonly #even = new SlidingWindow();
  readonly #odd = new SlidingWindow();

  /** Reads `count` samples, an even number, and writes `count / 2`. */
  process(input: Int16Array, inputOffset: number, count: number, output: Int16Array, outputOffset: number): void {
    const pairs = count >> 1;
    for (let done = 0; done < pairs; done += BLOCK_SAMPLES) {
      const block = Math.min(BLOCK_SAMPLES, pairs - done);
      this.#processBlock(input, inputOffset + 2 * done, block, output, outputOffset + done);
    }
  }

  /** Forgets what went before: the next sample starts after silence. */
  reset(): void {
    this.#even.reset();
    this.#odd.reset();
  }

  #processBlock(input: Int16Array, inputOffset: number, pairs: number, output: Int16Array, outputOffset: number): void {
    const even = this.#even.samples;
    const odd = this.#odd.samples;
    this.#even.load(input, inputOffset, 2, pairs);
    this.#odd.load(input, inputOffset + 1, 2, pairs);
    for (let i = 0; i < pairs; i++) {
      const left = i + HALF_TAPS - 1;
      // odd[left] and odd[left + 1] lie on either side of even[left + 1].
      output[outputOffset + i] = toSample(((even[left + 1] ?? 0) + interpolateMidpoint(odd, left)) / 2);
    }
    this.#even.advance(pairs);
    this.#odd.advance(pairs);
  }
}
