import { limit15, saturate16, scaled } from './g722-arithmetic.js';
import { AdaptivePredictor } from './g722-predictor.js';

/** Two to the power of i/32, in 1/2,048 (table ILB). */
const POWERS = Int16Array.from({ length: 32 }, (_, i) => Math.round(2_048 * 2 ** (i / 32)));

/** The parts of the logarithm of the scale that tell scales apart: 1/32 of an octave. */
const LOG_SCALE_SHIFT = 6;

/** How a band's scale follows its codes. The logarithm of the scale has the unit 1/2,048 of an octave. */
interface Adaptation {
  /** Output levels of the inverse quantiser by adaptation code, in 1/32,768 of the scale. */
  readonly levels: Int16Array;
  /** What each adaptation code adds to the logarithm. */
  readonly logSteps: Int16Array;
  readonly maxLogScale: number;
  /** Scales by the logarithm without its last bits (SCALEL, SCALEH). */
  readonly scales: Int16Array;
}

function scaleTable(maxLogScale: number, unityOctave: number): Int16Array {
  return Int16Array.from({ length: (maxLogScale >> LOG_SCALE_SHIFT) + 1 }, (_, i) => {
    const power = POWERS[i % 32] ?? 0;
    return Math.floor(power * 2 ** ((i >> 5) - unityOctave)) << 2;
  });
}

/** By the upper four bits of the lower band's code (tables QM4, and WL by RL42). */
const LOW: Adaptation = {
  levels: new Int16Array([
    0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0,
  ]),
  logSteps: new Int16Array([-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60]),
  maxLogScale: 18_432,
  scales: scaleTable(18_432, 8),
};

/** By the higher band's code (tables QM2, and WH by RH2). */
const HIGH: Adaptation = {
  levels: new Int16Array([-7408, -1616, 7408, 1616]),
  logSteps: new Int16Array([798, -214, 798, -214]),
  maxLogScale: 22_528,
  scales: scaleTable(22_528, 10),
};

/** What encoder and decoder of a sub-band have in common: both follow the codes, and so each other (blocks 2, 3 and 4). */
class AdaptiveBand {
  readonly #adaptation: Adaptation;
  readonly #predictor = new AdaptivePredictor();
  #logScale = 0;
  #scale = 0;

  constructor(adaptation: Adaptation) {
    this.#adaptation = adaptation;
    this.reset();
  }

  /** As encoder and decoder begin. */
  reset(): void {
    this.#predictor.reset();
    this.#logScale = 0;
    this.#scale = this.#adaptation.scales[0] ?? 0;
  }

  get estimate(): number {
    return this.#predictor.estimate;
  }

  /** Of the quantiser: how large differences from the estimate are at present. */
  get scale(): number {
    return this.#scale;
  }

  /** INVQAL and INVQAH, LOGSCL and LOGSCH, SCALEL and SCALEH, and the predictor. */
  follow(code: number): void {
    const { levels, logSteps, maxLogScale, scales } = this.#adaptation;
    const difference = scaled(levels[code] ?? 0, this.#scale);
    const logScale = (Math.imul(this.#logScale, 127) >> 7) + (logSteps[code] ?? 0);
    this.#logScale = Math.max(0, Math.min(maxLogScale, logScale));
    this.#scale = scales[this.#logScale >> LOG_SCALE_SHIFT] ?? 0;
    this.#predictor.update(difference);
  }
}

/** The inverse quantiser's levels for all six bits, in 1/32,768 of the scale (table QM6). */
const LOW_LEVELS = new Int16Array([
  -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576, -7856,
  -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040, -728, 24808,
  21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464, 4008,
  3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
]);

/** Where one interval of the quantiser ends and the next begins, in 1/4,096 of the scale (tables Q6 and Q2). */
const LOW_DECISIONS = new Int16Array([
  35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339, 1458,
  1612, 1765, 1980, 2195, 2557, 2919,
]);
const HIGH_DECISION = 564;

/** The size of a difference as the quantisers take it: one less for those below zero. */
const magnitude = (difference: number): number => (difference < 0 ? ~difference : difference);

/**
 * 0 to 4 kHz, in 6 bits a sample, of which the upper four drive the adaptation: so a decoder that gets no more than
 * these stays in step.
 */
export class LowBand {
  readonly #band = new AdaptiveBand(LOW);

  /** A sample of 15 bits → its code (SUBTRA and QUANTL). */
  encode(sample: number): number {
    const { estimate, scale } = this.#band;
    const difference = saturate16(sample - estimate);
    const interval = lowInterval(magnitude(difference), scale);
    // Tables ILN and ILP; the two intervals next to zero are coded out of order below it.
    const code = difference >= 0 ? 61 - interval : interval < 2 ? 63 - interval : 33 - interval;
    this.#band.follow(code >> 2);
    return code;
  }

  /** A code of 6 bits → the sample of 15 bits (INVQBL, RECONS and LIMIT). */
  decode(code: number): number {
    const { estimate, scale } = this.#band;
    const difference = scaled(LOW_LEVELS[code] ?? 0, scale);
    this.#band.follow(code >> 2);
    return limit15(estimate + difference);
  }

  reset(): void {
    this.#band.reset();
  }
}

/** The interval, from 0, that a size is in: how many decision levels are not above it. */
function lowInterval(size: number, scale: number): number {
  let from = 0;
  let to = LOW_DECISIONS.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (size < Math.imul(LOW_DECISIONS[middle] ?? 0, scale) >> 12) to = middle;
    else from = middle + 1;
  }
  return from;
}

/** 4 to 8 kHz, in 2 bits a sample. */
export class HighBand {
  readonly #band = new AdaptiveBand(HIGH);

  /** A sample of 15 bits → its code (SUBTRA and QUANTH). */
  encode(sample: number): number {
    const { estimate, scale } = this.#band;
    const difference = saturate16(sample - estimate);
    const isOuter = magnitude(difference) >= Math.imul(HIGH_DECISION, scale) >> 12;
    const code = (difference < 0 ? 0 : 2) + (isOuter ? 0 : 1);
    this.#band.follow(code);
    return code;
  }

  /** A code of 2 bits → the sample of 15 bits (INVQAH, RECONS and LIMIT). */
  decode(code: number): number {
    const { estimate, scale } = this.#band;
    const difference = scaled(HIGH.levels[code] ?? 0, scale);
    this.#band.follow(code);
    return limit15(estimate + difference);
  }

  reset(): void {
    this.#band.reset();
  }
}
