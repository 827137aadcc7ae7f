import type { AgentLogger, AgentClock } from '../environment.js';
import type { Flow } from '../transport/flow.js';
import { LogThrottle } from '../transport/log-throttle.js';
import { SourceCounts } from '../transport/source-counts.js';

/** Calls of one address's peers that were never heard: half a second's worth of a busy trunk, until its first ACK. */
const MAX_UNHEARD = 64;
/** Calls of its other peers that are answered and not acknowledged: more than a second's worth. */
const MAX_UNACKNOWLEDGED = 128;
/** How long a source never heard that has all its calls may take to its first ACK: an agent may be that slow to answer. */
const FIRST_ACK_MS = 4_000;

/** What becomes of an INVITE: it is taken, refused, or as if it had been lost, to be sent again. */
export type SetupVerdict = 'take' | 'refuse' | 'ignore';

/** One call that is being set up. Its functions may be called in any order, and again. */
export interface CallSetup {
  /** Our 2xx went out. */
  answered(): void;
  /** It was acknowledged, or the call has ended. */
  over(): void;
}

/**
 * The calls that nobody has acknowledged, by their source. Each is held for half a minute once it is answered, so that INVITEs
 * alone, their addresses forged or not, could take every call there is; a phone or PBX acknowledges after a round trip.
 */
export class CallSetups {
  readonly #clock: AgentClock;
  readonly #logger: AgentLogger;
  readonly #throttle: LogThrottle;
  readonly #unheard = new SourceCounts();
  /** Since when sources never heard have had all their calls and sent more INVITEs, until they have half of them. */
  readonly #fullSinceMs = new Map<string, number>();
  readonly #unacknowledged = new SourceCounts();

  constructor(clock: AgentClock, logger: AgentLogger) {
    this.#clock = clock;
    this.#logger = logger;
    this.#throttle = new LogThrottle(clock);
  }

  /**
   * Whether the source of an INVITE may have another call. `heard`: see `HeardPeers`. A PBX that has begun with more calls at
   * once than that is not refused: it sends its INVITEs again, and by then has acknowledged the first.
   */
  judge({ remote: { address } }: Flow, heard: boolean): SetupVerdict {
    const calls = (heard ? this.#unacknowledged : this.#unheard).of(address);
    if (calls < (heard ? MAX_UNACKNOWLEDGED : MAX_UNHEARD)) return 'take';
    if (!heard && this.#mayBecomeHeard(address)) return 'ignore';
    if (this.#throttle.passes(address)) this.#logger.warn({ event: 'sip.unacknowledged_calls', address, calls });
    return 'refuse';
  }

  begin({ remote: { address } }: Flow, heard: boolean): CallSetup {
    const counts = heard ? this.#unacknowledged : this.#unheard;
    let state: 'pending' | 'counted' | 'over' = 'pending';
    const count = (): void => {
      if (state !== 'pending') return;
      state = 'counted';
      counts.add(address);
    };
    const over = (): void => {
      if (state === 'counted') {
        counts.add(address, -1);
        if (!heard && counts.of(address) < MAX_UNHEARD / 2) this.#fullSinceMs.delete(address);
      }
      state = 'over';
    };
    if (!heard) count();
    return { answered: count, over };
  }

  #mayBecomeHeard(address: string): boolean {
    const nowMs = this.#clock.nowMs();
    const sinceMs = this.#fullSinceMs.get(address) ?? nowMs;
    this.#fullSinceMs.set(address, sinceMs);
    return nowMs - sinceMs < FIRST_ACK_MS;
  }
}
