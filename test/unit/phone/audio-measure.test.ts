import { describe, expect, it } from 'vitest';
import { decodeG711, encodeG711, type G711Law } from '../../../src/audio/g711.js';
import { everySecond, levelDbm0, matchSpeech, peakOf, speechLevelDbm0 } from '../../../src/phone/audio-measure.js';
import { readWav } from '../../../src/phone/wav.js';
import { seededRandom, tone } from '../../support/signal.js';

const RATE_HZ = 8_000;
const speech = everySecond(readWav('config/demo/caller-question.wav', 2 * RATE_HZ));

const concat = (...parts: Int16Array[]): Int16Array => Int16Array.from(parts.flatMap((part) => [...part]));
const silence = (samples: number): Int16Array => new Int16Array(samples);

function companded(samples: Int16Array, law: G711Law): Int16Array {
  const coded = new Uint8Array(samples.length);
  const decoded = new Int16Array(samples.length);
  encodeG711(law, samples, 0, samples.length, coded, 0);
  decodeG711(law, coded, 0, samples.length, decoded, 0);
  return decoded;
}

function noise(samples: number, amplitude: number): Int16Array {
  const random = seededRandom(7);
  return Int16Array.from({ length: samples }, () => Math.round((2 * random() - 1) * amplitude));
}

describe('level', () => {
  it('is that of a sine on the G.711 scale', () => {
    const sine = tone({ rateHz: RATE_HZ, frequencyHz: 1_004, levelDbm0: -10, durationMs: 1_000 });
    expect(levelDbm0(sine)).toBeCloseTo(-10, 1);
    expect(speechLevelDbm0(sine, RATE_HZ)).toBeCloseTo(-10, 1);
  });

  it('of speech leaves pauses out', () => {
    const sine = tone({ rateHz: RATE_HZ, frequencyHz: 1_004, levelDbm0: -20, durationMs: 1_000 });
    const withPause = concat(sine, silence(3 * RATE_HZ));
    expect(levelDbm0(withPause)).toBeCloseTo(-26, 0);
    expect(speechLevelDbm0(withPause, RATE_HZ)).toBeCloseTo(-20, 1);
  });

  it('of digital silence is minus infinity', () => {
    expect(levelDbm0(silence(160))).toBe(-Infinity);
    expect(speechLevelDbm0(silence(0), RATE_HZ)).toBe(-Infinity);
    expect(peakOf(silence(160))).toBe(0);
  });

  it('finds the greatest distance from zero', () => expect(peakOf(Int16Array.of(3, -32_768, 32_767))).toBe(32_768));
});

describe('everySecond', () =>
  it('takes the even or the odd samples', () => {
    const samples = Int16Array.of(0, 1, 2, 3, 4);
    expect([...everySecond(samples)]).toEqual([0, 2]);
    expect([...everySecond(samples, 1)]).toEqual([1, 3]);
  }));

describe('matchSpeech', () => {
  it('finds speech anywhere in a recording, to the sample', () => {
    for (const at of [0, 1, 799, 12_345]) {
      const recording = concat(silence(at), speech, silence(500));
      expect(matchSpeech(speech, recording, RATE_HZ)).toEqual({ atSample: at, snrDb: Infinity, gainDb: 0 });
    }
  });

  it.each(['mulaw', 'alaw'] as const)('sees nothing but the companding of %s', (law) => {
    const recording = companded(concat(noise(4_000, 50), speech), law);
    const match = matchSpeech(speech, recording, RATE_HZ);
    expect(match?.atSample).toBe(4_000);
    expect(match?.snrDb).toBeGreaterThan(34);
    expect(match?.snrDb).toBeLessThan(40);
    expect(match?.gainDb).toBeCloseTo(0, 1);
  });

  it('counts a wrong gain, and says how much it is', () => {
    const quieter = speech.map((sample) => Math.round(sample / 2));
    const match = matchSpeech(speech, concat(silence(100), quieter), RATE_HZ);
    expect(match?.gainDb).toBeCloseTo(-6.02, 1);
    expect(match?.snrDb).toBeCloseTo(6.02, 1);
  });

  it('counts noise', () => {
    const added = noise(speech.length, 1_000);
    const noisy = speech.map((sample, n) => sample + (added[n] ?? 0));
    const expected = levelDbm0(speech) - levelDbm0(added);
    expect(matchSpeech(speech, noisy, RATE_HZ)?.snrDb).toBeCloseTo(expected, 0);
  });

  it('counts a packet lost in the middle of a word', () => {
    const holed = Int16Array.from(speech);
    holed.fill(0, 8_000, 8_160);
    expect(matchSpeech(speech, holed, RATE_HZ)?.snrDb).toBeLessThan(25);
  });

  it('counts a sample too many: nothing after it is in place', () => {
    const shifted = concat(speech.subarray(0, 6_000), Int16Array.of(0), speech.subarray(6_000));
    expect(matchSpeech(speech, shifted, RATE_HZ)?.snrDb).toBeLessThan(10);
  });

  it('compares what there is of speech that was cut off at either end', () => {
    const middle = speech.subarray(1_000, speech.length - 1_000);
    expect(matchSpeech(speech, middle, RATE_HZ)).toMatchObject({ atSample: -1_000, snrDb: Infinity });
  });

  it('has nothing to compare without sound', () => {
    expect(matchSpeech(silence(8_000), speech, RATE_HZ)).toBeUndefined();
    expect(matchSpeech(speech, silence(100), RATE_HZ)).toBeUndefined();
    expect(matchSpeech(speech.subarray(0, 100), speech, RATE_HZ)).toBeUndefined();
  });
});
