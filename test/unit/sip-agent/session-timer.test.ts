import { beforeEach, describe, expect, test } from 'vitest';
import { SessionTimer } from '../../../src/sip-agent/dialog/session-timer.js';
import { FakeClock } from '../../support/fake-clock.js';

let clock: FakeClock;
let startMs: number;
let heard: [event: string, atS: number][];
let session: SessionTimer;

/** What the side under test does about each refresh that is due. */
let onRefresh: () => void;

beforeEach(() => {
  clock = new FakeClock();
  startMs = clock.nowMs();
  heard = [];
  onRefresh = () => undefined;
  const note = (event: string): void => {
    heard.push([event, (clock.nowMs() - startMs) / 1_000]);
  };
  session = new SessionTimer({
    clock,
    refresh: () => {
      note('refresh');
      onRefresh();
    },
    expired: () => note('expired'),
  });
});

function runFor(seconds: number): void {
  clock.advance(seconds * 1_000);
}

describe('the session timer', () => {
  test('our turn: a refresh at half of each interval, for as long as they succeed', () => {
    onRefresh = () => session.agree(90, 'local');
    session.agree(90, 'local');
    runFor(200);
    expect(heard).toEqual([
      ['refresh', 45],
      ['refresh', 90],
      ['refresh', 135],
      ['refresh', 180],
    ]);
    expect(clock.pendingTimers).toBe(1);
    session.stop();
    expect(clock.pendingTimers).toBe(0);
  });

  test.each([
    ['a third of a short interval', 90, 60],
    ['32 s of a long one', 1_800, 1_768],
  ])("the peer's turn, and it does nothing: the end comes %s early", (_, intervalS, endS) => {
    session.agree(intervalS, 'remote');
    runFor(3_600);
    expect(heard).toEqual([['expired', endS]]);
    expect(clock.pendingTimers).toBe(0);
  });

  test("the peer's turn, and it refreshes", () => {
    session.agree(90, 'remote');
    runFor(59);
    session.agree(90, 'remote');
    runFor(59);
    expect(heard).toEqual([]);
    runFor(1);
    expect(heard).toEqual([['expired', 119]]);
  });

  test('a refresh nobody answers: the end comes at its time', () => {
    session.agree(90, 'local');
    runFor(100);
    expect(heard).toEqual([
      ['refresh', 45],
      ['expired', 60],
    ]);
  });

  test('a refresh that is refused is tried again, ever sooner, but not for ever', () => {
    onRefresh = () => session.retry();
    session.agree(1_600, 'local');
    runFor(1_600);
    expect(heard).toEqual([
      ['refresh', 800],
      ['refresh', 1_184],
      ['refresh', 1_376],
      ['refresh', 1_472],
      ['expired', 1_568],
    ]);
  });

  test('a wait that would end too late is not begun', () => {
    onRefresh = () => session.retry(15_000);
    session.agree(90, 'local');
    runFor(100);
    expect(heard).toEqual([
      ['refresh', 45],
      ['expired', 60],
    ]);
  });

  test('the other side takes over', () => {
    session.agree(90, 'local');
    runFor(30);
    session.agree(90, 'remote');
    expect(session.refresher).toBe('remote');
    runFor(60);
    expect(heard).toEqual([['expired', 90]]);
  });

  test('once stopped it stays so', () => {
    session.agree(90, 'local');
    session.stop();
    session.agree(90, 'local');
    session.retry(1);
    runFor(100);
    expect(heard).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });
});
