import { copySamples } from './copy-samples.js';
import { HISTORY, MAX_BLOCK, PlainKernel, type HalfBandKernel } from './half-band-kernel.js';
import { compileVectors } from './half-band-vectors.js';
import { HALF_TAPS } from './half-band.js';

let kernelOfThread: HalfBandKernel | undefined;

/** All of a thread's streams use it, one after the other. A thread without streams, such as the main one, has none made. */
function sharedKernel(): HalfBandKernel {
  return (kernelOfThread ??= compileVectors() ?? new PlainKernel());
}

/**
 * One stream's use of the kernel: its last samples, continued by the block being worked on, `[ history | block ]`, so that
 * the filter reads across the seam without noticing it.
 */
class SlidingWindow {
  readonly kernel = sharedKernel();
  readonly #history: Int16Array;
  #result = this.kernel.output.subarray(0, 0);

  constructor(historySamples: number) {
    this.#history = new Int16Array(historySamples);
  }

  /** Makes `count` samples the kernel's block, and their end the history of the next. */
  load(input: Int16Array, inputOffset: number, count: number): void {
    const history = this.#history;
    const window = this.kernel.input;
    window.set(history);
    copySamples(input, inputOffset, count, window, history.length);
    for (let i = 0; i < history.length; i++) history[i] = window[count + i] ?? 0;
  }

  /** Takes `count` samples from the kernel. */
  unload(count: number, output: Int16Array, outputOffset: number): void {
    // Frames of a stream are all of one size: their view is made once.
    if (this.#result.length !== count) this.#result = this.kernel.output.subarray(0, count);
    output.set(this.#result, outputOffset);
  }

  reset(): void {
    this.#history.fill(0);
  }
}

/**
 * 8 kHz → 16 kHz, continuous over calls: the result does not depend on how the stream is cut into frames.
 * Every input sample comes out untouched, with one interpolated sample after it.
 */
export class Upsampler2x {
  /** How far the output lags behind the input, in output samples (2.1 ms). */
  static readonly delaySamples = 2 * HALF_TAPS;

  readonly #window = new SlidingWindow(HISTORY);

  /** Reads `count` samples, writes `2 * count`. */
  process(input: Int16Array, inputOffset: number, count: number, output: Int16Array, outputOffset: number): void {
    for (let done = 0; done < count; done += MAX_BLOCK) {
      const block = Math.min(MAX_BLOCK, count - done);
      this.#window.load(input, inputOffset + done, block);
      this.#window.kernel.upsample(block);
      this.#window.unload(2 * block, output, outputOffset + 2 * done);
    }
  }

  /** Forgets what went before: the next sample starts after silence. */
  reset(): void {
    this.#window.reset();
  }
}

/** 16 kHz → 8 kHz, continuous over calls: the result does not depend on how the stream is cut into frames. */
export class Downsampler2x {
  /** How far the output lags behind the input, in output samples (2 ms). */
  static readonly delaySamples = HALF_TAPS - 1;

  readonly #window = new SlidingWindow(2 * HISTORY);

  /** Reads `count` samples, an even number, and writes `count / 2`. */
  process(input: Int16Array, inputOffset: number, count: number, output: Int16Array, outputOffset: number): void {
    const pairs = count >> 1;
    for (let done = 0; done < pairs; done += MAX_BLOCK) {
      const block = Math.min(MAX_BLOCK, pairs - done);
      this.#window.load(input, inputOffset + 2 * done, 2 * block);
      this.#window.kernel.downsample(block);
      this.#window.unload(block, output, outputOffset + done);
    }
  }

  /** Forgets what went before: the next sample starts after silence. */
  reset(): void {
    this.#window.reset();
  }
}
