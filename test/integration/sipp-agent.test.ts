import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AgentRig } from '../support/agent-rig.js';
import { FOREIGN_PHONE } from '../support/real-time.js';
import { ANSWER } from '../support/sip-call.js';
import { answer, hangUp } from '../support/srf-client.js';

const CALLS = 50;
const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
const hasSipp = spawnSync('sipp', ['-v'], { stdio: 'ignore' }).error === undefined;

/** Runs sipp in a directory of its own; rejects with what it traced when it fails. */
async function sipp(args: readonly string[], address = '127.0.0.1'): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'sipp-'));
  try {
    await new Promise<void>((resolve, reject) => {
      const child = execFile(
        'sipp',
        ['-timeout', '20', '-timeout_error', '-trace_err', '-nostdin', '-i', address, ...args],
        { cwd: directory, timeout: 30_000 },
        (error, stdout) => {
          if (error) reject(new Error(`sipp ended with ${error.code ?? error.signal ?? ''}: ${stdout.slice(-2_000)}`));
          else resolve();
        },
      );
      child.stdin?.end();
    }).catch(async (error: unknown) => {
      throw new Error(`${(error as Error).message}\n${await traces(directory)}`);
    });
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function traces(directory: string): Promise<string> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.log'));
  const texts = await Promise.all(names.map((name) => readFile(join(directory, name), 'utf8')));
  return texts.join('\n').slice(0, 4_000);
}

describe.skipIf(!hasSipp)('sipp', FOREIGN_PHONE, () => {
  let rig: AgentRig;

  beforeEach(async () => {
    rig = await AgentRig.start({ timers: { t1Ms: 40, t2Ms: 160, t4Ms: 200 } });
  });

  afterEach(async () => {
    await rig.close();
  });

  test.each([
    ['udp', 'u1'],
    ['tcp', 't1'],
  ] as const)('its built-in caller over %s', async (protocol, mode) => {
    let answered = 0;
    await rig.withClient((srf) =>
      srf.invite((request, response) => {
        void answer(srf, request, response, ANSWER).then(() => answered++);
      }),
    );
    const load = ['-m', String(CALLS), '-r', '50', '-d', '20'];
    await sipp(['-sn', 'uac', '-t', mode, ...load, `127.0.0.1:${rig.port(protocol)}`]);
    expect(answered).toBe(CALLS);
    await vi.waitFor(() => expect(rig.agent.stats()).toMatchObject({ dialogs: 0, serverTransactions: 0 }), {
      timeout: 10_000,
    });
  });

  test.skipIf(!hasIpv6).each([
    ['udp', 'u1'],
    ['tcp', 't1'],
  ] as const)('its built-in caller over %s and IPv6 (skipped where there is none)', async (protocol, mode) => {
    await rig.close();
    rig = await AgentRig.start({ listen: ['udp://[::]:0', 'tcp://[::]:0'] });
    let answered = 0;
    await rig.withClient((srf) =>
      srf.invite((request, response) => {
        void answer(srf, request, response, ANSWER).then(() => answered++);
      }),
    );
    await sipp(['-sn', 'uac', '-t', mode, '-m', '10', '-d', '20', `[::1]:${rig.port(protocol)}`], '::1');
    expect(answered).toBe(10);
    expect(rig.agent.stats().dialogs).toBe(0);
  });

  test('its built-in called party over udp', async () => {
    await rig.withClient();
    const port = 30_000 + Math.floor(Math.random() * 10_000);
    const listening = sipp(['-sn', 'uas', '-t', 'u1', '-p', String(port), '-m', '5']);
    for (let call = 0; call < 5; call++) {
      const dialog = await rig.srf.createUAC(`sip:service@127.0.0.1:${port}`, { localSdp: ANSWER }, {});
      await hangUp(dialog);
    }
    await listening;
    expect(rig.agent.stats().dialogs).toBe(0);
  });
});
