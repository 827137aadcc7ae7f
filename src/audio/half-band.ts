/**
 * The low-pass filter both resamplers share: linear phase, half-band, for a signal at 16 kHz.
 *
 *   0 ─────────── 3.4 kHz      flat within 0.01 dB
 *   3.4 ── 4.0 ── 4.6 kHz      transition; −6 dB at 4 kHz
 *   4.6 ───────── 8 kHz        at least 80 dB down
 *
 * This is the mask of ITU-T G.712: what the transition lets through folds to 3.4–4 kHz, above the telephone
 * band. A half-band filter is symmetric about a quarter of the rate, so every second tap beside the centre is
 * zero: one of its two polyphase branches is a plain delay, and only the other costs anything.
 */

/** Half the number of taps that are neither zero nor the centre. */
export const HALF_TAPS = 17;

/** Kaiser's window for 80 dB: 0.1102 · (80 − 8.7). The length follows from a 1.2 kHz transition: 67 = 4 · 17 − 1. */
const KAISER_BETA = 7.857;

/** Modified Bessel function of the first kind, order zero, by its power series. */
function besselI0(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > sum * Number.EPSILON; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/** Scaled so that the branch passes DC exactly. */
function designSideTaps(): number[] {
  const taps = Array.from({ length: HALF_TAPS }, (_, k) => {
    const distance = 2 * k + 1;
    const sinc = Math.sin((Math.PI * distance) / 2) / ((Math.PI * distance) / 2);
    const window = besselI0(KAISER_BETA * Math.sqrt(1 - (distance / (2 * HALF_TAPS)) ** 2)) / besselI0(KAISER_BETA);
    return sinc * window;
  });
  const dcGain = 2 * taps.reduce((sum, tap) => sum + tap, 0);
  return taps.map((tap) => tap / dcGain);
}

/**
 * The taps at distances 1, 3, 5, … from the centre, which itself is 1 (the gain of 2 that inserting a zero
 * between samples takes is included).
 */
export const SIDE_TAPS: readonly number[] = designSideTaps();

/** Rounds to the nearest 16-bit sample; what is beyond the range becomes its end. */
export function toSample(value: number): number {
  if (value >= 32_767) return 32_767;
  if (value <= -32_768) return -32_768;
  return Math.round(value);
}
