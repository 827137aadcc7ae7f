import type { Clock } from '../clock.js';
import type { CallEvent } from '../events/call-events.js';

const MINUTE_MS = 60_000;
/** Minutes looked back at, the one under way included. */
const MINUTES = 5;

const KINDS = ['forbidden', 'scanners', 'limited', 'callsPerSource'] as const;

/** Why a request was turned away: its address, its User-Agent, its haste, or too many calls from its address. */
export type RefusalKind = (typeof KINDS)[number];

export type Refused = { readonly lastMinutes: number } & Readonly<Record<RefusalKind, number>>;

/** Counts what was turned away in the last minutes, for `/health`. */
export class Refusals {
  readonly #clock: Clock;
  /** By minute since the clock's origin; those long past are forgotten. */
  readonly #minutes = new Map<number, Record<RefusalKind, number>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  onCallEvent(event: CallEvent): void {
    if (event.event === 'call.closed' && event.end.reason === 'source_at_capacity') this.note('callsPerSource');
  }

  note(kind: RefusalKind): void {
    const minute = this.#minute();
    this.#forgetBefore(minute);
    const counts = this.#minutes.get(minute) ?? none();
    counts[kind] += 1;
    this.#minutes.set(minute, counts);
  }

  recent(): Refused {
    this.#forgetBefore(this.#minute());
    const sum = none();
    for (const counts of this.#minutes.values()) for (const kind of KINDS) sum[kind] += counts[kind];
    return { lastMinutes: MINUTES, ...sum };
  }

  #minute(): number {
    return Math.floor(this.#clock.nowMs() / MINUTE_MS);
  }

  #forgetBefore(minute: number): void {
    for (const each of this.#minutes.keys()) if (each <= minute - MINUTES) this.#minutes.delete(each);
  }
}

function none(): Record<RefusalKind, number> {
  return { forbidden: 0, scanners: 0, limited: 0, callsPerSource: 0 };
}
