import { limit15, saturate16 } from './g722-arithmetic.js';

/**
 * The quadrature mirror filters of ITU-T G.722 (clause 5.2, table 11): 24 taps, symmetric, in two polyphase branches of which
 * one is the other backwards. Every second tap, in 1/8,192.
 */
const BRANCH = new Int16Array([3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11]);
const BRANCH_TAPS = BRANCH.length;

/** Pairs of samples at once: 20 ms. */
export const MAX_PAIRS = 160;

/** Splits a signal of 16 kHz into two bands of 8 kHz each. Remembers the last 22 samples. */
export class QmfAnalysis {
  static readonly #HISTORY = 2 * (BRANCH_TAPS - 1);
  readonly #samples = new Int16Array(QmfAnalysis.#HISTORY + 2 * MAX_PAIRS);

  /** `2 · pairs` samples of 16 bits from `pcm[offset …]`; `pairs` of 15 bits into each band. */
  split(pcm: Int16Array, offset: number, pairs: number, low: Int16Array, high: Int16Array): void {
    const samples = this.#samples;
    for (let i = 0; i < 2 * pairs; i++) samples[QmfAnalysis.#HISTORY + i] = pcm[offset + i] ?? 0;
    for (let pair = 0; pair < pairs; pair++) {
      let odd = 0;
      let even = 0;
      for (let tap = 0; tap < BRANCH_TAPS; tap++) {
        const at = 2 * (pair + tap);
        even += Math.imul(BRANCH[tap] ?? 0, samples[at] ?? 0);
        odd += Math.imul(BRANCH[BRANCH_TAPS - 1 - tap] ?? 0, samples[at + 1] ?? 0);
      }
      low[pair] = limit15((odd + even) >> 14);
      high[pair] = limit15((odd - even) >> 14);
    }
    samples.copyWithin(0, 2 * pairs, 2 * pairs + QmfAnalysis.#HISTORY);
  }

  /** As if silence had come for ever. */
  reset(): void {
    this.#samples.fill(0);
  }
}

/** Puts the bands together again. Remembers the last 11 samples of both. */
export class QmfSynthesis {
  static readonly #HISTORY = BRANCH_TAPS - 1;
  readonly #sums = new Int16Array(QmfSynthesis.#HISTORY + MAX_PAIRS);
  readonly #differences = new Int16Array(QmfSynthesis.#HISTORY + MAX_PAIRS);

  /** The first `pairs` samples of 15 bits of each band; `2 · pairs` of 16 bits into `pcm[offset …]`. */
  join(low: Int16Array, high: Int16Array, pairs: number, pcm: Int16Array, offset: number): void {
    const sums = this.#sums;
    const differences = this.#differences;
    for (let i = 0; i < pairs; i++) {
      const lowSample = low[i] ?? 0;
      const highSample = high[i] ?? 0;
      sums[QmfSynthesis.#HISTORY + i] = lowSample + highSample;
      differences[QmfSynthesis.#HISTORY + i] = lowSample - highSample;
    }
    for (let pair = 0; pair < pairs; pair++) {
      let first = 0;
      let second = 0;
      for (let tap = 0; tap < BRANCH_TAPS; tap++) {
        first += Math.imul(BRANCH[BRANCH_TAPS - 1 - tap] ?? 0, differences[pair + tap] ?? 0);
        second += Math.imul(BRANCH[tap] ?? 0, sums[pair + tap] ?? 0);
      }
      pcm[offset + 2 * pair] = saturate16(first >> 11);
      pcm[offset + 2 * pair + 1] = saturate16(second >> 11);
    }
    sums.copyWithin(0, pairs, pairs + QmfSynthesis.#HISTORY);
    differences.copyWithin(0, pairs, pairs + QmfSynthesis.#HISTORY);
  }
}
