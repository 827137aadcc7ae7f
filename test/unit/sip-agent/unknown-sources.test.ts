import { describe, expect, it } from 'vitest';
import { RequestRates } from '../../../src/sip-agent/guard/request-rates.js';
import { UnknownSources } from '../../../src/sip-agent/guard/unknown-sources.js';
import { CollectingLogger } from '../../support/agent-rig.js';
import { FakeClock } from '../../support/fake-clock.js';

function rig() {
  const clock = new FakeClock();
  const logger = new CollectingLogger();
  return { clock, logger, unknown: new UnknownSources(clock, logger) };
}

const MINUTE_MS = 60_000;
const AN_INVITE = () => ({ method: 'INVITE' });

describe('UnknownSources', () => {
  it('are refused three times and then ignored; the log has a line, and a summary when they have gone', () => {
    const { clock, logger, unknown } = rig();
    let asked = 0;
    const describeIt = () => ({ method: 'REGISTER', asked: ++asked });
    const verdicts = Array.from({ length: 10_000 }, () => unknown.judge('203.0.113.5', describeIt));
    expect(verdicts.slice(0, 4)).toEqual(['refuse', 'refuse', 'refuse', 'ignore']);
    expect([unknown.refused, unknown.ignored]).toEqual([3, 9_997]);
    const line = { event: 'sip.forbidden', address: '203.0.113.5', method: 'REGISTER', asked: 1 };
    expect(logger.lines).toEqual([line]);
    clock.advance(11 * MINUTE_MS);
    expect(logger.lines.slice(1)).toEqual([
      { event: 'sip.forbidden_summary', address: '203.0.113.5', requests: 9_999, overMs: 10 * MINUTE_MS },
    ]);
    expect([unknown.sources, clock.pendingTimers]).toEqual([0, 0]);
    expect(unknown.judge('203.0.113.5', AN_INVITE)).toBe('refuse');
    unknown.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('are summed up once an hour when they never stop', () => {
    const { clock, logger, unknown } = rig();
    for (let minute = 0; minute < 180; minute++) {
      unknown.judge('203.0.113.5', AN_INVITE);
      clock.advance(MINUTE_MS);
    }
    expect(logger.events('sip.forbidden')).toHaveLength(1);
    expect(logger.events('sip.forbidden_summary').map((each) => each['requests'])).toEqual([59, 60, 60]);
    unknown.close();
  });

  it('with forged addresses fill neither memory nor log', () => {
    const { clock, logger, unknown } = rig();
    for (let source = 0; source < 30_000; source++) {
      unknown.judge(`10.${source >> 16}.${(source >> 8) & 255}.${source & 255}`, AN_INVITE);
    }
    expect(unknown.sources).toBe(10_000);
    expect(logger.lines).toHaveLength(20);
    clock.advance(20 * MINUTE_MS);
    expect(logger.lines.slice(20)).toEqual([{ event: 'sip.forbidden_sources', more: 29_980 }]);
    expect([unknown.sources, clock.pendingTimers]).toEqual([0, 0]);
  });
});

describe('RequestRates', () => {
  it('takes a burst, refuses a while, then ignores, and recovers; others notice nothing', () => {
    const clock = new FakeClock();
    const logger = new CollectingLogger();
    const rates = new RequestRates(10, clock, logger);
    const count: Record<string, number> = {};
    for (let request = 0; request < 1_000; request++) {
      const verdict = rates.judge('192.0.2.1');
      count[verdict] = (count[verdict] ?? 0) + 1;
    }
    expect(count).toEqual({ take: 20, refuse: 10, ignore: 970 });
    expect(rates.judge('192.0.2.2')).toBe('take');
    expect(rates.limited).toBe(980);
    expect(logger.lines).toEqual([{ event: 'sip.rate_limited', address: '192.0.2.1', perSec: 10 }]);
    clock.advance(1_100);
    expect(rates.judge('192.0.2.1')).toBe('take');
    clock.advance(10_000);
    for (let request = 0; request < 20; request++) expect(rates.judge('192.0.2.1')).toBe('take');
  });

  it('lets its own rate through for ever', () => {
    const clock = new FakeClock();
    const rates = new RequestRates(50, clock, new CollectingLogger());
    for (let request = 0; request < 10_000; request++) {
      expect(rates.judge('192.0.2.1')).toBe('take');
      clock.advance(20);
    }
  });

  it('remembers so many sources and no more', () => {
    const rates = new RequestRates(1, new FakeClock(), new CollectingLogger());
    for (let source = 0; source < 30_000; source++) rates.judge(`s${source}`);
    expect(rates.sources).toBe(10_000);
  });
});
