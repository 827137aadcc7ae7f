/** Limits of 18 bands of about one Bark, in Hz: what a telephone carries of hearing's critical bands. */
const BAND_LIMITS_HZ = [
  100, 200, 300, 400, 510, 630, 770, 920, 1_080, 1_270, 1_480, 1_720, 2_000, 2_320, 2_700, 3_150, 3_400,
] as const;

const RATE_HZ = 16_000;
const SEGMENT = RATE_HZ / 5;
const FRAME = 320;
const FFT_SIZE = 512;

/** Where a segment is looked for around its place, and the step of the search. */
const SEARCH = (RATE_HZ * 60) / 1_000;
const STEP = 4;

/** Levels below this, in dB of a full-scale sine, are silence; a frame that has nothing above it is no speech. */
const FLOOR_DB = -60;
const SPEECH_DB = -40;

/**
 * How different two recordings of the same speech at 16 kHz sound: log-spectral distance in dB, 0 for none.
 *
 * Both are cut into frames of 20 ms (Hann window over 32 ms); in each frame that is speech in the reference, the levels of 17
 * bands of about one Bark from 100 to 3,400 Hz are compared, as root mean square of their differences in dB, silence
 * counting as −60 dB of full scale. The score is the mean over these frames. Each 200 ms of the reference are compared with
 * that place of the recording within ±60 ms where they fit best, so that what was shifted in time is not taken for wrong.
 *
 * As a measure: 1 dB is not heard, G.711 itself gives 0.3 dB; a frame replaced by silence counts with some 25 dB.
 */
export function logSpectralDistance(reference: Int16Array, recording: Int16Array): number {
  let sum = 0;
  let frames = 0;
  for (
    let at = SEARCH;
    at + SEGMENT + SEARCH + FFT_SIZE <= Math.min(reference.length, recording.length);
    at += SEGMENT
  ) {
    const shift = bestShift(reference, recording, at);
    for (let from = at; from < at + SEGMENT; from += FRAME) {
      const said = bandLevels(reference, from);
      if (Math.max(...said) < SPEECH_DB) continue;
      const heard = bandLevels(recording, from + shift);
      const squares = said.map((level, band) => (level - (heard[band] ?? 0)) ** 2);
      sum += Math.sqrt(squares.reduce((total, square) => total + square, 0) / squares.length);
      frames += 1;
    }
  }
  return sum / Math.max(1, frames);
}

function bestShift(reference: Int16Array, recording: Int16Array, at: number): number {
  let best = 0;
  let bestLikeness = likeness(reference, recording, at, 0);
  for (let shift = -SEARCH; shift <= SEARCH; shift += STEP) {
    const found = likeness(reference, recording, at, shift);
    if (found <= bestLikeness * 1.001) continue; // in doubt, where it belongs
    best = shift;
    bestLikeness = found;
  }
  return best;
}

function likeness(reference: Int16Array, recording: Int16Array, at: number, shift: number): number {
  let product = 0;
  let energy = 1;
  for (let i = at; i < at + SEGMENT; i += STEP) {
    const heard = recording[i + shift] ?? 0;
    product += (reference[i] ?? 0) * heard;
    energy += heard * heard;
  }
  return product / Math.sqrt(energy);
}

const WINDOW = Float64Array.from({ length: FFT_SIZE }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / FFT_SIZE));

function bandLevels(samples: Int16Array, from: number): number[] {
  const real = new Float64Array(FFT_SIZE);
  const imaginary = new Float64Array(FFT_SIZE);
  for (let i = 0; i < FFT_SIZE; i++) real[i] = ((samples[from + i] ?? 0) / 32_768) * (WINDOW[i] ?? 0);
  fft(real, imaginary);
  return BAND_LIMITS_HZ.slice(1).map((limitHz, band) => {
    let power = 0;
    const first = Math.ceil(((BAND_LIMITS_HZ[band] ?? 0) * FFT_SIZE) / RATE_HZ);
    const last = Math.ceil((limitHz * FFT_SIZE) / RATE_HZ);
    for (let bin = first; bin < last; bin++) power += (real[bin] ?? 0) ** 2 + (imaginary[bin] ?? 0) ** 2;
    // A full-scale sine has (size / 4)² in the window's main bin, and half as much again beside it.
    return Math.max(FLOOR_DB, 10 * Math.log10(power / (1.5 * (FFT_SIZE / 4) ** 2) + 1e-12));
  });
}

/** In place, radix 2. */
function fft(real: Float64Array, imaginary: Float64Array): void {
  const size = real.length;
  for (let i = 1, j = 0; i < size; i++) {
    let bit = size >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) [real[i], real[j]] = [real[j] ?? 0, real[i] ?? 0];
  }
  for (let length = 2; length <= size; length <<= 1) {
    for (let k = 0; k < length / 2; k++) {
      const cos = Math.cos((-2 * Math.PI * k) / length);
      const sin = Math.sin((-2 * Math.PI * k) / length);
      for (let i = k; i < size; i += length) {
        const j = i + length / 2;
        const [re, im] = [real[j] ?? 0, imaginary[j] ?? 0];
        const [turnedRe, turnedIm] = [re * cos - im * sin, re * sin + im * cos];
        real[j] = (real[i] ?? 0) - turnedRe;
        imaginary[j] = (imaginary[i] ?? 0) - turnedIm;
        real[i] = (real[i] ?? 0) + turnedRe;
        imaginary[i] = (imaginary[i] ?? 0) + turnedIm;
      }
    }
  }
}
