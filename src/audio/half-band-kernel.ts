import { HALF_TAPS, SIDE_TAPS, toSample } from './half-band.js';

/** Instants at 8 kHz a kernel works on at most at once: 40 ms. */
export const MAX_BLOCK = 320;

/** Instants at 8 kHz before the current one that the filter has to know. */
export const HISTORY = 2 * HALF_TAPS - 1;

/** Of a kernel, with two samples for each instant. */
export const INPUT_SAMPLES = 2 * (HISTORY + MAX_BLOCK);
export const OUTPUT_SAMPLES = 2 * MAX_BLOCK;

/**
 * The half-band filter at work. A stretch of signal goes to the beginning of `input`, {@link HISTORY} first; the result is
 * at the beginning of `output`. The rest of both is scratch, and so is all of it from one call to the next.
 */
export interface HalfBandKernel {
  readonly input: Int16Array;
  readonly output: Int16Array;
  /** `HISTORY + count` samples at 8 kHz → `2 · count` at 16 kHz: each as it is, and the one interpolated after it. */
  upsample(count: number): void;
  /** `HISTORY + count` pairs of samples at 16 kHz → `count` samples at 8 kHz. */
  downsample(count: number): void;
}

/** The filter as a formula: what the vectors are held against, and what does their work where there are none. */
export class PlainKernel implements HalfBandKernel {
  readonly input = new Int16Array(INPUT_SAMPLES);
  readonly output = new Int16Array(OUTPUT_SAMPLES);

  upsample(count: number): void {
    for (let i = 0; i < count; i++) {
      const left = i + HALF_TAPS - 1;
      this.output[2 * i] = this.input[left] ?? 0;
      this.output[2 * i + 1] = toSample(this.#midpoint(left, 1));
    }
  }

  downsample(count: number): void {
    for (let i = 0; i < count; i++) {
      // Of each pair the first sample is at the output's own instants, the second between them.
      const left = 2 * (i + HALF_TAPS - 1) + 1;
      this.output[i] = toSample(((this.input[left + 1] ?? 0) + this.#midpoint(left, 2)) / 2);
    }
  }

  /** The value half-way between `input[left]` and `input[left + stride]`. */
  #midpoint(left: number, stride: number): number {
    let sum = 0;
    for (let k = 0; k < HALF_TAPS; k++) {
      const pair = (this.input[left - k * stride] ?? 0) + (this.input[left + (k + 1) * stride] ?? 0);
      sum += (SIDE_TAPS[k] ?? 0) * pair;
    }
    return sum;
  }
}
