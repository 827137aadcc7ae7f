import { describe, expect, it } from 'vitest';
import { decodeG711, encodeG711, type G711Law } from '../../../src/audio/g711.js';
import { Downsampler2x, Upsampler2x } from '../../../src/audio/resampler.js';
import { amplitudeOfDbm0, findDiscontinuities, fitSine, levelDbfs, seededRandom, tone } from '../../support/signal.js';

/** Samples at either end of a recording where the filter is not filled with the tone yet. */
const SETTLING = 200;

function upsample(input: Int16Array, frame = input.length): Int16Array {
  const output = new Int16Array(2 * input.length);
  const resampler = new Upsampler2x();
  for (let at = 0; at < input.length; at += frame) {
    resampler.process(input, at, Math.min(frame, input.length - at), output, 2 * at);
  }
  return output;
}

function downsample(input: Int16Array, frame = input.length): Int16Array {
  const output = new Int16Array(input.length / 2);
  const resampler = new Downsampler2x();
  for (let at = 0; at < input.length; at += frame) {
    resampler.process(input, at, Math.min(frame, input.length - at), output, at / 2);
  }
  return output;
}

function throughG711(law: G711Law, samples: Int16Array): Int16Array {
  const codeWords = new Uint8Array(samples.length);
  const output = new Int16Array(samples.length);
  encodeG711(law, samples, 0, samples.length, codeWords, 0);
  decodeG711(law, codeWords, 0, samples.length, output, 0);
  return output;
}

function noise(length: number, seed: number): Int16Array {
  const random = seededRandom(seed);
  return Int16Array.from({ length }, () => Math.floor(random() * 65_536) - 32_768);
}

const settled = (samples: Int16Array): Int16Array => samples.subarray(SETTLING);
const PASSBAND_HZ = [50, 200, 300, 1004, 2000, 3000, 3200, 3400];

describe('Upsampler2x', () => {
  it.each(PASSBAND_HZ)('passes %d Hz at its level, with an SNR of more than 80 dB', (frequencyHz) => {
    const sent = tone({ rateHz: 8000, frequencyHz, levelDbm0: 0, durationMs: 1000 });
    const fit = fitSine(settled(upsample(sent)), 16_000, frequencyHz);
    expect(Math.abs(fit.levelDbm0)).toBeLessThan(0.02);
    expect(fit.snrDb).toBeGreaterThan(80);
  });

  it('delays by what it says', () => {
    const impulse = new Int16Array(100);
    impulse[0] = 10_000;
    const output = upsample(impulse);
    expect(output.indexOf(10_000)).toBe(Upsampler2x.delaySamples);
  });

  it.each([1, 7, 80, 160, 333])('does not care about frames: %d samples at a time', (frame) => {
    const input = noise(4000, 1);
    expect(upsample(input, frame)).toEqual(upsample(input));
  });

  it('saturates instead of wrapping', () => {
    const square = Int16Array.from({ length: 400 }, (_, n) => (n % 8 < 4 ? 32_767 : -32_768));
    const delay = Upsampler2x.delaySamples;
    const output = upsample(square).subarray(delay);
    // Between two samples at the end of the range the curve lies beyond it: wrapped, it would change sign.
    const beyond = Array.from(square.subarray(0, -delay).keys()).filter((n) => square[n] === square[n + 1]);
    expect(beyond.length).toBeGreaterThan(200);
    expect(beyond.filter((n) => Math.sign(output[2 * n + 1] ?? 0) !== Math.sign(square[n] ?? 0))).toEqual([]);
    expect(beyond.some((n) => output[2 * n + 1] === 32_767)).toBe(true);
    expect(beyond.some((n) => output[2 * n + 1] === -32_768)).toBe(true);
  });

  it('starts from silence after a reset', () => {
    const resampler = new Upsampler2x();
    const output = new Int16Array(320);
    resampler.process(noise(160, 2), 0, 160, output, 0);
    resampler.reset();
    resampler.process(new Int16Array(160), 0, 160, output, 0);
    expect(output.every((sample) => sample === 0)).toBe(true);
  });
});

