import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../clock.js';

const START_TIMEOUT_MS = 30_000;

const MAIN = fileURLToPath(new URL('../../main.js', import.meta.url));

/** Sections as in the configuration file, laid over what a bridge on loopback needs. */
export type BridgeDocument = Readonly<Record<string, unknown>>;

/** How the process is run, and who hears of it. */
export interface BridgeProcessOptions {
  /** Gets every line of its standard output. */
  readonly onLine?: (line: string) => void;
  /** Options for Node itself. */
  readonly execArgv?: readonly string[];
  /** In a process group of its own, where an interrupt from the terminal does not reach it. */
  readonly detached?: boolean;
}

/** Where a bridge listens. */
interface Listening {
  readonly sipPort: number;
  readonly httpUrl: string;
}

/** The bridge as it is run in production: the command `start` in a process of its own, on loopback. */
export class BridgeProcess {
  readonly sipPort: number;
  /** Of `/health` and the like. */
  readonly httpUrl: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;

  /** Unless `document` has other routes, every number reaches the agent `bench`. Rejects when it does not come up. */
  static async start(
    pranthoraUrl: string,
    document: BridgeDocument = {},
    { onLine, execArgv = [], detached = false }: BridgeProcessOptions = {},
  ): Promise<BridgeProcess> {
    const directory = mkdtempSync(join(tmpdir(), 'bridge-process-'));
    const config = join(directory, 'config.json');
    writeFileSync(config, JSON.stringify({ ...loopback(pranthoraUrl), ...document }));
    const forget = (): void => rmSync(directory, { recursive: true, force: true });
    const child = spawn(process.execPath, [...execArgv, MAIN, 'start', '--config', config], {
      stdio: ['ignore', 'pipe', 'inherit'],
      // A variable of the caller's could configure another bridge than the document does.
      env: {},
      detached,
    });
    // Whatever ends this process without a word takes the bridge along.
    const kill = (): void => void child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('error', forget);
    child.once('exit', () => {
      process.off('exit', kill);
      forget();
    });
    try {
      return new BridgeProcess(child, await listeningOf(child, onLine));
    } catch (error) {
      kill();
      throw error;
    }
  }

  private constructor(child: ChildProcess, { sipPort, httpUrl }: Listening) {
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      child.once('exit', () => resolve());
    });
    this.sipPort = sipPort;
    this.httpUrl = httpUrl;
  }

  /** Rejects when the process has ended, which nobody has asked it to. */
  async ended(): Promise<never> {
    await this.#exited;
    throw new Error(`The bridge has ended with ${this.#child.exitCode ?? this.#child.signalCode ?? 'nothing'}`);
  }

  get pid(): number {
    return this.#child.pid ?? NaN;
  }

  /** Resolves to its exit code once it has ended; null when a signal ended it. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | null> {
    this.#child.kill(signal);
    await this.#exited;
    return this.#child.exitCode;
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

/** From the `bridge.ready` line. What is logged afterwards is `onLine`'s alone. */
function listeningOf(child: ChildProcess, onLine: BridgeProcessOptions['onLine']): Promise<Listening> {
  return new Promise((resolve, reject) => {
    if (!child.stdout) throw new Error('no standard output');
    const cancelTimer = systemClock.after(START_TIMEOUT_MS, () =>
      reject(new Error(`The bridge was not ready after ${START_TIMEOUT_MS / 1_000} s`)),
    );
    createInterface({ input: child.stdout }).on('line', (line) => {
      onLine?.(line);
      const [, port, httpUrl] = /"event":"bridge\.ready".*udp:\/\/[^"]*:(\d+).*"http":"([^"]+)"/.exec(line) ?? [];
      if (port === undefined || httpUrl === undefined) return;
      cancelTimer();
      resolve({ sipPort: Number(port), httpUrl });
    });
    const fail = (error: Error): void => {
      cancelTimer();
      reject(error);
    };
    child.once('error', fail);
    child.once('exit', (code) => fail(new Error(`The bridge ended with ${code ?? 'a signal'} before it was ready`)));
  });
}
