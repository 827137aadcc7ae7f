import { EventEmitter } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { supervise } from '../../../src/cli/supervise.js';
import type { LogFields, Logger } from '../../../src/logger.js';
import { FakeClock } from '../../support/fake-clock.js';

/** A daemon whose draining and stopping end when the test says so. */
class ManualDaemon {
  readonly steps: string[] = [];
  readonly #steps = new EventEmitter();
  drain(): Promise<void> {
    return this.#step('drain');
  }
  stop(): Promise<void> {
    return this.#step('stop');
  }
  finish(step: string, error?: Error): void {
    this.#steps.emit(step, error);
  }
  #step(name: string): Promise<void> {
    this.steps.push(name);
    return new Promise((resolve, reject) => {
      this.#steps.once(name, (error?: Error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }
}

const events: string[] = [];
const note = (fields: LogFields): void => void events.push(fields.event);
const logger: Logger = { debug: note, info: note, warn: note, error: note, child: () => logger };

let daemon: ManualDaemon;
let signals: EventEmitter;
let clock: FakeClock;
let reloads: number;
let ended: boolean;

beforeEach(() => {
  events.length = 0;
  daemon = new ManualDaemon();
  signals = new EventEmitter();
  clock = new FakeClock();
  reloads = 0;
  ended = false;
  const options = { signals, clock, logger, drainMs: () => 30_000, reload: () => (reloads += 1) };
  void supervise(daemon, options).then(() => (ended = true));
});

async function send(signal: string): Promise<void> {
  signals.emit(signal, signal);
  await turn();
}

async function finish(step: string, error?: Error): Promise<void> {
  daemon.finish(step, error);
  await turn();
}

async function advance(ms: number): Promise<void> {
  clock.advance(ms);
  await turn();
}

function expectEnded(): void {
  expect([ended, clock.pendingTimers, signals.eventNames()]).toEqual([true, 0, []]);
}

describe('supervise', () => {
  it.each(['SIGTERM', 'SIGINT'])('drains on %s, then stops', async (signal) => {
    await send(signal);
    expect(daemon.steps).toEqual(['drain']);
    await finish('drain');
    expect([daemon.steps, ended]).toEqual([['drain', 'stop'], false]);
    await finish('stop');
    expectEnded();
    expect(events).toEqual(['bridge.draining', 'bridge.stopped']);
  });

  it('drains no longer than drainMs', async () => {
    await send('SIGTERM');
    await advance(29_999);
    expect(daemon.steps).toEqual(['drain']);
    await advance(1);
    expect(daemon.steps).toEqual(['drain', 'stop']);
    await finish('stop');
    expectEnded();
  });

  it('stops at once on a second signal, and leaves at once on a third', async () => {
    await send('SIGTERM');
    await send('SIGINT');
    expect(daemon.steps).toEqual(['drain', 'stop']);
    await send('SIGINT');
    expectEnded();
  });

  it('does not wait for ever on what will not stop', async () => {
    await send('SIGTERM');
    await finish('drain');
    await advance(5_000);
    expectEnded();
  });

  it('stops even when the draining fails, and says so', async () => {
    await send('SIGTERM');
    await finish('drain', new Error('broken'));
    expect(daemon.steps).toEqual(['drain', 'stop']);
    await finish('stop', new Error('broken too'));
    expectEnded();
    expect(events).toEqual(['bridge.draining', 'bridge.fault', 'bridge.fault', 'bridge.stopped']);
  });

  it('reloads on every SIGHUP, while draining too', async () => {
    await send('SIGHUP');
    await send('SIGTERM');
    await send('SIGHUP');
    expect([reloads, daemon.steps]).toEqual([2, ['drain']]);
    await finish('drain');
    await finish('stop');
    expectEnded();
  });
});
