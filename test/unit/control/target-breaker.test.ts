import { beforeEach, describe, expect, it } from 'vitest';
import { TargetBreaker } from '../../../src/control/routing/target-breaker.js';
import type { AgentEnding } from '../../../src/pranthora/endings.js';

const UNREACHABLE: AgentEnding = { kind: 'unreachable', detail: 'connection refused [ECONNREFUSED]' };
const MISCONFIGURED: AgentEnding = { kind: 'configuration', detail: 'Pranthora refused the API key', closeCode: 4001 };

let breaker: TargetBreaker;

beforeEach(() => {
  breaker = new TargetBreaker();
});

/** As a call does: asks, and tells that it failed if it was let through. */
function tryAndFail(nowMs: number, key = 'a'): boolean {
  const letThrough = breaker.whyNotTried(key, nowMs) === undefined;
  if (letThrough) breaker.failed(key, UNREACHABLE, nowMs);
  return letThrough;
}

const isOpenAt = (nowMs: number, key = 'a'): boolean => breaker.whyNotTried(key, nowMs) === undefined;

describe('TargetBreaker', () => {
  it('lets everybody through while all is well', () => {
    for (let i = 0; i < 100; i++) {
      expect(isOpenAt(i)).toBe(true);
      breaker.succeeded('a');
    }
  });

  it('closes a target off after three failures in a row, and says why', () => {
    expect([tryAndFail(0), tryAndFail(1), tryAndFail(2), tryAndFail(3)]).toEqual([true, true, true, false]);
    expect(breaker.whyNotTried('a', 3)).toEqual({
      kind: 'unreachable',
      detail: 'not tried, unreachable 3 times in a row: connection refused [ECONNREFUSED]',
    });
  });

  it('counts failures in a row only', () => {
    for (let i = 0; i < 20; i++) {
      expect([tryAndFail(i), tryAndFail(i)]).toEqual([true, true]);
      breaker.succeeded('a');
    }
    expect(isOpenAt(20)).toBe(true);
  });

  it('keeps one target from the other', () => {
    for (let i = 0; i < 4; i++) tryAndFail(0, 'a');
    expect([isOpenAt(0, 'a'), isOpenAt(0, 'b')]).toEqual([false, true]);
  });

  it.each(['configuration', 'session-timeout', 'session-not-found', 'agent-hangup'] as const)(
    'takes an answer for an answer: %s',
    (kind) => {
      for (let i = 0; i < 20; i++) breaker.failed('a', { kind, detail: 'an answer' }, 0);
      expect(isOpenAt(0)).toBe(true);
    },
  );

  it('begins to count anew after an answer of any kind', () => {
    tryAndFail(0);
    tryAndFail(0);
    breaker.failed('a', MISCONFIGURED, 0);
    expect([tryAndFail(0), tryAndFail(0), tryAndFail(0), tryAndFail(0)]).toEqual([true, true, true, false]);
  });

  it('after a pause lets one call try, and no other until it is known how that went', () => {
    for (let i = 0; i < 3; i++) tryAndFail(0);
    expect(isOpenAt(4_999)).toBe(false);
    expect([isOpenAt(5_000), isOpenAt(5_000), isOpenAt(8_000)]).toEqual([true, false, false]);
    breaker.succeeded('a');
    expect([isOpenAt(8_000), isOpenAt(8_000)]).toEqual([true, true]);
  });

  it('waits twice as long after each try that failed, a minute at most', () => {
    for (let i = 0; i < 3; i++) tryAndFail(0);
    let nowMs = 0;
    for (const pauseMs of [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
      expect(isOpenAt(nowMs + pauseMs - 1)).toBe(false);
      nowMs += pauseMs;
      expect(tryAndFail(nowMs)).toBe(true);
    }
  });

  it('begins with a short pause again once the target was back', () => {
    for (let i = 0; i < 3; i++) tryAndFail(0);
    tryAndFail(5_000);
    expect(isOpenAt(15_000)).toBe(true);
    breaker.succeeded('a');
    for (let i = 0; i < 3; i++) tryAndFail(20_000);
    expect([isOpenAt(24_999), isOpenAt(25_000)]).toEqual([false, true]);
  });

  it('lets another call try when the one that did gave up without an answer', () => {
    for (let i = 0; i < 3; i++) tryAndFail(0);
    expect(isOpenAt(5_000)).toBe(true);
    breaker.abandoned('a');
    expect([isOpenAt(5_001), isOpenAt(5_001)]).toEqual([true, false]);
  });

  it('takes fifty calls that failed together for one outage, with a short pause', () => {
    for (let i = 0; i < 50; i++) expect(isOpenAt(0)).toBe(true);
    for (let i = 0; i < 50; i++) breaker.failed('a', UNREACHABLE, 4_000 + i);
    expect([isOpenAt(9_001), isOpenAt(9_002)]).toEqual([false, true]);
  });

  it('knows of no call that gave up where none was tried', () => {
    breaker.abandoned('a');
    breaker.succeeded('a');
    expect(isOpenAt(0)).toBe(true);
  });

  it('says without a try that a target is away, until 5 s after the last one', () => {
    tryAndFail(0);
    tryAndFail(0);
    expect(breaker.isUnreachable('a', 0)).toBe(false);
    tryAndFail(0);
    expect([0, 4_999, 5_000].map((nowMs) => breaker.isUnreachable('a', nowMs))).toEqual([true, true, false]);
    expect(breaker.whyNotTried('a', 5_000)).toBeUndefined();
    expect(breaker.isUnreachable('a', 5_001)).toBe(true);
    breaker.succeeded('a');
    expect(breaker.isUnreachable('a', 5_002)).toBe(false);
  });
});
