/** A full-scale sine on the scale of ITU-T G.711 table 1 (A-law; µ-law's is 3.17, the same within what is shown). */
const FULL_SCALE_SINE_DBM0 = 3.14;
const FULL_SCALE = 32_768;

/** Blocks this far below the loudest are pauses, not speech. */
const PAUSE_BELOW_LOUDEST_DB = 30;
const BLOCK_MS = 20;

/** Length of the excerpt a recording is searched for: several periods of any voice. */
const EXCERPT_MS = 50;
/** It is looked for where the recording is this much softer or louder at most. */
const MAX_GAIN = 10 ** (12 / 10);

/** How a stretch of a recording compares with what was said. */
export interface SpeechMatch {
  /** Where in the recording the reference begins. Negative when its beginning is missing. */
  readonly atSample: number;
  /**
   * Power of the reference over the power of the difference, sample by sample and without adjusting the gain, over
   * those samples of the reference that were recorded. Infinity when they are equal.
   *
   * It counts all that may go wrong on the way: companding, filters, wrong gain, lost, repeated or shifted samples.
   * G.711 alone gives 36 to 38 dB for speech at a good level; one lost 20 ms packet in two seconds costs 10 dB and more.
   */
  readonly snrDb: number;
  /** Level of the recorded speech relative to the reference. */
  readonly gainDb: number;
}

/** Level of a stretch, pauses included, in dBm0. Minus infinity for digital silence. */
export function levelDbm0(samples: Int16Array): number {
  return powerDbm0(meanSquare(samples));
}

/**
 * Level of the speech in a stretch, in dBm0: the power over those 20 ms blocks that are not pauses, much as the active
 * speech level of ITU-T P.56. Minus infinity for digital silence.
 */
export function speechLevelDbm0(samples: Int16Array, rateHz: number): number {
  const blocks = blockPowers(samples, (rateHz * BLOCK_MS) / 1000);
  const loudest = blocks.reduce((most, power) => Math.max(most, power), 0);
  const active = blocks.filter((power) => power > loudest * 10 ** (-PAUSE_BELOW_LOUDEST_DB / 10));
  return powerDbm0(active.reduce((sum, power) => sum + power, 0) / Math.max(1, active.length));
}

/** Greatest distance from zero. */
export function peakOf(samples: Int16Array): number {
  return samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0);
}

/** Every second sample: half the rate, for sound that has nothing above a quarter of it. */
export function everySecond(samples: Int16Array, first: 0 | 1 = 0): Int16Array {
  return Int16Array.from({ length: (samples.length - first) >> 1 }, (_, n) => samples[first + 2 * n] ?? 0);
}

/**
 * Finds `reference` in `recording`, both at `rateHz`, by the cross-correlation of its loudest excerpt, and compares
 * the two there. Undefined when there is nothing to be found: silence, or less than 50 ms, on either side.
 */
export function matchSpeech(reference: Int16Array, recording: Int16Array, rateHz: number): SpeechMatch | undefined {
  const length = (rateHz * EXCERPT_MS) / 1000;
  const excerptAt = loudestExcerpt(reference, length);
  if (excerptAt === undefined || recording.length < length) return undefined;
  const foundAt = bestCorrelation(reference.subarray(excerptAt, excerptAt + length), recording);
  if (foundAt === undefined) return undefined;
  return compareAt(reference, recording, foundAt - excerptAt);
}

function compareAt(reference: Int16Array, recording: Int16Array, atSample: number): SpeechMatch {
  let said = 0;
  let heard = 0;
  let difference = 0;
  const end = Math.min(reference.length, recording.length - atSample);
  for (let n = Math.max(0, -atSample); n < end; n++) {
    const expected = reference[n] ?? 0;
    const recorded = recording[atSample + n] ?? 0;
    said += expected ** 2;
    heard += recorded ** 2;
    difference += (recorded - expected) ** 2;
  }
  return { atSample, snrDb: decibels(said / difference), gainDb: decibels(heard / said) };
}

function loudestExcerpt(samples: Int16Array, length: number): number | undefined {
  let power = 0;
  let most = 0;
  let at: number | undefined;
  for (let end = 1; end <= samples.length; end++) {
    power += (samples[end - 1] ?? 0) ** 2 - (end > length ? (samples[end - 1 - length] ?? 0) ** 2 : 0);
    if (end < length || power <= most) continue;
    most = power;
    at = end - length;
  }
  return at;
}

/** Where in `recording` the shape of `excerpt` is most like what is there, of all places about as loud. */
function bestCorrelation(excerpt: Int16Array, recording: Int16Array): number | undefined {
  const excerptPower = dotProduct(excerpt, excerpt, 0);
  const beginning = recording.subarray(0, excerpt.length);
  let power = dotProduct(beginning, beginning, 0);
  let best = -Infinity;
  let bestAt: number | undefined;
  for (let at = 0; at + excerpt.length <= recording.length; at++) {
    if (at > 0) power += (recording[at + excerpt.length - 1] ?? 0) ** 2 - (recording[at - 1] ?? 0) ** 2;
    if (power * MAX_GAIN < excerptPower || power > excerptPower * MAX_GAIN) continue;
    const likeness = dotProduct(excerpt, recording, at) / Math.sqrt(power);
    if (likeness <= best) continue;
    best = likeness;
    bestAt = at;
  }
  return bestAt;
}

function dotProduct(excerpt: Int16Array, recording: Int16Array, at: number): number {
  let sum = 0;
  for (let n = 0; n < excerpt.length; n++) sum += (excerpt[n] ?? 0) * (recording[at + n] ?? 0);
  return sum;
}

function blockPowers(samples: Int16Array, blockLength: number): number[] {
  return Array.from({ length: Math.ceil(samples.length / blockLength) }, (_, block) =>
    meanSquare(samples.subarray(block * blockLength, (block + 1) * blockLength)),
  );
}

function meanSquare(samples: Int16Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return sum / Math.max(1, samples.length);
}

function powerDbm0(power: number): number {
  return decibels((2 * power) / FULL_SCALE ** 2) + FULL_SCALE_SINE_DBM0;
}

function decibels(ratio: number): number {
  return 10 * Math.log10(ratio);
}
