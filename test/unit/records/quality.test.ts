import { describe, expect, it } from 'vitest';
import { estimateMos, qualityOf } from '../../../src/records/quality.js';
import { bridgeStats } from './bridge-stats.js';

const rtcp = bridgeStats().path.rtcp;

describe('the estimated score', () => {
  it.each([
    // ITU-T G.107: the best rating, 93.2, is a score of 4.41.
    { lossPercent: 0, delayMs: 20, mos: 4.41 },
    // Idd of 150 ms is 0.1, of 200 ms 3.0, of 400 ms 24 (G.114's curve).
    { lossPercent: 0, delayMs: 200, mos: 4.34 },
    { lossPercent: 0, delayMs: 400, mos: 3.56 },
    // Ie,eff is 16 at 5 %.
    { lossPercent: 5, delayMs: 20, mos: 3.92 },
    { lossPercent: 100, delayMs: 5_000, mos: 1 },
  ])('with $lossPercent % lost, $delayMs ms is $mos', ({ mos, ...what }) =>
    expect(Math.abs(estimateMos(what) - mos)).toBeLessThanOrEqual(0.03),
  );

  it('never gets better with more loss or delay, and never leaves its scale', () => {
    for (let percent = 0; percent < 100; percent++) {
      const [here, more, later] = [
        { lossPercent: percent, delayMs: 10 * percent },
        { lossPercent: percent + 1, delayMs: 10 * percent },
        { lossPercent: percent, delayMs: 10 * percent + 10 },
      ].map(estimateMos) as [number, number, number];
      expect(more).toBeLessThanOrEqual(here);
      expect(later).toBeLessThanOrEqual(here);
      expect(here).toBeLessThanOrEqual(4.5);
      expect(more).toBeGreaterThanOrEqual(1);
    }
  });
});

describe('the quality of a call', () => {
  it('is only told of one that was answered', () =>
    expect(qualityOf(bridgeStats({ path: { activeMs: 0 } }))).toBeUndefined());

  it('of one without RTCP is what the bridge itself has seen', () =>
    expect(qualityOf(bridgeStats())).toEqual({
      uplink: { mos: 4.41, lossPercent: 0, jitterMs: 0, receivedMs: 60_000, concealedMs: 0, lateMs: 0 },
      downlink: { agentUnderruns: 0 },
    }));

  it('counts lost and late packets alike, and what was put in their place', () => {
    const stats = bridgeStats({
      uplink: { late: 30, filledMs: 3_000, concealedMs: 1_800, frames: 3_000 },
      path: { lostPackets: 60, jitterMs: 7.5 },
    });
    expect(qualityOf(stats)?.uplink).toMatchObject({
      lossPercent: 3,
      jitterMs: 7.5,
      receivedMs: 57_000,
      concealedMs: 1_800,
      lateMs: 600,
    });
  });

  it('tells what the caller hears by its RTCP', () => {
    const reported = { lost: 150, fractionLost: 0.1, jitterMs: 12.34 };
    const addedDelay = { downlink: { count: 3, p50Ms: 12, p95Ms: 19, maxMs: 20 } };
    const stats = bridgeStats({
      downlink: { underruns: 2 },
      path: { rtcp: { ...rtcp, reported, roundTripMs: 80.04 }, addedDelay },
    });
    expect(qualityOf(stats)).toMatchObject({
      downlink: { mos: 3.92, lossPercent: 5, jitterMs: 12.3, agentUnderruns: 2, addedDelayMs: addedDelay.downlink },
      roundTripMs: 80,
    });
  });

  it('has no score for nothing', () => {
    const stats = bridgeStats({ uplink: { packets: 0, frames: 0 }, path: { expectedPackets: 0, packetMs: 0 } });
    expect(qualityOf(stats)?.uplink).toEqual({
      lossPercent: 0,
      jitterMs: 0,
      receivedMs: 0,
      concealedMs: 0,
      lateMs: 0,
    });
  });
});
