import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import wavefile from 'wavefile';
import { readWav, writeWav } from '../../../src/phone/wav.js';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'wav-test-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

function sine(frequencyHz: number, rateHz: number, seconds: number, amplitude: number): Int16Array {
  return Int16Array.from({ length: Math.round(rateHz * seconds) }, (_, i) =>
    Math.round(amplitude * Math.sin((2 * Math.PI * frequencyHz * i) / rateHz)),
  );
}

/** Amplitude, phase and SNR (dB) of the sine nearest to `samples` (least squares at a known frequency), edges left out. */
function fitSine(
  samples: Int16Array,
  frequencyHz: number,
  rateHz: number,
): { amplitude: number; phase: number; snrDb: number } {
  const from = Math.round(rateHz * 0.1);
  const middle = samples.subarray(from, samples.length - from);
  // Whole periods, so that sine and cosine are orthogonal.
  const count = Math.floor((middle.length / rateHz) * 10) * (rateHz / 10);
  const omega = (2 * Math.PI * frequencyHz) / rateHz;
  let sin = 0;
  let cos = 0;
  for (let i = 0; i < count; i++) {
    sin += (2 / count) * (middle[i] ?? 0) * Math.sin(omega * (i + from));
    cos += (2 / count) * (middle[i] ?? 0) * Math.cos(omega * (i + from));
  }
  let noise = 0;
  for (let i = 0; i < count; i++) {
    noise += ((middle[i] ?? 0) - sin * Math.sin(omega * (i + from)) - cos * Math.cos(omega * (i + from))) ** 2;
  }
  const amplitude = Math.hypot(sin, cos);
  return { amplitude, phase: Math.atan2(cos, sin), snrDb: 10 * Math.log10((amplitude ** 2 / 2) * (count / noise)) };
}

describe('readWav', () => {
  it.each([
    [8_000, 16_000, 1_000],
    [8_000, 16_000, 3_000],
    [11_025, 16_000, 1_000],
    [22_050, 16_000, 1_000],
    [44_100, 16_000, 1_000],
    [44_100, 16_000, 3_000],
    [48_000, 16_000, 3_000],
    [48_000, 8_000, 1_000],
    [16_000, 8_000, 3_000],
    [44_100, 8_000, 1_000],
    [16_000, 16_000, 1_000],
  ])('brings %i Hz to %i Hz: a %i Hz tone keeps level, phase and purity', (fileHz, rateHz, frequencyHz) => {
    const path = join(folder, 'tone.wav');
    writeWav(path, [sine(frequencyHz, fileHz, 1.2 + 137 / fileHz, 16_000)], fileHz);
    const samples = readWav(path, rateHz);
    expect(samples.length).toBe(Math.round((1.2 + 137 / fileHz) * rateHz));
    const { amplitude, phase, snrDb } = fitSine(samples, frequencyHz, rateHz);
    expect(Math.abs(20 * Math.log10(amplitude / 16_000))).toBeLessThan(0.1);
    expect(Math.abs(phase)).toBeLessThan(0.01);
    expect(snrDb).toBeGreaterThan(75);
  });

  it('saturates where the filter overshoots full scale', () => {
    const path = join(folder, 'square.wav');
    const square = Int16Array.from({ length: 16_000 }, (_, i) => (i % 80 < 40 ? 32_767 : -32_768));
    writeWav(path, [square], 16_000);
    const samples = readWav(path, 8_000);
    // A wrapped overshoot would be a jump by almost the whole range inside a half wave.
    for (let i = 410; i < 7_000; i++) {
      const inHalfWave = i % 40;
      if (inHalfWave > 2 && inHalfWave < 18) expect(samples[i]).toBeGreaterThan(20_000);
      if (inHalfWave > 22 && inHalfWave < 38) expect(samples[i]).toBeLessThan(-20_000);
    }
    expect(Math.max(...samples)).toBe(32_767);
  });

  it('mixes channels', () => {
    const path = join(folder, 'stereo.wav');
    writeWav(path, [Int16Array.of(1_000, -2_000, 30_000), Int16Array.of(3_000, 1_000)], 8_000);
    expect([...readWav(path, 8_000)]).toEqual([2_000, -500, 15_000]);
  });

  it.each(['8', '24', '32', '32f', '64'])('reads a bit depth of %s', (bitDepth) => {
    const path = join(folder, `depth.wav`);
    const tone = sine(1_000, 8_000, 1.2, 16_000);
    writeFileSync(
      path,
      at16Bit(tone, (wav) => wav.toBitDepth(bitDepth)),
    );
    const { amplitude, snrDb } = fitSine(readWav(path, 8_000), 1_000, 8_000);
    expect(Math.abs(amplitude / 16_000 - 1)).toBeLessThan(bitDepth === '8' ? 0.01 : 0.001);
    expect(snrDb).toBeGreaterThan(bitDepth === '8' ? 35 : 75);
  });

  it.each([
    ['A-law', (wav: wavefile.WaveFile) => wav.toALaw(), 30],
    ['mu-law', (wav: wavefile.WaveFile) => wav.toMuLaw(), 30],
  ])('reads %s', (_name, encode, minSnrDb) => {
    const path = join(folder, 'law.wav');
    writeFileSync(path, at16Bit(sine(1_000, 8_000, 1.2, 16_000), encode));
    expect(fitSine(readWav(path, 8_000), 1_000, 8_000).snrDb).toBeGreaterThan(minSnrDb);
  });

  it('refuses ADPCM', () => {
    const path = join(folder, 'adpcm.wav');
    writeFileSync(
      path,
      at16Bit(sine(1_000, 8_000, 0.1, 16_000), (wav) => wav.toIMAADPCM()),
    );
    expect(() => readWav(path, 8_000)).toThrow(/ADPCM/);
  });

  it('names the file it cannot read', () => {
    const path = join(folder, 'no.wav');
    expect(() => readWav(path, 8_000)).toThrow(path);
    writeFileSync(path, 'not a WAV at all');
    expect(() => readWav(path, 8_000)).toThrow(path);
  });

  it('reads an empty recording', () => {
    const path = join(folder, 'empty.wav');
    writeWav(path, [new Int16Array(0)], 8_000);
    expect(readWav(path, 16_000)).toHaveLength(0);
  });
});

function at16Bit(samples: Int16Array, convert: (wav: wavefile.WaveFile) => void): Uint8Array {
  const wav = new wavefile.WaveFile();
  wav.fromScratch(1, 8_000, '16', samples);
  convert(wav);
  return wav.toBuffer();
}

it('writeWav needs a channel', () => expect(() => writeWav(join(folder, 'none.wav'), [], 8_000)).toThrow(RangeError));
