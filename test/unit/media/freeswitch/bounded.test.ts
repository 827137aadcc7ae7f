import { describe, expect, it } from 'vitest';
import { bounded, TimeoutError } from '../../../../src/media/freeswitch/bounded.js';
import { FakeClock } from '../../../support/fake-clock.js';

interface Awaited {
  readonly clock: FakeClock;
  readonly late: string[];
  readonly result: Promise<string>;
  readonly resolve: (value: string) => void;
  readonly reject: (reason: unknown) => void;
}

function awaiting(timeoutMs = 3_000): Awaited {
  const clock = new FakeClock();
  const late: string[] = [];
  let resolve: (value: string) => void = () => undefined;
  let reject: (reason: unknown) => void = () => undefined;
  const pending = new Promise<string>((resolvePending, rejectPending) => {
    resolve = resolvePending;
    reject = rejectPending;
  });
  const result = bounded(pending, {
    clock,
    timeoutMs,
    what: 'FreeSWITCH fs:8021, endpoint',
    late: (value) => late.push(value),
  });
  return { clock, late, result, resolve, reject };
}

/** Lets every promise that can go on do so. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a promise with a time limit', () => {
  it('resolves as it would have without', async () => {
    const { clock, late, result, resolve } = awaiting();
    clock.advance(2_999);
    resolve('channel');
    expect(await result).toBe('channel');
    expect([late, clock.pendingTimers]).toEqual([[], 0]);
  });

  it('rejects as it would have without', async () => {
    const { clock, result, reject } = awaiting();
    const fault = new Error('488');
    reject(fault);
    await expect(result).rejects.toBe(fault);
    expect(clock.pendingTimers).toBe(0);
  });

  it('makes an Error of what is rejected without one', async () => {
    const { result, reject } = awaiting();
    reject('call was canceled');
    const refused = expect(result).rejects;
    await refused.toBeInstanceOf(Error);
    await refused.toThrow('call was canceled');
  });

  it('rejects when the time is up, to the millisecond, and says what was awaited', async () => {
    const { clock, late, result } = awaiting();
    let settled = false;
    const outcome = expect(result.finally(() => (settled = true))).rejects;
    clock.advance(2_999);
    await settle();
    expect(settled).toBe(false);
    clock.advance(1);
    await outcome.toBeInstanceOf(TimeoutError);
    await outcome.toThrow('FreeSWITCH fs:8021, endpoint: no answer within 3000 ms');
    expect([late, clock.pendingTimers]).toEqual([[], 0]);
  });

  it('gives what comes after that to be released, once', async () => {
    const { clock, late, result, resolve } = awaiting();
    const outcome = expect(result).rejects.toThrow(TimeoutError);
    clock.advance(3_000);
    await outcome;
    resolve('late channel');
    await settle();
    expect(late).toEqual(['late channel']);
  });

  it('has nothing to release when what comes after that is a failure', async () => {
    const { clock, late, result, reject } = awaiting();
    const outcome = expect(result).rejects.toThrow(TimeoutError);
    clock.advance(3_000);
    await outcome;
    reject(new Error('too late')); // and nobody is troubled with it
    await settle();
    expect(late).toEqual([]);
  });

  it('needs nobody to release what comes late', async () => {
    const clock = new FakeClock();
    const pending = new Promise((resolve) => clock.after(200, () => resolve('x')));
    const outcome = expect(bounded(pending, { clock, timeoutMs: 100, what: 'heartbeat' })).rejects.toThrow('heartbeat');
    clock.advance(300);
    await outcome;
    expect(clock.pendingTimers).toBe(0);
  });

  it('rejects as soon as waiting is vain, and still releases what comes late', async () => {
    const clock = new FakeClock();
    const late: string[] = [];
    const watchers = new Set<(error: Error) => void>();
    let resolve: (value: string) => void = () => undefined;
    const result = bounded(new Promise<string>((resolvePending) => (resolve = resolvePending)), {
      clock,
      timeoutMs: 3_000,
      what: 'endpoint',
      late: (value) => late.push(value),
      watch: (fail) => {
        watchers.add(fail);
        return () => watchers.delete(fail);
      },
    });
    const refused = expect(result).rejects.toThrow('connection lost');
    for (const fail of watchers) fail(new Error('connection lost'));
    await refused;
    resolve('channel');
    await settle();
    expect([late, watchers.size, clock.pendingTimers]).toEqual([['channel'], 0, 0]);
  });

  it('watches no longer than it waits', async () => {
    const clock = new FakeClock();
    const watchers = new Set<unknown>();
    const watch = (fail: unknown): (() => void) => {
      watchers.add(fail);
      return () => watchers.delete(fail);
    };
    expect(await bounded(Promise.resolve('channel'), { clock, timeoutMs: 3_000, what: 'endpoint', watch })).toBe(
      'channel',
    );
    expect([watchers.size, clock.pendingTimers]).toEqual([0, 0]);
  });
});
