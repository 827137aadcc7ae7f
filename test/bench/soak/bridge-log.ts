import type { CallRecord } from '../../../src/events/call-record.js';
import { PROBE_EVENT, type ProbeReport } from './probe-report.js';
import { Tally } from './tally.js';

export const TWO_WAY = 'two-way audio';
const ENDED_BY_CALLER = 'caller_hangup';

const COMPLAINTS: readonly unknown[] = ['warn', 'error', 'fatal'];
const COMPLAINTS_SHOWN = 5;

/** The worst since it was last asked for, of the main thread and of all media threads; NaN of none. */
export interface LoopDelay {
  readonly mainMs: number;
  readonly mediaMs: number;
}

/** What a bridge writes while it is under load, counted. */
export class BridgeLog {
  /** Of answered calls. */
  readonly verdicts = new Tally();
  /** Reasons of calls that ended otherwise than by the caller's BYE. */
  readonly otherEndings = new Tally();
  /** Events of level warn and above. */
  readonly complaints = new Tally();
  /** The first few of these lines. */
  readonly firstComplaints: string[] = [];
  readonly #threads = new Map<number, ProbeReport>();
  #mainDelayMs = NaN;
  #mediaDelayMs = NaN;

  /** Bound: a listener for the process's lines. */
  readonly onLine = (line: string): void => {
    const fields = parse(line);
    if (!fields) return;
    if (fields['event'] === PROBE_EVENT) this.#onReport(fields as unknown as ProbeReport);
    if (fields['event'] === 'call.ended') this.#onEnded(fields as unknown as CallRecord);
    if (COMPLAINTS.includes(fields['level'])) this.#onComplaint(String(fields['event']), line);
  };

  takeLoopDelay(): LoopDelay {
    const delay = { mainMs: this.#mainDelayMs, mediaMs: this.#mediaDelayMs };
    this.#mainDelayMs = this.#mediaDelayMs = NaN;
    return delay;
  }

  /** What keeps the threads' event loops alive, as last reported, by thread and kind. */
  handles(): Map<string, number> {
    const all = [...this.#threads.values()].flatMap(({ thread, handles }) =>
      Object.entries(handles).map(([kind, count]) => [`${kind} of thread ${thread}`, count] as const),
    );
    return new Map(all);
  }

  #onReport(report: ProbeReport): void {
    this.#threads.set(report.thread, report);
    if (report.thread === 0) this.#mainDelayMs = worse(this.#mainDelayMs, report.delayP99Ms);
    else this.#mediaDelayMs = worse(this.#mediaDelayMs, report.delayP99Ms);
  }

  #onEnded({ answeredAt, verdict, reason }: CallRecord): void {
    if (answeredAt !== undefined) this.verdicts.add(verdict ?? 'no verdict');
    if (reason !== ENDED_BY_CALLER) this.otherEndings.add(reason);
  }

  #onComplaint(event: string, line: string): void {
    this.complaints.add(event);
    if (this.firstComplaints.length < COMPLAINTS_SHOWN) this.firstComplaints.push(line);
  }
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    const fields: unknown = JSON.parse(line);
    return typeof fields === 'object' && fields !== null ? (fields as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const worse = (a: number, b: number): number => (Number.isNaN(a) ? b : Math.max(a, b));
