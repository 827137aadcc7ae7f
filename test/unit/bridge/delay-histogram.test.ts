import { describe, expect, it } from 'vitest';
import { DelayHistogram } from '../../../src/bridge/delay-histogram.js';

function summaryOf(delays: readonly number[]): DelayHistogram['summary'] {
  const histogram = new DelayHistogram();
  for (const delayMs of delays) histogram.record(delayMs);
  return histogram.summary;
}

describe('DelayHistogram', () => {
  it('says nothing of nothing', () => expect(summaryOf([])).toBeUndefined());

  it('is right to within 5 % from a hundredth of a millisecond to twenty seconds', () => {
    for (const scaleMs of [0.5, 1, 30, 900, 19_000]) {
      const summary = summaryOf(Array.from({ length: 1_000 }, (_, n) => (scaleMs * (n + 1)) / 1_000));
      expect(summary?.count).toBe(1_000);
      expect(Math.abs((summary?.p50Ms ?? 0) / (0.5 * scaleMs) - 1)).toBeLessThan(0.05);
      expect(Math.abs((summary?.p95Ms ?? 0) / (0.95 * scaleMs) - 1)).toBeLessThan(0.05);
      expect(summary?.maxMs).toBe(scaleMs);
    }
  });

  it('tells a few long delays from many short ones', () => {
    const delays = [...Array.from({ length: 96 }, () => 0.2), 60, 61, 62, 63];
    const summary = summaryOf(delays);
    expect(summary?.p50Ms).toBeLessThan(0.25);
    expect(summary?.p95Ms).toBeLessThan(0.25);
    expect(summary?.maxMs).toBe(63);
  });

  it('takes none, less than none and far too much', () => {
    expect(summaryOf([0])).toEqual({ count: 1, p50Ms: 0, p95Ms: 0, maxMs: 0 });
    expect(summaryOf([-5])).toMatchObject({ maxMs: 0 });
    expect(summaryOf([10_000_000])?.maxMs).toBe(10_000_000);
  });
});
