/** Level of a sine that just fills 16 bits, on the scale of ITU-T G.711 (A-law; µ-law's is 3.17). */
const FULL_SCALE_DBM0 = 3.14;
const FULL_SCALE = 32_768;

/** Peak, in 16-bit units, of a sine of the given level. */
export function amplitudeOfDbm0(levelDbm0: number): number {
  return FULL_SCALE * 10 ** ((levelDbm0 - FULL_SCALE_DBM0) / 20);
}

export interface ToneOptions {
  rateHz: number;
  frequencyHz: number;
  levelDbm0: number;
  durationMs: number;
  /** Phase of the first sample, in radians. */
  phase?: number;
}

/** A sine, rounded to 16 bits and clipped. */
export function tone({ rateHz, frequencyHz, levelDbm0, durationMs, phase = 0 }: ToneOptions): Int16Array {
  const amplitude = amplitudeOfDbm0(levelDbm0);
  const omega = (2 * Math.PI * frequencyHz) / rateHz;
  return Int16Array.from({ length: Math.round((rateHz * durationMs) / 1000) }, (_, n) =>
    Math.max(-FULL_SCALE, Math.min(FULL_SCALE - 1, Math.round(amplitude * Math.sin(omega * n + phase)))),
  );
}

/** Root mean square over the range of 16 bits: a full-scale square wave is 0, a full-scale sine −3.01. */
export function levelDbfs(samples: Int16Array): number {
  const energy = samples.reduce((sum, sample) => sum + sample * sample, 0);
  return 10 * Math.log10(energy / samples.length / FULL_SCALE ** 2);
}

/** Level on the scale on which a full-scale sine is +3.14. */
export function levelDbm0(samples: Int16Array): number {
  return levelDbfs(samples) + 10 * Math.log10(2) + FULL_SCALE_DBM0;
}

export interface SineFit {
  /** Peak, in 16-bit units. */
  amplitude: number;
  levelDbm0: number;
  /** Phase of the first sample, in radians, −π…π. */
  phase: number;
  /** Power of the sine over the power of everything else, the mean included. */
  snrDb: number;
}

/** Solves a · x = b for a symmetric positive definite 3 × 3 matrix, by Gaussian elimination. */
function solve3(a: number[][], b: number[]): [number, number, number] {
  const rows = a.map((row, i) => [...row, b[i] ?? 0]);
  const at = (row: number, column: number): number => rows[row]?.[column] ?? 0;
  for (let pivot = 0; pivot < 3; pivot++) {
    for (let row = 0; row < 3; row++) {
      if (row === pivot) continue;
      const factor = at(row, pivot) / at(pivot, pivot);
      rows[row] = (rows[row] ?? []).map((value, column) => value - factor * at(pivot, column));
    }
  }
  return [at(0, 3) / at(0, 0), at(1, 3) / at(1, 1), at(2, 3) / at(2, 2)];
}

/** Least-squares fit of a sine of known frequency, and a constant, to `samples`. */
export function fitSine(samples: Int16Array, rateHz: number, frequencyHz: number): SineFit {
  const omega = (2 * Math.PI * frequencyHz) / rateHz;
  const basis = (n: number): [number, number, number] => [Math.sin(omega * n), Math.cos(omega * n), 1];
  const normal = [0, 1, 2].map(() => [0, 0, 0]);
  const right = [0, 0, 0];
  samples.forEach((sample, n) => {
    const values = basis(n);
    values.forEach((value, i) => {
      right[i] = (right[i] ?? 0) + value * sample;
      normal[i] = (normal[i] ?? []).map((sum, j) => sum + value * (values[j] ?? 0));
    });
  });
  const [inPhase, quadrature] = solve3(normal, right);
  const amplitude = Math.hypot(inPhase, quadrature);
  const noise = samples.reduce((sum, sample, n) => {
    const [sin, cos] = basis(n);
    return sum + (sample - inPhase * sin - quadrature * cos) ** 2;
  }, 0);
  return {
    amplitude,
    levelDbm0: 20 * Math.log10(amplitude / FULL_SCALE) + FULL_SCALE_DBM0,
    phase: Math.atan2(quadrature, inPhase),
    snrDb: 10 * Math.log10((amplitude ** 2 * samples.length) / 2 / noise),
  };
}

export interface Discontinuity {
  /** The sample it was noticed at: within one window of the fault. */
  atSample: number;
  /** `level`: the tone is more than 3 dB off. `phase`: samples were lost, repeated or put in between. */
  kind: 'level' | 'phase';
}

export interface DiscontinuityOptions {
  rateHz: number;
  frequencyHz: number;
  /** Span of one measurement: default 10 ms. Choose one that holds whole periods of the tone. */
  windowMs?: number;
  /** Largest change of phase from window to window that is not a fault: default 0.1 rad. */
  tolerance?: number;
}

/**
 * Where a recording of a steady tone is not the steady tone: measures level and phase in adjoining windows and
 * reports those whose level is off the median, or whose phase is not the previous one continued. One sample
 * lost of a 1 kHz tone at 8 kHz is 0.79 rad.
 */
export function findDiscontinuities(samples: Int16Array, options: DiscontinuityOptions): Discontinuity[] {
  const { rateHz, frequencyHz, windowMs = 10, tolerance = 0.1 } = options;
  const length = Math.round((rateHz * windowMs) / 1000);
  const advance = (2 * Math.PI * frequencyHz * length) / rateHz;
  const fits = Array.from({ length: Math.floor(samples.length / length) }, (_, i) =>
    fitSine(samples.subarray(i * length, (i + 1) * length), rateHz, frequencyHz),
  );
  const usual = fits.map((fit) => fit.amplitude).sort((a, b) => a - b)[fits.length >> 1] ?? 0;
  const found: Discontinuity[] = [];
  fits.forEach((fit, i) => {
    const previous = fits[i - 1];
    if (Math.abs(20 * Math.log10(fit.amplitude / usual)) > 3) found.push({ atSample: i * length, kind: 'level' });
    else if (previous && phaseError(fit.phase, previous.phase + advance) > tolerance)
      found.push({ atSample: i * length, kind: 'phase' });
  });
  return found;
}

function phaseError(phase: number, expected: number): number {
  const turns = (phase - expected) / (2 * Math.PI);
  return Math.abs(turns - Math.round(turns)) * 2 * Math.PI;
}

/** A reproducible source of numbers in [0, 1) (mulberry32): for tests that mutate or shuffle. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
