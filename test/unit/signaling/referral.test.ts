import { describe, expect, it } from 'vitest';
import { Referral } from '../../../src/signaling/referral.js';
import type { ReferOutcome } from '../../../src/signaling/sip-endpoint.js';
import { parseSipFragment } from '../../../src/signaling/sipfrag.js';
import { FakeClock } from '../../support/fake-clock.js';

class Bench {
  readonly clock = new FakeClock();
  readonly progress: number[] = [];
  readonly outcomes: ReferOutcome[] = [];
  readonly referral = new Referral(this.clock, {
    timeoutMs: 15_000,
    onProgress: (status) => this.progress.push(status),
  });

  constructor() {
    void this.referral.outcome.then((outcome) => this.outcomes.push(outcome));
  }

  /** What is known of it by now; its timer is gone once something is. */
  async outcome(): Promise<ReferOutcome | undefined> {
    await new Promise((resolve) => setImmediate(resolve));
    expect(this.clock.pendingTimers).toBe(1 - this.outcomes.length);
    return this.outcomes[0];
  }
}

/** `202` is a response to the REFER, a text the body of a NOTIFY. */
type Step = number | string;

describe('what becomes of a REFER', () => {
  it.each<{ what: string; steps: Step[]; progress: number[]; transferred: boolean; detail: string }>([
    {
      what: 'accepted, tried, rung, answered',
      steps: [202, 'SIP/2.0 100 Trying', 'SIP/2.0 180 Ringing\r\n', 'SIP/2.0 200 OK\r\nTo: <sip:x@y>\r\n'],
      progress: [202, 100, 180, 200],
      transferred: true,
      detail: 'the transfer was answered with 200 OK',
    },
    {
      what: 'accepted with 200, answered without more',
      steps: [200, 'SIP/2.0 204'],
      progress: [200, 204],
      transferred: true,
      detail: 'the transfer was answered with 204',
    },
    {
      what: 'a NOTIFY overtaking the response',
      steps: ['SIP/2.0 100 Trying', 202, 'SIP/2.0 200 OK'],
      progress: [100, 202, 200],
      transferred: true,
      detail: 'the transfer was answered with 200 OK',
    },
    {
      what: 'the target refuses',
      steps: [202, 'SIP/2.0 100 Trying', 'SIP/2.0 486 Busy Here'],
      progress: [202, 100],
      transferred: false,
      detail: 'the transfer was answered with 486 Busy Here',
    },
    {
      what: 'the target is elsewhere',
      steps: [202, 'SIP/2.0 302 Moved Temporarily'],
      progress: [202],
      transferred: false,
      detail: 'the transfer was answered with 302 Moved Temporarily',
    },
    {
      what: 'refused',
      steps: [100, 603],
      progress: [],
      transferred: false,
      detail: 'the REFER was answered with 603 Its Reason',
    },
    {
      what: 'the same again and again',
      steps: [202, ...Array<string>(1_000).fill('SIP/2.0 180 Ringing'), 'SIP/2.0 200 OK', 'SIP/2.0 486 Busy Here', 500],
      progress: [202, 180, 200],
      transferred: true,
      detail: 'the transfer was answered with 200 OK',
    },
  ])('$what', async ({ steps, progress, transferred, detail }) => {
    const bench = new Bench();
    for (const step of steps) {
      if (typeof step === 'number') bench.referral.onResponse(step, 'Its Reason', true);
      else bench.referral.onNotify(step);
    }
    expect(await bench.outcome()).toEqual({ transferred, detail });
    expect(bench.progress).toEqual(progress);
  });

  it('is taken for done when the peer accepts it and will tell no more', async () => {
    const bench = new Bench();
    bench.referral.onResponse(200, 'OK', false);
    expect(await bench.outcome()).toEqual({ transferred: true, detail: 'the REFER was answered with 200 OK' });
  });

  it('is a failure when nothing is known in time, whatever was told before', async () => {
    const bench = new Bench();
    bench.referral.onResponse(202, 'Accepted', true);
    for (let second = 1; second < 15; second++) {
      bench.clock.advance(1_000);
      bench.referral.onNotify(`SIP/2.0 18${second % 10} Ringing`);
    }
    bench.clock.advance(999);
    expect(await bench.outcome()).toBeUndefined();
    bench.clock.advance(1);
    expect(await bench.outcome()).toEqual({
      transferred: false,
      detail: 'the transfer was not completed within 15000 ms',
    });
  });

  it('is a failure when the dialog is over first', async () => {
    const bench = new Bench();
    bench.referral.abandon('the dialog is over');
    bench.referral.onNotify('SIP/2.0 200 OK');
    expect(await bench.outcome()).toEqual({ transferred: false, detail: 'the dialog is over' });
    expect(bench.progress).toEqual([]);
  });
});

describe('the body of a NOTIFY', () => {
  it.each([
    ['SIP/2.0 200 OK', { status: 200, reason: 'OK' }],
    ['SIP/2.0 603', { status: 603, reason: '' }],
    ['SIP/2.0  100  Trying\n', { status: 100, reason: 'Trying' }],
    ['SIP/2.0 503 "Gone\\ \u0007fishing"\r\n', { status: 503, reason: "'Gone'  fishing'" }],
    [`SIP/2.0 486 ${'x'.repeat(60_000)}`, { status: 486, reason: 'x'.repeat(200) }],
  ])('%# is read', (body, fragment) => expect(parseSipFragment(body)).toEqual(fragment));

  it.each([
    '',
    '\r\n',
    'SIP/2.0',
    'SIP/2.0 20',
    'SIP/2.0 2000 OK',
    'SIP/2.0 999 Huge',
    'SIP/2.0 000 None',
    'SIP/2.0 2OO OK',
    'SIP/3.0 200 OK',
    'HTTP/1.1 200 OK',
    ' SIP/2.0 200 OK',
    'INVITE sip:x SIP/2.0 200 OK',
    ' '.repeat(60_000),
  ])('%# says nothing', (body) => expect(parseSipFragment(body)).toBeUndefined());
});
