import { beforeEach, describe, expect, test } from 'vitest';
import { parseRAck } from '../../../src/sip-agent/syntax/headers.js';
import { SipResponse } from '../../../src/sip-agent/syntax/message.js';
import { ReliableProvisionals } from '../../../src/sip-agent/dialog/reliable-provisionals.js';
import { sipTimers } from '../../../src/sip-agent/transaction/timers.js';
import { FakeClock } from '../../support/fake-clock.js';

const SEQUENCE = 7;

let clock: FakeClock;
let startMs: number;
let events: string[];
let provisionals: ReliableProvisionals;

beforeEach(() => {
  clock = new FakeClock();
  startMs = clock.nowMs();
  events = [];
  provisionals = new ReliableProvisionals({
    clock,
    timers: sipTimers(),
    sequence: SEQUENCE,
    send: ({ status }) => {
      events.push(`${status} at ${clock.nowMs() - startMs}`);
    },
    gaveUp: () => {
      events.push(`gave up at ${clock.nowMs() - startMs}`);
    },
  });
});

function provisional(status: number, body = ''): SipResponse {
  const response = new SipResponse(status, 'Whatever');
  response.body = Buffer.from(body);
  return response;
}

/** Sends a provisional response; returns its RSeq. */
function send(status: number, body = ''): number {
  const response = provisional(status, body);
  expect(provisionals.send(response)).toBe(true);
  expect(response.get('require')).toBe('100rel');
  return Number(response.get('rseq'));
}

function acknowledge(rseq: number): boolean {
  const known = provisionals.acknowledge({ rseq, sequence: SEQUENCE, method: 'INVITE' });
  if (known) provisionals.proceed();
  return known;
}

const success = (): void => {
  events.push('200');
};

describe('reliable provisional responses', () => {
  test('are repeated at T1, doubled without a ceiling, until the PRACK', () => {
    const rseq = send(183);
    clock.advance(16_000);
    expect(events).toEqual([0, 500, 1_500, 3_500, 7_500, 15_500].map((atMs) => `183 at ${atMs}`));
    expect(acknowledge(rseq)).toBe(true);
    expect(clock.pendingTimers).toBe(0);
    expect(acknowledge(rseq)).toBe(false);
  });

  test('64·T1 without a PRACK end it', () => {
    send(183);
    clock.advance(40_000);
    expect(events.at(-1)).toBe('gave up at 32000');
    expect(clock.pendingTimers).toBe(0);
  });

  test('each waits for the one before it, and counts on from it', () => {
    const first = send(180);
    const second = send(183);
    expect(second).toBe(first + 1);
    expect(first).toBeGreaterThan(0);
    expect(second).toBeLessThan(2 ** 31);
    expect(events).toEqual(['180 at 0']);
    expect(acknowledge(second)).toBe(false);
    clock.advance(100);
    expect(acknowledge(first)).toBe(true);
    expect(events).toEqual(['180 at 0', '183 at 100']);
    provisionals.stop();
    expect(clock.pendingTimers).toBe(0);
  });

  test('a PRACK for another request, or that is none of ours, changes nothing', () => {
    const rseq = send(183);
    expect(provisionals.acknowledge({ rseq, sequence: SEQUENCE + 1, method: 'INVITE' })).toBe(false);
    expect(provisionals.acknowledge({ rseq, sequence: SEQUENCE, method: 'UPDATE' })).toBe(false);
    expect(acknowledge(rseq + 1)).toBe(false);
    expect(clock.pendingTimers).toBe(2);
    provisionals.stop();
  });

  test('a 2xx waits for the session description before it', () => {
    const ringing = send(180);
    const progress = send(183, 'v=0');
    provisionals.sendSuccess(success);
    expect(acknowledge(ringing)).toBe(true);
    expect(events).toEqual(['180 at 0', '183 at 0']);
    expect(acknowledge(progress)).toBe(true);
    expect(events).toEqual(['180 at 0', '183 at 0', '200']);
    expect(clock.pendingTimers).toBe(0);
  });

  test('a 2xx overtakes what describes nothing; its PRACK may still come, once', () => {
    const first = send(180);
    const second = send(180);
    provisionals.sendSuccess(success);
    expect(events).toEqual(['180 at 0', '200']);
    clock.advance(60_000);
    expect(events).toEqual(['180 at 0', '200']);
    expect(acknowledge(second)).toBe(false);
    expect(acknowledge(first)).toBe(true);
    expect(acknowledge(first)).toBe(false);
  });

  test('a 2xx that waits is forgotten when the PRACK never comes', () => {
    send(183, 'v=0');
    provisionals.sendSuccess(success);
    clock.advance(40_000);
    expect(events.at(-1)).toBe('gave up at 32000');
    expect(events).not.toContain('200');
  });

  test('there is an end to them', () => {
    for (let sent = 0; sent < 32; sent++) send(180);
    expect(provisionals.send(provisional(180))).toBe(false);
    expect(events).toHaveLength(1);
    provisionals.stop();
  });
});

describe('RAck', () =>
  test.each([
    ['1 314159 INVITE', { rseq: 1, sequence: 314_159, method: 'INVITE' }],
    [' 4294967295\t7   INVITE ', { rseq: 4_294_967_295, sequence: 7, method: 'INVITE' }],
    ['1 2 INVITE INVITE', { rseq: 1, sequence: 2, method: 'INVITE' }],
    ['4294967296 7 INVITE', undefined],
    ['1 4294967296 INVITE', undefined],
    ['1 INVITE', undefined],
    ['1 2', undefined],
    ['x 2 INVITE', undefined],
    ['', undefined],
  ])('%s', (text, expected) => expect(parseRAck(text)).toEqual(expected)));
