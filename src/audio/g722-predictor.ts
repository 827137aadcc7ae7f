import { saturate16, scaled } from './g722-arithmetic.js';

/** The filter forgets, sample by sample: the zeros and the first pole 1/256 of themselves, the second pole 1/128. */
const ZERO_KEPT = 32_640;
const FIRST_POLE_KEPT = 32_640;
const SECOND_POLE_KEPT = 32_512;

/** What the second pole may be at most, and both together, in 1/16,384: so the filter stays stable. */
const MAX_SECOND_POLE = 12_288;
const MAX_POLES = 15_360;

const ZEROS = 6;

/**
 * The adaptive predictor of a sub-band (blocks 4L and 4H of ITU-T G.722; its sub-blocks are named in capitals): two poles
 * and six zeros that follow the signal by nothing but the signs of what it does. Encoder and decoder find the same ones
 * without being told. All numbers have 16 bits and sums saturate, which bounds the state whatever comes.
 */
export class AdaptivePredictor {
  #estimate = 0;
  #zerosEstimate = 0;
  #firstPole = 0;
  #secondPole = 0;
  /** The last two samples as the zeros alone would have them; only the signs count. */
  #partial1 = 0;
  #partial2 = 0;
  #reconstructed1 = 0;
  readonly #zeros = new Int16Array(ZEROS);
  /** Twice the last differences, newest first. */
  readonly #doubled = new Int16Array(ZEROS);

  /** What the next sample will probably be. */
  get estimate(): number {
    return this.#estimate;
  }

  /** Forgets the signal. */
  reset(): void {
    this.#estimate = this.#zerosEstimate = 0;
    this.#firstPole = this.#secondPole = 0;
    this.#partial1 = this.#partial2 = this.#reconstructed1 = 0;
    this.#zeros.fill(0);
    this.#doubled.fill(0);
  }

  /** The sample was `difference` off the estimate, as quantised: 10,228 at most, so twice that still has 16 bits. */
  update(difference: number): void {
    const reconstructed = saturate16(this.#estimate + difference); // RECONS
    const partial = saturate16(this.#zerosEstimate + difference); // PARREC
    this.#followPoles(partial);
    const poles = saturate16(
      scaled(this.#firstPole, saturate16(2 * reconstructed)) +
        scaled(this.#secondPole, saturate16(2 * this.#reconstructed1)),
    ); // FILTEP
    this.#reconstructed1 = reconstructed;
    const zeros = followZeros(this.#zeros, this.#doubled, 2 * difference);
    this.#zerosEstimate = zeros;
    this.#estimate = saturate16(poles + zeros); // PREDIC
  }

  /** UPPOL2 and UPPOL1. */
  #followPoles(partial: number): void {
    const likeLast = (partial ^ this.#partial1) >= 0;
    const likeOneBefore = (partial ^ this.#partial2) >= 0;
    this.#partial2 = this.#partial1;
    this.#partial1 = partial;
    const slope = saturate16(this.#firstPole << 2);
    const step = saturate16(likeLast ? -slope : slope) >> 7;
    const second = step + (likeOneBefore ? 128 : -128) + scaled(this.#secondPole, SECOND_POLE_KEPT);
    this.#secondPole = within(second, MAX_SECOND_POLE);
    const first = (likeLast ? 192 : -192) + scaled(this.#firstPole, FIRST_POLE_KEPT);
    this.#firstPole = within(first, MAX_POLES - this.#secondPole);
  }
}

/** UPZERO, DELAYA and FILTEZ: returns the zeros' part of the next estimate. */
function followZeros(zeros: Int16Array, doubled: Int16Array, newest: number): number {
  const step = newest === 0 ? 0 : 128;
  let older = doubled[ZEROS - 1] ?? 0;
  let sum = 0;
  for (let i = ZEROS - 1; i >= 0; i--) {
    const newer = i === 0 ? newest : (doubled[i - 1] ?? 0);
    const opposite = (newest ^ older) >> 31; // −1 or 0: signs of noise are not worth a branch
    const zero = scaled(zeros[i] ?? 0, ZERO_KEPT) + ((step ^ opposite) - opposite);
    zeros[i] = zero;
    doubled[i] = newer;
    sum = saturate16(sum + scaled(zero, newer));
    older = newer;
  }
  return sum;
}

function within(value: number, limit: number): number {
  if (value > limit) return limit;
  return value < -limit ? -limit : value;
}
