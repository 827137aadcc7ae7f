import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { eventually } from './engine-rig.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_PATIENCE_MS = 15_000;

/** The daemon as it is shipped, compiled from the sources as they are, in a process that can be killed. */
export class BridgeProgram {
  readonly #directory = mkdtempSync(join(tmpdir(), 'bridge-program-'));

  constructor() {
    for (const name of ['node_modules', 'package.json', 'config'])
      symlinkSync(join(ROOT, name), join(this.#directory, name));
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
    const args = [compiler, '-p', join(ROOT, 'tsconfig.build.json'), '--outDir', join(this.#directory, 'dist')];
    const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(stdout);
  }

  /** What starts it, as a shell would. */
  command(config: Readonly<Record<string, unknown>>): [string, ...string[]] {
    const file = join(this.#directory, 'config.json');
    writeFileSync(file, JSON.stringify(config));
    return [process.execPath, join(this.#directory, 'dist/main.js'), 'start', '--config', file];
  }

  /** Resolves when it is ready. */
  async start(config: Readonly<Record<string, unknown>>): Promise<ChildBridge> {
    const [node, ...args] = this.command(config);
    const bridge = new ChildBridge(spawn(node, args, { stdio: ['ignore', 'pipe', 'inherit'] }));
    await eventually(() => {
      if (bridge.count('bridge.ready') === 0) throw new Error('The bridge is not ready');
    }, START_PATIENCE_MS);
    return bridge;
  }

  /** A compiled file. Throws when there is none: whoever starts it later would only see it fail. */
  script(path: string): URL {
    const file = join(this.#directory, 'dist', path);
    if (!existsSync(file)) throw new Error(`${file} does not exist`);
    return pathToFileURL(file);
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true });
  }
}

export class ChildBridge {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #events: string[] = [];

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = once(child, 'exit');
    if (!child.stdout) return;
    createInterface(child.stdout).on('line', (line) => {
      this.#events.push(/"event":"([^"]+)"/.exec(line)?.[1] ?? line);
    });
  }

  /** How often it has logged an event. */
  count(event: string): number {
    return this.#events.filter((logged) => logged === event).length;
  }

  /** Resolves when it is gone. Idempotent. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#child.kill(signal);
    await this.#ended;
  }
}
