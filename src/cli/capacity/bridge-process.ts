import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../main.js', import.meta.url));

/** Sections as in the configuration file, laid over what a bridge on loopback needs. */
export type BridgeDocument = Readonly<Record<string, unknown>>;

/** The bridge as it is run in production: the command `start` in a process of its own, on loopback. */
export class BridgeProcess {
  readonly sipPort: number;
  readonly #child: ChildProcess;

  /** Unless `document` has other routes, every number reaches the agent `bench`. Rejects when it does not come up. */
  static async start(pranthoraUrl: string, document: BridgeDocument = {}): Promise<BridgeProcess> {
    const directory = mkdtempSync(join(tmpdir(), 'bridge-process-'));
    const config = join(directory, 'config.json');
    writeFileSync(config, JSON.stringify({ ...loopback(pranthoraUrl), ...document }));
    const child = spawn(process.execPath, [MAIN, 'start', '--config', config], {
      stdio: ['ignore', 'pipe', 'inherit'],
      // A variable of the caller's could configure another bridge than the document does.
      env: {},
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

  get pid(): number {
    return this.#child.pid ?? NaN;
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    this.#child.kill(signal);
    await once(this.#child, 'exit');
  }
}

function loopback(pranthoraUrl: string): BridgeDocument {
  return {
    pranthora: { url: pranthoraUrl, apiKey: 'key-of-the-bench' },
    sip: { listen: ['udp://127.0.0.1:0'] },
    media: { bind: '127.0.0.1' },
    http: { port: 0 },
    routes: [{ default: true, agentId: 'bench' }],
  };
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
