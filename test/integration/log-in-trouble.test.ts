import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { Health } from '../../src/ops/health.js';
import { PranthoraSimulator } from '../../src/simulator/pranthora-simulator.js';
import { echo } from '../../src/simulator/scenarios.js';
import type { TestCall } from '../../src/phone/test-call.js';
import { TestCaller } from '../../src/phone/test-caller.js';
import { SILENT_LOGGER } from '../support/bridge-under-test.js';
import { BridgeProgram } from '../support/child-bridge.js';
import { eventually } from '../support/engine-rig.js';
import { tone } from '../support/signal.js';

const CALLS = 10;
const SIP_PORT = 15_160;
const HTTP_PORT = 15_161;
/** More of their lines than the log holds. */
const REFUSED_CALLS = 500;
const REFUSED_AT_ONCE = 25;
const HTTP = `http://127.0.0.1:${HTTP_PORT}`;
const hasPython = spawnSync('python3', ['-c', 'import pty']).status === 0;
const TERMINAL = fileURLToPath(new URL('../support/terminal.py', import.meta.url));

let program: BridgeProgram;
let simulator: PranthoraSimulator;
let pranthora: { readonly url: string };
let caller: TestCaller;
let child: ChildProcess;

beforeAll(async () => {
  program = new BridgeProgram();
  simulator = new PranthoraSimulator({ scenarioFor: () => echo(), recordMs: 0 });
  pranthora = await simulator.start();
  caller = await TestCaller.start({ logger: SILENT_LOGGER });
}, 60_000);

afterEach(() => {
  child.kill('SIGKILL');
});

afterAll(async () => {
  await caller.close();
  await simulator.stop();
  program.remove();
});

/** A bridge under this command, when it takes calls. */
async function started(command: readonly string[], stdout: 'pipe' | number): Promise<ChildProcess> {
  const [executable = '', ...args] = command;
  child = spawn(executable, args, { stdio: ['ignore', stdout, 'inherit'] });
  await eventually(async () => {
    expect((await fetch(`${HTTP}/ready`)).status).toBe(200);
  }, 20_000);
  return child;
}

function bridgeCommand(log: Readonly<Record<string, unknown>> = {}): string[] {
  return program.command({
    pranthora: { url: pranthora.url, apiKey: 'test-key-0123456789' },
    sip: { listen: [`udp://127.0.0.1:${SIP_PORT}`] },
    media: { bind: '127.0.0.1' },
    http: { port: HTTP_PORT },
    routes: [{ did: '1000', agentId: 'echo' }],
    log,
  });
}

const place = (number: string, from = 'caller'): TestCall =>
  caller.call(`sip:${number}@127.0.0.1:${SIP_PORT}`, { maxRecordMs: 120_000, from });

async function placeCalls(): Promise<TestCall[]> {
  const calls = Array.from({ length: CALLS }, () => place('1000'));
  const said = tone({ rateHz: 8_000, frequencyHz: 1_000, levelDbm0: -10, durationMs: 120_000 });
  for (const call of calls) void call.play(said);
  await Promise.all(calls.map((call) => call.answered));
  return calls;
}

/** Three lines of the log each, long ones. */
async function placeRefusedCalls(): Promise<void> {
  for (let placed = 0; placed < REFUSED_CALLS; placed += REFUSED_AT_ONCE) {
    const refused = Array.from({ length: REFUSED_AT_ONCE }, () => place('2000', 'x'.repeat(300)));
    for (const { reason } of await Promise.all(refused.map((call) => call.ended))) expect(reason).toMatch(/^404/);
  }
}

async function health(): Promise<Health> {
  const response = await fetch(`${HTTP}/health`);
  expect(response.status).toBe(200);
  return (await response.json()) as Health;
}

/** Calls go on, are taken and end as if nothing were. */
async function expectToServe(calls: readonly TestCall[]): Promise<void> {
  await placeRefusedCalls();
  expect((await fetch(`${HTTP}/ready`)).status).toBe(200);
  expect((await health()).calls.active).toBe(CALLS);
  const another = place('1000');
  await another.answered;
  await another.hangUp();
  const heard = calls.map((call) => call.heard.packets.length);
  await eventually(() =>
    calls.forEach((call, index) => {
      expect(call.ending).toBeUndefined();
      expect(call.heard.packets.length).toBeGreaterThan((heard[index] ?? 0) + 25);
    }),
  );
  await Promise.all(calls.slice(1).map((call) => call.hangUp()));
  await eventually(async () => {
    expect((await health()).calls.active).toBe(1);
  });
}

/** SIGTERM lets the last call finish, and the process ends in good order. */
async function expectToEnd(last: TestCall | undefined): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await eventually(async () => {
    expect((await fetch(`${HTTP}/ready`)).status).toBe(503);
  });
  expect(last?.ending).toBeUndefined();
  await last?.hangUp();
  expect(await ended).toEqual([0, null]);
}

it.skipIf(!existsSync('/dev/full'))(
  'serves on a full disk, and counts the lines that are lost',
  { timeout: 90_000 },
  async () => {
    const full = openSync('/dev/full', 'w');
    await started(bridgeCommand(), full);
    closeSync(full);
    const calls = await placeCalls();
    await expectToServe(calls);
    const { status, log } = await health();
    expect(status).toBe('degraded');
    expect(log.detail).toContain('ENOSPC');
    expect(log.droppedLines).toBeGreaterThan(3 * REFUSED_CALLS);
    await expectToEnd(calls[0]);
  },
);

it.each([false, true])(
  'serves while nobody reads its log, and says what is missing (pretty: %s)',
  { timeout: 90_000 },
  async (pretty) => {
    const { stdout } = await started(bridgeCommand({ pretty }), 'pipe');
    const calls = await placeCalls();
    await expectToServe(calls);
    const log = await eventually(async () => {
      const { log: state } = await health();
      expect(state).toMatchObject({
        status: 'degraded',
        detail: expect.stringMatching(/nothing could be written for/) as string,
      });
      return state;
    });
    expect(log.droppedLines).toBeGreaterThan(0);
    let text = '';
    stdout?.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    await eventually(async () => {
      expect(text).toContain('log.dropped');
      expect((await health()).log).toMatchObject({ status: 'ok', droppedLines: log.droppedLines });
    });
    await expectToEnd(calls[0]);
    await eventually(() => expect(text).toMatch(/bridge\.stopped[^\n]*\n$/));
    if (pretty) return;
    const dropped = text.split('\n').find((line) => line.includes('"log.dropped"'));
    expect(JSON.parse(dropped ?? '')).toMatchObject({ level: 'warn', lines: log.droppedLines });
  },
);

it.skipIf(!hasPython)(
  'outlives its terminal, stopped or gone, and SIGUSR1 and SIGUSR2',
  { timeout: 90_000 },
  async () => {
    await started(['/usr/bin/env', 'python3', TERMINAL, ...bridgeCommand()], 'pipe');
    const calls = await placeCalls();
    await placeRefusedCalls();
    await eventually(async () => {
      expect((await health()).log.detail).toMatch(/nothing could be written for/);
    });
    child.kill('SIGUSR1');
    await eventually(async () => {
      expect((await health()).log.detail).toContain('EIO');
    });
    await expectToServe(calls);
    expect((await health()).log.droppedLines).toBeGreaterThan(3 * REFUSED_CALLS);
    await expectToEnd(calls[0]);
  },
);
