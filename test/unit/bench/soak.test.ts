import { describe, expect, it } from 'vitest';
import { BridgeLog } from '../../bench/soak/bridge-log.js';
import { chart } from '../../bench/soak/chart.js';
import { residentSlope, shortcomings, type SoakResult } from '../../bench/soak/soak-result.js';
import { Tally } from '../../bench/soak/tally.js';
import { slopePerMinute, warmUpMinutes } from '../../bench/soak/trend.js';

describe('The trend of a soak', () => {
  it('is the slope of the line through the points', () => {
    const points = [0, 1, 2, 3].map((atMinutes) => ({ atMinutes, value: 80 + 0.25 * atMinutes }));
    expect(slopePerMinute(points)).toBeCloseTo(0.25, 10);
  });

  it('is that of least squares where the points are on no line', () => {
    const points = [0, 2, 1, 3].map((value, atMinutes) => ({ atMinutes, value }));
    expect(slopePerMinute(points)).toBeCloseTo(0.8, 10);
  });

  it('is unknown of a single point', () => expect(slopePerMinute([{ atMinutes: 3, value: 80 }])).toBeNaN());

  it('leaves out the first 10 minutes, or a third of a short run', () =>
    expect([60, 30, 1.5].map(warmUpMinutes)).toEqual([10, 10, 0.5]));
});

describe('The chart of a soak', () => {
  it('grows by eighths of a row from the least to the greatest', () => {
    const values = Array.from({ length: 24 }, (_, n) => 10 + n);
    expect(chart('RSS', values).split('\n')).toEqual([
      'RSS                 33.0 │                ▁▂▃▄▅▆▇█',
      '                         │        ▁▂▃▄▅▆▇█████████',
      '                    10.0 │▁▂▃▄▅▆▇█████████████████',
      '',
    ]);
  });

  it('keeps a peak of a long run visible, and stays within 100 columns', () => {
    const lines = chart(
      'delay',
      Array.from({ length: 1_000 }, (_, n) => (n === 500 ? 90 : 1)),
    ).split('\n');
    expect(lines[0]).toMatch(/^delay +90\.0 │ {36}█ {35}$/);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  it('has a gap where a figure is missing', () => {
    expect(chart('delay', [5, NaN, 5])).toContain('5.0 │▁ ▁\n');
    expect(chart('delay', [NaN])).toBe('delay           no figures\n');
  });
});

describe('A tally', () =>
  it('counts without end but names only so many', () => {
    const tally = new Tally();
    for (let n = 0; n < 1_000; n++) tally.add(`cause ${n}`);
    expect(tally.total).toBe(1_000);
    expect(tally.of('others')).toBe(980);
  }));

const sample = { calls: 2, twoWay: 0, otherVerdicts: 0, cpuPercent: 1, mainDelayMs: 1, mediaDelayMs: 1 };
const idle = { calls: 0, residentMb: 80, descriptors: 20, handles: new Map([['Timeout of thread 0', 2]]) };

/** A run of `minutes` whose bridge gained `mbPerMinute`. */
function soaked({
  minutes = 60,
  mbPerMinute = 0.05,
  ...rest
}: Partial<SoakResult> & Record<string, unknown>): SoakResult {
  const log = new BridgeLog();
  const record = { event: 'call.ended', level: 'info', answeredAt: 'then', reason: 'caller_hangup' };
  log.onLine(JSON.stringify({ ...record, verdict: 'two-way audio' }));
  const samples = Array.from({ length: 6 * Number(minutes) }, (_, n) => {
    const atMinutes = (n + 1) / 6;
    // The process warms up for 9 minutes.
    const residentMb = 90 + 5 * Math.min(9, atMinutes) + Number(mbPerMinute) * atMinutes;
    return { ...sample, atMinutes, residentMb, descriptors: 30 };
  });
  const lateMs = { n: 0, p50: 0, p95: 0, p99: 0, max: 0 };
  const calls = { answered: 1, failures: new Tally(), lateMs };
  return { calls, log, samples, before: idle, after: idle, exitCode: 0, ...rest };
}

describe('A soak', () => {
  it('is passed when the bridge is as it was, and every call was', () => {
    expect(shortcomings(soaked({}))).toEqual([]);
    expect(residentSlope(soaked({}))).toBeCloseTo(0.5, 6);
  });

  it('is not passed by a bridge that grows, unless the run was too short to say', () => {
    expect(shortcomings(soaked({ mbPerMinute: 0.12 }))).toEqual(['RSS grows: 1.20 MB per 10 minutes']);
    expect(shortcomings(soaked({ minutes: 3, mbPerMinute: 0.12 }))).toEqual([]);
  });

  it('names whatever was left behind', () => {
    const handles = new Map([['Timeout of thread 0', 5]]);
    const after = { ...idle, calls: 1, descriptors: 22, handles };
    expect(shortcomings(soaked({ after, exitCode: null }))).toEqual([
      'calls that the bridge did not end: 1',
      'descriptors leaked: 2',
      'handles leaked: 3 × Timeout of thread 0',
      'exit code of the bridge: none, a signal ended it',
    ]);
  });

  it('counts the calls whose audio was missing, and those the caller did not end', () => {
    const log = new BridgeLog();
    log.onLine('{"event":"call.ended","level":"warn","answeredAt":"then","reason":"rtp_timeout","verdict":"no RTP"}');
    log.onLine('no JSON');
    expect(shortcomings(soaked({ log }))).toEqual([
      'calls without two-way audio: 1',
      'calls that the caller did not end: 1 × rtp_timeout',
    ]);
    expect(log.complaints.toString()).toBe('1 × call.ended');
  });

  it('misses the record of an answered call', () =>
    expect(shortcomings(soaked({ log: new BridgeLog() }))).toEqual(['answered calls without a record: 1']));
});
