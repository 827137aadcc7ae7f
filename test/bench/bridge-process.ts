import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));

/** The bridge as it is run in production: the command `start` in a process of its own, on loopback. */
export class BridgeProcess {
  readonly sipPort: number;
  readonly #child: ChildProcess;

  /** Every number reaches the agent `bench` at `pranthoraUrl`. Rejects when the bridge does not come up. */
  static async start(pranthoraUrl: string): Promise<BridgeProcess> {
    const directory = mkdtempSync(join(tmpdir(), 'bridge-bench-'));
    const config = join(directory, 'config.json');
    const document = {
      pranthora: { url: pranthoraUrl, apiKey: 'key-of-the-bench' },
      sip: { listen: ['udp://127.0.0.1:0'] },
      media: { bind: '127.0.0.1' },
      http: { port: 0 },
      routes: [{ default: true, agentId: 'bench' }],
    };
    writeFileSync(config, JSON.stringify(document));
    const child = spawn(process.execPath, [MAIN, 'start', '--config', config], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child.once('exit', () => {
      rmSync(directory, { recursive: true });
    });
    return new BridgeProcess(child, await sipPortOf(child));
  }

  private constructor(child: ChildProcess, sipPort: number) {
    this.#child = child;
    this.sipPort = sipPort;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await once(this.#child, 'exit');
  }
}

/** From the `bridge.ready` line. What is logged afterwards is read and forgotten. */
function sipPortOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    if (!child.stdout) throw new Error('no standard output');
    createInterface({ input: child.stdout }).on('line', (line) => {
      const port = /"event":"bridge\.ready".*udp:\/\/[^"]*:(\d+)/.exec(line)?.[1];
      if (port !== undefined) resolve(Number(port));
    });
    child.once('exit', (code) => {
      reject(new Error(`The bridge ended with ${code ?? 'a signal'} before it was ready`));
    });
  });
}