describe('Downsampler2x', () => {
  it.each(PASSBAND_HZ)('passes %d Hz at its level, with an SNR of more than 80 dB', (frequencyHz) => {
    const sent = tone({ rateHz: 16_000, frequencyHz, levelDbm0: 0, durationMs: 1000 });
    const fit = fitSine(settled(downsample(sent)), 8000, frequencyHz);
    expect(Math.abs(fit.levelDbm0)).toBeLessThan(0.02);
    expect(fit.snrDb).toBeGreaterThan(80);
  });

  it.each([4600, 4700, 5000, 6000, 7000, 7900])('lets nothing of %d Hz fold into the band', (frequencyHz) => {
    const sent = tone({ rateHz: 16_000, frequencyHz, levelDbm0: 3, durationMs: 1000 });
    expect(levelDbfs(sent) - levelDbfs(settled(downsample(sent)))).toBeGreaterThan(70);
  });

  it('delays by what it says', () => {
    const impulse = new Int16Array(200);
    impulse[0] = 20_000;
    const output = downsample(impulse);
    expect(output.indexOf(10_000)).toBe(Downsampler2x.delaySamples);
  });

  it.each([2, 14, 160, 320, 666])('does not care about frames: %d samples at a time', (frame) => {
    const input = noise(8000, 3);
    expect(downsample(input, frame)).toEqual(downsample(input));
  });

  it('starts from silence after a reset', () => {
    const resampler = new Downsampler2x();
    const output = new Int16Array(160);
    resampler.process(noise(320, 4), 0, 320, output, 0);
    resampler.reset();
    resampler.process(new Int16Array(320), 0, 320, output, 0);
    expect(output.every((sample) => sample === 0)).toBe(true);
  });
});

describe('the whole chain', () => {
  // Exactly 1 kHz has eight different samples at 8 kHz: its quantising error depends on the phase alone.
  it.each([
    ['mulaw', 1000, 0.39],
    ['alaw', 1000, 0.39],
    ['mulaw', 1004, 0],
    ['alaw', 1004, 0],
  ] as const)('keeps the quality of G.711 from law to law: %s, %d Hz', (law, frequencyHz, phase) => {
    const sent = tone({ rateHz: 8000, frequencyHz, levelDbm0: -10, durationMs: 1000, phase });
    const heard = throughG711(law, downsample(upsample(throughG711(law, sent), 160), 320));
    const fit = fitSine(settled(heard), 8000, frequencyHz);
    expect(fit.snrDb).toBeGreaterThan(36);
    expect(Math.abs(fit.levelDbm0 + 10)).toBeLessThan(0.3);
    expect(findDiscontinuities(settled(heard), { rateHz: 8000, frequencyHz })).toEqual([]);
  });

  it('is transparent up and down again, but for the delay', () => {
    const sent = tone({ rateHz: 8000, frequencyHz: 1004, levelDbm0: 3, durationMs: 500 });
    const back = downsample(upsample(sent));
    const delay = Upsampler2x.delaySamples / 2 + Downsampler2x.delaySamples;
    const errors = sent.subarray(SETTLING, -delay).map((sample, n) => sample - (back[n + SETTLING + delay] ?? 0));
    expect(Math.max(...errors.map(Math.abs))).toBeLessThanOrEqual(5);
  });
});

describe('the instruments themselves', () => {
  const steady = tone({ rateHz: 16_000, frequencyHz: 1004, levelDbm0: -10, durationMs: 500 });

  it('measure the level they generate', () => {
    const fit = fitSine(steady, 16_000, 1004);
    expect(fit.levelDbm0).toBeCloseTo(-10, 2);
    expect(fit.amplitude).toBeCloseTo(amplitudeOfDbm0(-10), 0);
    expect(findDiscontinuities(steady, { rateHz: 16_000, frequencyHz: 1004 })).toEqual([]);
  });

  it('notice one sample lost, one repeated, and silence', () => {
    const options = { rateHz: 16_000, frequencyHz: 1004 };
    const lost = Int16Array.from([...steady.subarray(0, 4000), ...steady.subarray(4001)]);
    const repeated = Int16Array.from([...steady.subarray(0, 4000), ...steady.subarray(3999)]);
    const muted = steady.slice().fill(0, 4000, 4320);
    expect(findDiscontinuities(lost, options).map((found) => found.kind)).toContain('phase');
    expect(findDiscontinuities(repeated, options).map((found) => found.kind)).toContain('phase');
    expect(findDiscontinuities(muted, options)).toContainEqual({ atSample: 4000, kind: 'level' });
  });
});
