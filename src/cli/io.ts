/** What a command touches of its process; tests hand it something else. */
export interface Io {
  out(text: string): void;
  err(text: string): void;
  /** For the configuration; absent, the process's own. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Where the daemon's log lines go; absent, standard output. */
  readonly logDestination?: { write(line: string): void };
  /** Where signals arrive, and what else the process tells of itself. */
  readonly signals: SignalSource;
  /** Ends the process soon, whatever still keeps it from ending by itself. */
  leave(exitCode: number): void;
}

export interface SignalSource {
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  off(event: string, listener: (...args: unknown[]) => void): unknown;
}

/** Thrown by a command that has said what there was to say: ends with this exit code and no further word. */
export class ExitCode extends Error {
  override readonly name = 'ExitCode';

  constructor(readonly code: number) {
    super(`exit code ${code}`);
  }
}

const LEAVE_AFTER_MS = 1000;

/** `check | head -1` closes the pipe early; that is the reader's good right and no fault. */
function onWritten(error: NodeJS.ErrnoException | null | undefined): void {
  if (!error || error.code === 'EPIPE' || process.exitCode === 1) return;
  process.exitCode = 1;
  process.stderr.write(`error: standard output cannot be written: ${error.message}\n`);
}

export const processIo: Io = {
  out: (text) => void process.stdout.write(text, onWritten),
  err: (text) => void process.stderr.write(text),
  signals: process,
  leave(exitCode) {
    // Unreferenced: a process with nothing left to do does not wait for it.
    setTimeout(() => process.exit(exitCode), LEAVE_AFTER_MS).unref();
  },
};
