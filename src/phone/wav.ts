import { writeFileSync } from 'node:fs';
import waveResampler from 'wave-resampler';
import wavefile from 'wavefile';
import { errorText } from '../error-text.js';
import { readRegularFile } from '../regular-file.js';

/** An hour of 16-bit mono at 16 kHz; a bigger file is not a test utterance. */
const MAX_FILE_BYTES = 128 * 1024 * 1024;

/** Half the length of the interpolation kernel, in samples of the slower side. */
const SINC_HALF_WIDTH = 16;

/**
 * Reads a WAV file of any rate, bit depth (8 to 64 bits, float, A-law, mu-law) and number of channels.
 * @returns mono 16-bit samples at `rateHz`.
 * @throws Error naming the file when it cannot be read or is no such WAV.
 */
export function readWav(path: string, rateHz: number): Int16Array {
  try {
    const content = readRegularFile(path, MAX_FILE_BYTES);
    if (!content) throw new RangeError(`it has more than ${MAX_FILE_BYTES} bytes`);
    const wav = parse(content);
    const { sampleRate } = wav.fmt as { sampleRate: number };
    return toInt16(resampleWhole(monoSamples(wav), sampleRate, rateHz));
  } catch (error) {
    throw new Error(`${path}: ${errorText(error)}`, { cause: error });
  }
}

function parse(bytes: Buffer): wavefile.WaveFile {
  try {
    return new wavefile.WaveFile(bytes);
  } catch (error) {
    throw new Error(`no WAV file (${(error as Error).message})`, { cause: error });
  }
}

/** Writes a 16-bit WAV file; shorter channels are filled up with silence. */
export function writeWav(path: string, channels: readonly Int16Array[], rateHz: number): void {
  const length = Math.max(0, ...channels.map((channel) => channel.length));
  const filled = channels.map((channel) => {
    const samples = new Int16Array(length);
    samples.set(channel);
    return samples;
  });
  const [mono] = filled;
  if (!mono) throw new RangeError('a WAV file needs at least one channel');
  const wav = new wavefile.WaveFile();
  wav.fromScratch(filled.length, rateHz, '16', filled.length === 1 ? mono : filled);
  writeFileSync(path, wav.toBuffer());
}

function monoSamples(wav: wavefile.WaveFile): Float64Array {
  decode(wav);
  // Typed too narrowly: with several channels it is an array of arrays.
  const samples = wav.getSamples() as Float64Array | readonly Float64Array[];
  if (samples instanceof Float64Array) return samples;
  const [first, ...others] = samples;
  if (!first) return new Float64Array(0);
  return first.map(
    (sample, index) => others.reduce((sum, channel) => sum + (channel[index] ?? 0), sample) / samples.length,
  );
}

function decode(wav: wavefile.WaveFile): void {
  // wavefile's ADPCM puts in samples that are not there.
  if (wav.bitDepth === '4') throw new Error('ADPCM is not supported');
  if (wav.bitDepth === '8a') wav.fromALaw();
  else if (wav.bitDepth === '8m') wav.fromMuLaw();
  if (wav.bitDepth !== '16') wav.toBitDepth('16');
}

/**
 * Changes the rate of a whole recording with wave-resampler, whose defaults need help to be exact:
 *
 * - It stretches n samples over the length of n - 1. One sample of padding, and a target rate that makes the output as
 *   long as n samples are, put every output sample where it belongs (measured: 19 dB SNR without, over 100 dB with).
 * - Its sinc window is so narrow that 3 kHz loses 1.2 dB; a Hann window over the whole kernel loses none.
 * - It filters its input in place and may overshoot full scale: we hand it a copy and saturate what comes back.
 */
function resampleWhole(samples: Float64Array, fromHz: number, toHz: number): ArrayLike<number> {
  if (fromHz === toHz || samples.length === 0) return samples;
  const step = fromHz / greatestCommonDivisor(fromHz, toHz);
  const inputLength = Math.ceil(samples.length / step) * step;
  const padded = new Float64Array(inputLength + 1);
  padded.set(samples);
  const outputLength = (inputLength / fromHz) * toHz;
  // Half a sample more, so that rounding never makes it one less.
  const targetHz = ((outputLength + 0.5) / padded.length) * fromHz;
  const resampled = waveResampler.resample(padded, fromHz, targetHz, {
    method: 'sinc',
    sincFilterSize: SINC_HALF_WIDTH,
    sincWindow: (x: number) => 0.5 + 0.5 * Math.cos((Math.PI * x) / SINC_HALF_WIDTH),
  });
  return Array.prototype.slice.call(resampled, 0, Math.round((samples.length / fromHz) * toHz)) as number[];
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

function toInt16(samples: ArrayLike<number>): Int16Array {
  return Int16Array.from(samples, (sample) => Math.max(-32_768, Math.min(32_767, Math.round(sample))));
}
