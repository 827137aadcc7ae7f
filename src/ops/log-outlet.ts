import { constants, fstatSync, openSync, write, writeSync } from 'node:fs';
import { isatty } from 'node:tty';

/** Where lines go: takes one piece at a time, and never keeps this thread waiting. */
export interface Outlet {
  /**
   * `done` is called later, with how many octets were taken: fewer than given, even none, where there is no room for now.
   * Not to be called again before that. Does not throw.
   */
  write(data: Buffer, done: (error: NodeJS.ErrnoException | null, written: number) => void): void;
  /** The process ends now: writes `rest` after what is under way, or what a second is enough for. Does not throw. */
  finish(rest: Buffer): void;
}

/** A write to a file takes microseconds; one that has taken this long stands on a disk that hangs. */
const HANGING_MS = 1_000;
const LAST_WRITE_MS = 50;
/** What all that is left may take when the process ends. */
const LAST_WORDS_MS = 1_000;
const PAUSE_MS = 10;

/** Standard output, whatever it is. */
export function standardOutput(): Outlet {
  const stats = fstatSync(1);
  // Node writes to pipes and sockets without blocking, and keeps the descriptor after an error.
  if (stats.isFIFO() || stats.isSocket()) return new StreamOutlet(process.stdout, 1);
  return new DescriptorOutlet(isatty(1) ? terminalOf(1) : 1);
}

/**
 * The same terminal by a descriptor of our own: one that does not block where the terminal has been stopped (Ctrl-S),
 * without changing that for the shell.
 */
function terminalOf(fd: number): number {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return fd;
  }
}

/** A stream of Node's that writes without blocking. */
export class StreamOutlet implements Outlet {
  readonly #stream: NodeJS.WriteStream;
  readonly #fd: number;

  constructor(stream: NodeJS.WriteStream, fd: number) {
    this.#stream = stream;
    this.#fd = fd;
    // Each write is told of its own error.
    stream.on('error', () => undefined);
  }

  write(data: Buffer, done: (error: NodeJS.ErrnoException | null, written: number) => void): void {
    this.#stream.write(data, (error) => done(error ?? null, error ? 0 : data.length));
  }

  finish(rest: Buffer): void {
    // What the pipe has not taken yet it will not take now either.
    if (this.#stream.writableLength === 0) writeWithinLimit(this.#fd, rest);
  }
}

/** A file, a device or a terminal: written by Node's thread pool, of which a hanging disk so holds one thread at most. */
export class DescriptorOutlet implements Outlet {
  readonly #fd: number;
  #underWaySinceMs: number | undefined;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(data: Buffer, done: (error: NodeJS.ErrnoException | null, written: number) => void): void {
    this.#underWaySinceMs = performance.now();
    write(this.#fd, data, 0, data.length, null, (error, written) => {
      this.#underWaySinceMs = undefined;
      if (error?.code === 'EAGAIN') done(null, 0);
      else done(error, error ? 0 : written);
    });
  }

  finish(rest: Buffer): void {
    if (this.#underWaySinceMs !== undefined) {
      if (performance.now() - this.#underWaySinceMs > HANGING_MS) return;
      pause(LAST_WRITE_MS);
    }
    writeWithinLimit(this.#fd, rest);
  }
}

/** Gives a reader that is slow some time, one that has stopped no more than that. */
function writeWithinLimit(fd: number, data: Buffer): void {
  const deadlineMs = performance.now() + LAST_WORDS_MS;
  for (let written = 0; written < data.length;) {
    try {
      written += writeSync(fd, data, written);
    } catch (error) {
      // Nobody is left to be told of any other.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || performance.now() > deadlineMs) return;
      pause(PAUSE_MS);
    }
  }
}

/** Keeps this thread, and it alone, waiting: the thread pool goes on without the event loop. */
function pause(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}
