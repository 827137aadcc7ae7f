import { describe, expect, it } from 'vitest';
import { Concealment } from '../../../src/audio/concealment.js';
import { findPitch } from '../../../src/audio/pitch.js';
import { fitSine, levelDbm0, seededRandom, tone } from '../../support/signal.js';

const RATES = [8_000, 16_000] as const;
const FRAME_MS = 20;

/** A voice: the harmonics of `pitchHz`, falling by 6 dB an octave. */
function voice(rateHz: number, pitchHz: number, durationMs: number): Int16Array {
  return Int16Array.from({ length: (rateHz * durationMs) / 1_000 }, (_, n) => {
    let sample = 0;
    for (let harmonic = 1; harmonic * pitchHz < 3_400; harmonic++) {
      sample += Math.sin((2 * Math.PI * harmonic * pitchHz * n) / rateHz + harmonic ** 2) / harmonic;
    }
    return Math.round(4_000 * sample);
  });
}

/** What becomes of `sent` when the frames `isLost` names do not come. */
function through(rateHz: 8_000 | 16_000, sent: Int16Array, isLost: (frame: number) => boolean): Int16Array {
  const concealment = new Concealment(rateHz);
  const heard = sent.slice();
  const frame = (rateHz * FRAME_MS) / 1_000;
  for (let at = 0; at + frame <= heard.length; at += frame) {
    if (isLost(at / frame)) concealment.conceal(heard, at, frame);
    else concealment.heard(heard, at, frame);
  }
  return heard;
}

const steepest = (samples: Int16Array): number =>
  samples.reduce((most, sample, i) => Math.max(most, Math.abs(sample - (samples[i - 1] ?? sample))), 0);

const errorDb = (sent: Int16Array, heard: Int16Array): number => {
  const power = (samples: Int16Array): number => samples.reduce((sum, sample) => sum + sample * sample, 0);
  return 10 * Math.log10(power(sent.map((sample, i) => sample - (heard[i] ?? 0))) / power(sent));
};

