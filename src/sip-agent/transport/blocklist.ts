import type { Clock } from '../environment.js';
import { formatHostPort } from './flow.js';
import type { Hop } from './locate.js';

/** A place that did not work is tried last for so long. */
const REMEMBER_MS = 30_000;
const MAX_REMEMBERED = 1_000;

/** Places that lately did not work, so that not every request has to find out for itself. */
export class Outages {
  readonly #clock: Clock;
  /** When each was noted, oldest first. */
  readonly #notedAtMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note(hop: Hop): void {
    const key = keyOf(hop);
    this.#notedAtMs.delete(key);
    const [oldest] = this.#notedAtMs.keys();
    if (this.#notedAtMs.size >= MAX_REMEMBERED && oldest !== undefined) this.#notedAtMs.delete(oldest);
    this.#notedAtMs.set(key, this.#clock.nowMs());
  }

  /** The same places, those that did not work behind the others. */
  last<H extends Hop>(hops: readonly H[]): H[] {
    if (this.#notedAtMs.size === 0) return [...hops];
    return [...hops.filter((hop) => !this.#isOut(hop)), ...hops.filter((hop) => this.#isOut(hop))];
  }

  #isOut(hop: Hop): boolean {
    const notedAtMs = this.#notedAtMs.get(keyOf(hop));
    return notedAtMs !== undefined && this.#clock.nowMs() - notedAtMs < REMEMBER_MS;
  }
}

function keyOf(hop: Hop): string {
  return `${hop.protocol} ${formatHostPort(hop)}`;
}
