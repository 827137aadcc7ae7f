import { afterEach, describe, expect, it, vi } from 'vitest';
import type { BridgeHostSettings } from '../../../src/bridge/threads/bridge-host.js';
import type { BridgeEvent, BridgeHandle } from '../../../src/bridge/messages.js';
import { WorkerBridgePool } from '../../../src/bridge/threads/worker-pool.js';
import { SETTINGS as BRIDGE_SETTINGS } from '../../support/bridge-rig.js';
import { FakeClock } from '../../support/fake-clock.js';
import { RecordingLogger } from '../../support/recording-logger.js';

const MORTAL = new URL('../../support/mortal-worker.js', import.meta.url);

const SETTINGS: BridgeHostSettings = { bridge: BRIDGE_SETTINGS, network: {} };

const AGENT = {
  mode: 'websocket',
  baseUrl: 'ws://127.0.0.1:9',
  target: { agentId: 'agent' },
  apiKeys: ['key'],
  encoding: 'mulaw',
  callSid: 'call-1',
} as const;

/** A bridge, and what it has told. */
class Watched {
  readonly kinds: BridgeEvent['kind'][] = [];
  readonly handle: BridgeHandle;

  constructor(pool: WorkerBridgePool) {
    this.handle = pool.open((event) => this.kinds.push(event.kind));
  }

  told(...kinds: BridgeEvent['kind'][]): Promise<void> {
    return vi.waitFor(() => expect(this.kinds).toEqual(kinds));
  }
}

describe('a thread that dies', () => {
  let pool: WorkerBridgePool;
  const clock = new FakeClock();
  const logger = new RecordingLogger();
  const start = async (workers: number): Promise<void> => {
    pool = await WorkerBridgePool.start({ workers, settings: SETTINGS, clock, logger, script: MORTAL });
  };
  afterEach(async () => {
    await pool.stop();
    expect([pool.active, pool.held, clock.pendingTimers]).toEqual([0, { ports: 0, ticking: 0 }, 0]);
  });

  it('takes its own calls with it and no others, and is replaced', async () => {
    await start(2);
    const [first, second, third] = [new Watched(pool), new Watched(pool), new Watched(pool)];
    await Promise.all([first, second, third].map((bridge) => bridge.told('opened')));
    expect(pool.active).toBe(3);

    first.handle.connectAgent(AGENT);
    await Promise.all([first, third].map((bridge) => bridge.told('opened', 'lost')));
    expect(second.kinds).toEqual(['opened']);
    expect(logger.of('media.worker_lost')).toMatchObject([
      { calls: 2, detail: expect.stringContaining('had enough') as string },
    ]);

    // Nothing reaches them any more, but closing them is answered.
    first.handle.start();
    first.handle.close();
    third.handle.close();
    third.handle.close();
    expect([first.kinds, third.kinds]).toEqual([
      ['opened', 'lost', 'closed'],
      ['opened', 'lost', 'closed'],
    ]);

    // Meanwhile the other thread has all the new calls, afterwards the new one has its share.
    const fourth = new Watched(pool);
    await fourth.told('opened');
    clock.advance(1_000);
    const fifth = new Watched(pool);
    await fifth.told('opened');
    second.handle.connectAgent(AGENT);
    await fourth.told('opened', 'lost');
    expect(fifth.kinds).toEqual(['opened']);
    for (const bridge of [second, fourth, fifth]) bridge.handle.close();
    await fifth.told('opened', 'closed');
  });

  it('leaves calls that come while there is none with a reason', async () => {
    await start(1);
    const first = new Watched(pool);
    await first.told('opened');
    first.handle.connectAgent(AGENT);
    await first.told('opened', 'lost');
    first.handle.close();

    const second = new Watched(pool);
    await second.told('lost');
    second.handle.close();
    expect(second.kinds).toEqual(['lost', 'closed']);
  });
});

it('gives each thread ports of its own', async () => {
  const pool = await WorkerBridgePool.start({
    workers: 64,
    settings: { ...SETTINGS, bridge: { ...SETTINGS.bridge, ports: { min: 31_001, max: 31_006 } } },
    clock: new FakeClock(),
    logger: new RecordingLogger(),
    script: MORTAL,
  });
  // 31002, 31004 and 31006 are for three threads: the fourth bridge shares one with the first.
  const bridges = Array.from({ length: 4 }, () => new Watched(pool));
  await Promise.all(bridges.map((bridge) => bridge.told('opened')));
  bridges[0]?.handle.connectAgent(AGENT);
  await bridges[3]?.told('opened', 'lost');
  expect(bridges.map(({ kinds }) => kinds.length)).toEqual([2, 1, 1, 2]);
  for (const { handle } of bridges) handle.close();
  await pool.stop();
});

it('does not start with a script that is not there', async () => {
  const logger = new RecordingLogger();
  const script = new URL('../../support/no-such-worker.js', import.meta.url);
  const options = { workers: 2, settings: SETTINGS, clock: new FakeClock(), logger, script };
  await expect(WorkerBridgePool.start(options)).rejects.toThrow(/could not be started: .*no-such-worker/);
  expect(logger.of('media.worker_lost')).toHaveLength(2);
});