describe.each(RATES)('Concealment at %d Hz', (rateHz) => {
  const frame = (rateHz * FRAME_MS) / 1_000;

  it('leaves what came as it came', () => {
    const random = seededRandom(1);
    const sent = Int16Array.from({ length: 50 * frame }, () => (random() - 0.5) * 65_535);
    expect(through(rateHz, sent, () => false)).toEqual(sent);
  });

  it.each([70, 100, 125, 180, 240])('continues a voice of %d Hz so that a lost frame hardly shows', (pitchHz) => {
    const sent = voice(rateHz, pitchHz, 400);
    const heard = through(rateHz, sent, (n) => n === 10);
    const [was, is] = [sent.subarray(10 * frame, 10.5 * frame), heard.subarray(10 * frame, 10.5 * frame)];
    expect(errorDb(was, is)).toBeLessThan(-9);
    expect(steepest(heard)).toBeLessThan(1.1 * steepest(sent));
  });

  it.each([1, 2, 3, 4, 10])('begins and ends %d lost frames of a tone without a step', (lost) => {
    for (let shift = 0; shift < 7; shift++) {
      const sent = tone({ rateHz, frequencyHz: 433, levelDbm0: -10, durationMs: 600, phase: shift });
      const heard = through(rateHz, sent, (n) => n >= 10 && n < 10 + lost);
      expect(steepest(heard)).toBeLessThan(1.35 * steepest(sent));
      expect(heard.subarray((10 + lost + 1) * frame)).toEqual(sent.subarray((10 + lost + 1) * frame));
    }
  });

  it('fades to silence within 60 ms, after 10 ms at full level', () => {
    const sent = tone({ rateHz, frequencyHz: 1_000, levelDbm0: -10, durationMs: 400 });
    const heard = through(rateHz, sent, (n) => n >= 10);
    const levelAt = (ms: number): number =>
      levelDbm0(heard.subarray((200 + ms) * (rateHz / 1_000)).subarray(0, rateHz / 200));
    expect(levelAt(5)).toBeCloseTo(-10, 0);
    expect(levelAt(32.5)).toBeCloseTo(-10 + 20 * Math.log10(0.5), 0);
    expect(levelAt(54)).toBeLessThan(-30);
    expect(heard.subarray(13 * frame).every((sample) => sample === 0)).toBe(true);
  });

  it('fades within 5 ms when the signal has ended by itself', () => {
    const concealment = new Concealment(rateHz);
    const sent = voice(rateHz, 110, 200);
    concealment.heard(sent, 0, sent.length);
    concealment.stop();
    const made = new Int16Array(frame);
    concealment.conceal(made, 0, frame);
    expect(made.subarray(0, frame / 8).some((sample) => Math.abs(sample) > 1_000)).toBe(true);
    expect(made.subarray(frame / 4).every((sample) => sample === 0)).toBe(true);
    expect(concealment.isSilent).toBe(true);
  });

  it('makes up the same, however what is missing is cut', () => {
    const sent = voice(rateHz, 95, 300);
    const whole = through(rateHz, sent, (n) => n >= 8 && n < 12);
    const concealment = new Concealment(rateHz);
    const heard = sent.slice();
    concealment.heard(heard, 0, 8 * frame);
    for (let at = 8 * frame; at < 12 * frame; at += frame / 16) concealment.conceal(heard, at, frame / 16);
    for (let at = 12 * frame; at < sent.length; at += frame / 8) concealment.heard(heard, at, frame / 8);
    expect(heard).toEqual(whole);
  });

  it('does not let a talkspurt rise that was not broken off', () => {
    const concealment = new Concealment(rateHz);
    const sent = voice(rateHz, 110, 100);
    concealment.heard(sent.slice(), 0, sent.length);
    concealment.conceal(new Int16Array(5 * frame), 0, 5 * frame);
    concealment.startAfresh();
    const heard = sent.slice();
    expect(concealment.heard(heard, 0, heard.length)).toBe(0);
    expect(heard).toEqual(sent);
  });

  it('survives anything in any order', () => {
    const random = seededRandom(4);
    const concealment = new Concealment(rateHz, 35);
    for (let n = 0; n < 1_500; n++) {
      const pcm = Int16Array.from({ length: 1 + Math.floor(random() * 2 * frame) }, () =>
        random() < 0.5 ? 32_767 : -32_768,
      );
      const what = random();
      if (what < 0.5) concealment.heard(pcm, 0, pcm.length);
      else if (what < 0.9) concealment.conceal(pcm, 0, pcm.length);
      else if (what < 0.95) concealment.stop();
      else concealment.startAfresh();
    }
    const pcm = new Int16Array(5 * frame);
    concealment.conceal(pcm, 0, pcm.length);
    expect(concealment.isSilent).toBe(true);
  });
});

describe.each(RATES)('findPitch at %d Hz', (rateHz) =>
  it.each([70, 88, 100, 133, 190])('finds the period of a voice of %d Hz', (pitchHz) => {
    const lag = findPitch(voice(rateHz, pitchHz, 60), rateHz / 1_000);
    const periods = (lag * pitchHz) / rateHz;
    expect(Math.abs(periods - Math.round(periods))).toBeLessThan(0.03);
  }),
);

it('goes on at the level of noise, which has no period', () => {
  const random = seededRandom(2);
  const sent = Int16Array.from({ length: 8_000 }, () => (random() - 0.5) * 6_000);
  const heard = through(8_000, sent, (n) => n === 25);
  expect(Math.abs(levelDbm0(heard.subarray(4_000, 4_080)) - levelDbm0(sent))).toBeLessThan(3);
  expect(fitSine(heard.subarray(4_000, 4_080), 8_000, 100).snrDb).toBeLessThan(0);
});
