import { describe, expect, it } from 'vitest';
import { impairedUplink, middleAndMost, type Network } from '../../bench/impaired-uplink.js';
import { logSpectralDistance } from '../../bench/speech-score.js';
import { readWav } from '../../../src/phone/wav.js';
import { seededRandom } from '../../support/signal.js';

/** Background noise: what is in it does not matter here, only when it comes. */
function quiet(seconds: number): Int16Array {
  const random = seededRandom(8);
  return Int16Array.from({ length: 8_000 * seconds }, () => (random() - 0.5) * 60);
}

const figuresOf = (network: Network, seconds = 60): ReturnType<typeof impairedUplink> =>
  impairedUplink(quiet(seconds), network);

describe('The way to the agent', () => {
  it('adds no delay to what comes in order', () => {
    const { addedMs, gaps, filledMs, timelineErrorMs } = figuresOf({});
    expect(middleAndMost(addedMs)).toEqual([0, 0, 0]);
    expect(addedMs.length).toBe(3_000);
    expect({ gaps, timelineErrorMs }).toEqual({ gaps: 0, timelineErrorMs: 0 });
    expect(filledMs).toBeLessThanOrEqual(100); // until the first packet
  });

  it.each([10, 20, 40])(
    'with jitter of %d ms adds no more than 60 ms, the network included, and loses nothing',
    (jitterMs) => {
      const { addedMs, behindMs, lost, late, gaps, concealedMs } = figuresOf({ jitterMs });
      expect(middleAndMost(addedMs)[2]).toBeLessThanOrEqual(jitterMs);
      expect(middleAndMost(behindMs)[2]).toBeLessThanOrEqual(60);
      expect({ lost, late, gaps, concealedMs }).toEqual({ lost: 0, late: 0, gaps: 0, concealedMs: 0 });
    },
  );

  it('with jitter of 80 ms in order loses next to nothing', () => {
    const { late, timelineErrorMs, longestGapMs } = figuresOf({ jitterMs: 80, keepsOrder: true });
    expect(late).toBeLessThanOrEqual(3);
    expect(Math.abs(timelineErrorMs)).toBeLessThanOrEqual(40);
    expect(longestGapMs).toBeLessThanOrEqual(120);
  });

  it.each([
    { loss: 0.01 },
    { loss: 0.05 },
    { loss: 0.1 },
    { loss: 0.05, burst: 3 },
    { loss: 0.05, reordered: 0.05, duplicated: 0.05 },
  ])('keeps its time and its pace through %o', (network) => {
    const { timelineErrorMs, gaps, lost, late, concealedMs, addedMs } = figuresOf(network);
    expect(lost).toBeGreaterThan(0);
    expect({ timelineErrorMs, gaps, late }).toEqual({ timelineErrorMs: 0, gaps: 0, late: 0 });
    expect(concealedMs).toBeLessThanOrEqual(20 * lost);
    // A gap is waited for 40 ms, and the tick that ends the waiting comes 20 ms later at most.
    expect(middleAndMost(addedMs)[2]).toBeLessThanOrEqual(60);
  });

  it.each([300, -300, 500, -500])(
    'stays within 40 ms of live with a clock off by %d ppm, jitter and loss',
    (driftPpm) => {
      const { timelineErrorMs, corrections } = figuresOf({ driftPpm, jitterMs: 20, loss: 0.01 }, 300);
      expect(Math.abs(timelineErrorMs)).toBeLessThanOrEqual(40);
      expect(corrections).toBeGreaterThan(2);
    },
  );
});

it('conceals a loss better than silence does', () => {
  const speech = readWav('config/demo/agent-answer.wav', 8_000);
  const perfect = impairedUplink(speech, {}).heard;
  const heard = impairedUplink(speech, { loss: 0.1 });
  expect(logSpectralDistance(perfect, perfect)).toBe(0);
  const distance = logSpectralDistance(perfect, heard.heard);
  expect(distance).toBeGreaterThan(0.1);
  const random = seededRandom(1);
  const holes = perfect.slice();
  for (let at = 0; at < holes.length; at += 320) if (random() < 0.1) holes.fill(0, at, at + 320);
  expect(distance).toBeLessThan(0.85 * logSpectralDistance(perfect, holes));
});
