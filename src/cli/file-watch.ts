import { statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { CancelTimer, Clock } from '../clock.js';

const INTERVAL_MS = 1000;

/**
 * Tells when a file is another than it was: looks at its state once a second, since events miss what editors (which
 * replace files) and Kubernetes (which swaps a link above them) do. What changes after `new` is noticed.
 */
export class FileWatch {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #state: string;
  #cancel: CancelTimer;
  #closed = false;

  constructor(file: string, clock: Clock, onChange: () => void) {
    this.#file = file;
    this.#clock = clock;
    this.#onChange = onChange;
    this.#state = stateOf(statSync(file, { throwIfNoEntry: false }));
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
    const state = stateOf(await stat(this.#file).catch(() => undefined));
    if (this.#closed) return;
    this.#cancel = this.#later();
    if (state === this.#state) return;
    this.#state = state;
    this.#onChange();
  }
}

function stateOf(stats: Stats | undefined): string {
  return stats ? `${stats.ino} ${stats.size} ${stats.mtimeMs}` : 'absent';
}
