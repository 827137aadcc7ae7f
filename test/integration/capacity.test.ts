import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BridgeProgram } from '../support/child-bridge.js';
import { measuresRealTime } from '../support/real-time.js';

measuresRealTime();

interface Printed {
  readonly proposal: {
    readonly call: { readonly maxConcurrent: number };
    readonly media: { readonly workers: number };
  };
  readonly source: string;
  readonly steps: readonly {
    readonly calls: number;
    readonly failed: number;
    readonly uplinkMs: { readonly n: number };
  }[];
}

describe.skipIf(process.platform !== 'linux')('capacity', () => {
  let program: BridgeProgram;

  beforeAll(() => {
    program = new BridgeProgram();
  }, 120_000);

  afterAll(() => program.remove());

  it('measures a bridge of its own, whatever the environment would make of another', { timeout: 60_000 }, async () => {
    const args = [fileURLToPath(program.script('main.js')), 'capacity', '--seconds', '1', '--calls', '3', '--json'];
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, MEDIA_ENGINE: 'freeswitch', MAX_CALLS: '1', PRANTHORA_URL: 'wss://pranthora.test' },
    });
    const exited = once(child, 'exit');
    const printed = JSON.parse(await text(child.stdout)) as Printed;
    await exited;
    const [step] = printed.steps;
    expect(step).toMatchObject({ calls: 3, failed: 0 });
    // Every other packet of three callers in a second and more has become a frame of an agent's, over TLS.
    expect(step?.uplinkMs.n).toBeGreaterThan(3 * 25);
    expect(printed.proposal.call.maxConcurrent).toBeGreaterThanOrEqual(1);
    expect(printed.proposal.media.workers).toBeGreaterThanOrEqual(1);
  });
});
