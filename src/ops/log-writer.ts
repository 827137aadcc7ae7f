import type { Clock } from '../clock.js';
import type { Outlet } from './log-outlet.js';

/** How the log fares, as `/health` tells it. */
export interface LogState {
  /** `degraded` while lines cannot be written. */
  readonly status: 'ok' | 'degraded';
  /** Lines that were lost since the start. */
  readonly droppedLines: number;
  readonly detail: string;
}

/** Some hundred calls' worth. Lines beyond it are dropped, not those that wait. */
const MAX_QUEUED_BYTES = 256 * 1024;
/** When an outlet that had no room is asked again. */
const RETRY_MS = 50;
/** A reader may be busy for a moment. */
const STALLED_MS = 1_000;
const LINE_FEED = 10;

/**
 * A log's lines on their way out: never waits, never throws, holds a bounded number of octets. What the outlet refuses (a
 * full disk, a reader that has gone) and what there is no room for is dropped and counted, by whole lines.
 */
export class LogWriter {
  readonly #outlet: Outlet;
  readonly #clock: Clock;
  readonly #queue: Buffer[] = [];
  /** In `#queue` and `#writing`. */
  #queuedBytes = 0;
  #writing: Buffer | undefined;
  #writingSinceMs = 0;
  /** Whether the last octet that went out was in the middle of a line. */
  #midLine = false;
  #dropped = 0;
  #untold = 0;
  #fault: string | undefined;
  /** Why lines were lost last. */
  #lastFault = '';
  readonly #whenIdle: (() => void)[] = [];

  /** Called when lines can be written again after some were lost. */
  onRecovered: ((lines: number, why: string) => void) | undefined;

  constructor(outlet: Outlet, clock: Clock) {
    this.#outlet = outlet;
    this.#clock = clock;
  }

  /** Lines lost since the start. */
  get droppedLines(): number {
    return this.#dropped;
  }

  /** `line` ends with a line feed. */
  write(line: string): void {
    const data = Buffer.from(line);
    if (this.#queuedBytes + data.length > MAX_QUEUED_BYTES) {
      this.#drop(1, 'whoever reads the log is too slow');
      return;
    }
    this.#queue.push(data);
    this.#queuedBytes += data.length;
    if (this.#writing === undefined) this.#writeNext();
  }

  /** A line that could not even be made. */
  noteLost(why: string): void {
    this.#drop(1, why);
  }

  state(): LogState {
    const droppedLines = this.#dropped;
    const lost = droppedLines === 0 ? '' : `; ${grouped(droppedLines)} lines lost: ${this.#lastFault}`;
    const waitedMs = this.#writing === undefined ? 0 : this.#clock.nowMs() - this.#writingSinceMs;
    if (waitedMs > STALLED_MS) {
      const seconds = Math.round(waitedMs / 1000);
      const detail = `nothing could be written for ${grouped(seconds)} s, ${grouped(this.#queuedBytes)} octets wait`;
      return { status: 'degraded', droppedLines, detail: detail + lost };
    }
    if (this.#fault !== undefined) return { status: 'degraded', droppedLines, detail: `not written${lost}` };
    return { status: 'ok', droppedLines, detail: `written${lost}` };
  }

  /** Resolves when nothing waits any more, but after `limitMs` at the latest. */
  flush(limitMs: number): Promise<void> {
    if (this.#writing === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#clock.after(limitMs, resolve);
      this.#whenIdle.push(() => {
        cancel();
        resolve();
      });
    });
  }

  /** The process ends now: writes what waits, within a second. */
  finish(): void {
    const rest = Buffer.concat(this.#queue.splice(0));
    this.#queuedBytes -= rest.length;
    this.#outlet.finish(rest);
  }

  #writeNext(): void {
    const lines = this.#queue.splice(0);
    // A line that was cut off by a full disk stays alone on its line.
    if (this.#midLine) {
      lines.unshift(Buffer.from('\n'));
      this.#queuedBytes += 1;
      this.#midLine = false;
    }
    this.#writingSinceMs = this.#clock.nowMs();
    this.#writeOut(lines.length === 1 && lines[0] ? lines[0] : Buffer.concat(lines));
  }

  #writeOut(data: Buffer): void {
    this.#writing = data;
    this.#outlet.write(data, (error, written) => this.#onWritten(data, error, written));
  }

  #onWritten(data: Buffer, error: NodeJS.ErrnoException | null, written: number): void {
    const rest = data.subarray(written);
    if (written > 0) {
      this.#midLine = data[written - 1] !== LINE_FEED;
      this.#queuedBytes -= written;
      this.#writingSinceMs = this.#clock.nowMs();
    }
    if (error) this.#onRefused(rest, error);
    else if (rest.length > 0) {
      this.#writing = rest;
      if (written > 0) this.#writeOut(rest);
      else this.#clock.after(RETRY_MS, () => this.#writeOut(rest));
      return;
    } else this.#onTaken();
    this.#writing = undefined;
    if (this.#queue.length > 0) this.#writeNext();
    else for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  #onRefused(rest: Buffer, error: NodeJS.ErrnoException): void {
    this.#queuedBytes -= rest.length;
    this.#drop(linesIn(rest), error.code ?? error.message);
  }

  #onTaken(): void {
    this.#fault = undefined;
    if (this.#untold === 0) return;
    const lines = this.#untold;
    this.#untold = 0;
    this.onRecovered?.(lines, this.#lastFault);
  }

  #drop(lines: number, why: string): void {
    this.#dropped += lines;
    this.#untold += lines;
    this.#fault = why;
    this.#lastFault = why;
  }
}

/** Not to be taken for a phone number, which would be masked. */
function grouped(count: number): string {
  return count.toLocaleString('en');
}

function linesIn(data: Buffer): number {
  let lines = 0;
  for (const octet of data) if (octet === LINE_FEED) lines += 1;
  return lines;
}
