import { describe, expect, it } from 'vitest';
import { FrameSplicer } from '../../../src/audio/frame-splicer.js';
import { findDiscontinuities, seededRandom, tone } from '../../support/signal.js';

const FRAME = 160;
const RATE_HZ = 8_000;

/** Sends `samples` frame by frame, `leadMs` off until a correction is made; what comes out of it. */
function spliced(samples: Int16Array, leadMs: number): { heard: Int16Array; corrections: number } {
  const splicer = new FrameSplicer(FRAME);
  const out: number[] = [];
  let corrections = 0;
  for (let at = 0; at + FRAME <= samples.length; at += FRAME) {
    const frame = samples.subarray(at, at + FRAME);
    const splice = splicer.next(frame, corrections > 0 ? 0 : leadMs);
    if (splice === 'hold' || splice === 'stretched') corrections += 1;
    if (splice === 'joined' || splice === 'stretched') out.push(...splicer.blend);
    if (splice === 'as-is' || splice === 'stretched') out.push(...frame);
  }
  return { heard: Int16Array.from(out), corrections };
}

function noise(length: number, rms: number): Int16Array {
  const random = seededRandom(5);
  return Int16Array.from({ length }, () => (random() - 0.5) * Math.sqrt(12) * rms);
}

describe('FrameSplicer', () => {
  it.each([0, 11, -11])('touches nothing while the error is %d ms', (leadMs) => {
    const samples = noise(50 * FRAME, 20);
    expect(spliced(samples, leadMs)).toEqual({ heard: samples, corrections: 0 });
  });

  it.each([
    { leadMs: 13, frames: 49 },
    { leadMs: -13, frames: 51 },
  ])('corrects $leadMs ms in background noise by a frame', ({ leadMs, frames }) => {
    const { heard, corrections } = spliced(noise(50 * FRAME, 20), leadMs);
    expect(corrections).toBe(1);
    expect(heard.length).toBe(frames * FRAME);
  });

  it.each([13, -13])('corrects %d ms in a tone whose period divides a frame, and it goes on unbroken', (leadMs) => {
    const samples = tone({ rateHz: RATE_HZ, frequencyHz: 400, levelDbm0: -10, durationMs: 1_000 });
    const { heard, corrections } = spliced(samples, leadMs);
    expect(corrections).toBe(1);
    expect(findDiscontinuities(heard, { rateHz: RATE_HZ, frequencyHz: 400 })).toEqual([]);
  });

  it.each([20, -20])('waits for a pause in speech with %d ms', (leadMs) => {
    // Loud noise is as unlike itself as a voice between its vowels.
    const samples = noise(50 * FRAME, 3_000);
    samples.set(noise(5 * FRAME, 20), 30 * FRAME);
    const { heard, corrections } = spliced(samples, leadMs);
    expect(corrections).toBe(1);
    expect(heard.subarray(0, 30 * FRAME)).toEqual(samples.subarray(0, 30 * FRAME));
    expect(heard.subarray(-15 * FRAME)).toEqual(samples.subarray(-15 * FRAME));
  });

  it.each([36, -36])('does not wait with %d ms, and joins without a step', (leadMs) => {
    const samples = tone({ rateHz: RATE_HZ, frequencyHz: 425, levelDbm0: -10, durationMs: 1_000 });
    const { heard, corrections } = spliced(samples, leadMs);
    expect(corrections).toBe(1);
    const steepest = (all: Int16Array): number =>
      all.reduce((most, sample, i) => Math.max(most, Math.abs(sample - (all[i - 1] ?? sample))), 0);
    expect(steepest(heard)).toBeLessThan(1.05 * steepest(samples));
  });

  it('leaves some frames between two corrections', () => {
    const splicer = new FrameSplicer(FRAME);
    const splices = Array.from({ length: 12 }, () => splicer.next(new Int16Array(FRAME), -30));
    const at = splices.flatMap((splice, i) => (splice === 'stretched' ? [i] : []));
    expect(at.length).toBeGreaterThan(1);
    expect(Math.min(...at.slice(1).map((n, i) => n - (at[i] ?? 0)))).toBeGreaterThanOrEqual(2);
  });
});
