import { statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { CancelTimer, Clock } from '../clock.js';

const INTERVAL_MS = 1000;

/**
 * Tells when one of some files is another than it was: looks at their state once a second, since events miss what
 * editors (which replace files) and Kubernetes (which swaps a link above them) do. What changes after `new` is noticed;
 * of a file that joins them later, what changes after the first look at it.
 */
export class FileWatch {
  readonly #files: () => readonly string[];
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #states: ReadonlyMap<string, string>;
  #cancel: CancelTimer;
  #closed = false;

  constructor(files: () => readonly string[], clock: Clock, onChange: () => void) {
    this.#files = files;
    this.#clock = clock;
    this.#onChange = onChange;
    this.#states = new Map(files().map((file) => [file, stateOf(statSync(file, { throwIfNoEntry: false }))]));
    this.#cancel = this.#later();
  }

  /** Idempotent; nothing is told any more. */
  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #later(): CancelTimer {
    return this.#clock.after(INTERVAL_MS, () => void this.#look());
  }

  async #look(): Promise<void> {
    const looks = this.#files().map(async (file) => [file, stateOf(await stat(file).catch(() => undefined))] as const);
    const states = new Map(await Promise.all(looks));
    if (this.#closed) return;
    this.#cancel = this.#later();
    const before = this.#states;
    this.#states = states;
    if ([...states].some(([file, state]) => (before.get(file) ?? state) !== state)) this.#onChange();
  }
}

function stateOf(stats: Stats | undefined): string {
  return stats ? `${stats.ino} ${stats.size} ${stats.mtimeMs}` : 'absent';
}
