import { LRUCache } from 'lru-cache';
import type { AgentClock } from '../environment.js';
import { formatHostPort } from './flow.js';
import type { Hop } from './locate.js';

/** How long a failed hop is tried last. */
const REMEMBER_MS = 30_000;
const MAX_REMEMBERED = 1_000;

/** Blocklist of hops that failed lately, so that not every request has to wait for the same timeout again. */
export class Blocklist {
  readonly #clock: AgentClock;
  /** When each hop failed last. Only a failure counts as a use. */
  readonly #blockedAtMs = new LRUCache<string, number>({ max: MAX_REMEMBERED });

  constructor(clock: AgentClock) {
    this.#clock = clock;
  }

  block(hop: Hop): void {
    this.#blockedAtMs.set(keyOf(hop), this.#clock.nowMs());
  }

  /** The same hops, the blocked ones after the others. */
  blockedLast<H extends Hop>(hops: readonly H[]): H[] {
    if (this.#blockedAtMs.size === 0) return [...hops];
    return [...hops.filter((hop) => !this.#isBlocked(hop)), ...hops.filter((hop) => this.#isBlocked(hop))];
  }

  #isBlocked(hop: Hop): boolean {
    const blockedAtMs = this.#blockedAtMs.peek(keyOf(hop));
    return blockedAtMs !== undefined && this.#clock.nowMs() - blockedAtMs < REMEMBER_MS;
  }
}

function keyOf(hop: Hop): string {
  return `${hop.protocol} ${formatHostPort(hop)}`;
}
