import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import type { Io } from '../../../src/cli/io.js';
import { runCli } from '../../../src/cli/program.js';
import type { StartBridge } from '../../../src/cli/start.js';

export const KEY = 'test-key-0123456789';

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

export function temporaryFile(content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'bridge-cli-'));
  folders.push(folder);
  const file = join(folder, 'bridge.yaml');
  writeFileSync(file, content);
  return file;
}

type Line = Record<string, unknown> & { event: string };

/** A command line without a process: what was printed, what was logged, and signals that can be sent. */
export class TestIo implements Io {
  stdout = '';
  stderr = '';
  readonly env: Record<string, string> = { PRANTHORA_API_KEY: KEY };
  readonly signals = new EventEmitter();
  readonly left: number[] = [];
  readonly lines: Line[] = [];
  readonly #logged = new EventEmitter();

  readonly logDestination = {
    write: (text: string): void => {
      const line = JSON.parse(text) as Line;
      this.lines.push(line);
      this.#logged.emit('line', line);
    },
  };

  out(text: string): void {
    this.stdout += text;
  }

  err(text: string): void {
    this.stderr += text;
  }

  leave(exitCode: number): void {
    this.left.push(exitCode);
  }

  run(args: readonly string[], startBridge?: StartBridge): Promise<number> {
    return runCli(args, this, startBridge);
  }

  /** The next line of this event, from now on. */
  logged(event: string): Promise<Line> {
    return new Promise((resolve) => {
      const look = (line: Line): void => {
        if (line.event !== event) return;
        this.#logged.off('line', look);
        resolve(line);
      };
      this.#logged.on('line', look);
    });
  }

  /** Listeners still waiting for signals: none, once a command has ended. */
  get listening(): number {
    return this.signals.eventNames().length;
  }
}
