import type { Violation } from './uplink-audit.js';

interface PendingMark {
  readonly name: string;
  /** When what was sent before it has been heard, if it is played from its arrival on. */
  dueMs: number;
}

/** Packets are 20 ms apart, and clocks are read here and there. */
const MAX_EARLY_MS = 100;
/** The caller may have been put through after the first words came, or have been on hold. */
const MAX_LATE_MS = 2_000;

/**
 * The marks one client has been sent. It is to send each of them back, in order, when the speech before it has been
 * played (Twilio, Media Streams, "mark"), and those of discarded speech at once. Pure: it is told when what came.
 */
export class MarkLedger {
  readonly #report: (violation: Violation) => void;
  #pending: PendingMark[] = [];
  #sent = 0;
  #echoed = 0;

  constructor(report: (violation: Violation) => void) {
    this.#report = report;
  }

  /** Marks sent and come back since the beginning. */
  get counts(): { readonly sent: number; readonly echoed: number } {
    return { sent: this.#sent, echoed: this.#echoed };
  }

  send(name: string, dueMs: number): void {
    this.#sent++;
    this.#pending.push({ name, dueMs });
  }

  /** The client has been told to discard what it has not played. */
  clear(nowMs: number): void {
    for (const mark of this.#pending) mark.dueMs = Math.min(mark.dueMs, nowMs);
  }

  echo(name: string, nowMs: number): void {
    const [mark] = this.#pending;
    if (mark?.name !== name) {
      const expected = mark ? `"${mark.name}" is the next` : 'none is awaited';
      this.#report({ kind: 'mark-unknown', detail: `"${name.slice(0, 40)}", but ${expected}`, atMs: nowMs });
      return;
    }
    this.#pending.shift();
    this.#echoed++;
    const earlyMs = mark.dueMs - nowMs;
    if (earlyMs > MAX_EARLY_MS) {
      this.#report({ kind: 'mark-early', detail: `${earlyMs.toFixed(1)} ms before the speech ends`, atMs: nowMs });
    }
  }

  /** The client says or shows that it is done: what is long due is missing. */
  end(nowMs: number): void {
    const missing = this.#pending.filter(({ dueMs }) => dueMs + MAX_LATE_MS < nowMs);
    this.#pending = [];
    for (const { name, dueMs } of missing) {
      const detail = `"${name}", due ${(nowMs - dueMs).toFixed(1)} ms ago`;
      this.#report({ kind: 'mark-missing', detail, atMs: nowMs });
    }
  }
}
