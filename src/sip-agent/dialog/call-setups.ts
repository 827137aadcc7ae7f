import type { AgentLogger, AgentClock } from '../environment.js';
import type { Flow } from '../transport/flow.js';
import { LogThrottle } from '../transport/log-throttle.js';
import { SourceCounts } from '../transport/source-counts.js';

/** Pending calls of one unproven address: half a second of a busy trunk, until its first ACK. */
const MAX_UNHEARD = 64;
/** Answered calls of one proven address without an ACK: more than a second of a busy trunk. */
const MAX_UNACKNOWLEDGED = 128;
/** How long an unproven source at its limit may take to its first ACK: an agent may be that slow to answer. */
const FIRST_ACK_MS = 4_000;

/** The decision on an INVITE: accept it, refuse it, or ignore it so that the peer retransmits it. */
export type SetupVerdict = 'take' | 'refuse' | 'ignore';

/** One call during its setup. Its functions may be called in any order, and repeatedly. */
export interface CallSetup {
  /** Our 2xx was sent. */
  answered(): void;
  /** It was acknowledged, or the call has ended. */
  over(): void;
}

/**
 * Limits the calls of each source that are not acknowledged yet. Such a call is held for 32 s after its answer, so INVITEs
 * alone, also with forged addresses, could take all calls; a phone or PBX acknowledges after one round trip.
 */
export class CallSetups {
  readonly #clock: AgentClock;
  readonly #logger: AgentLogger;
  readonly #throttle: LogThrottle;
  readonly #unheard = new SourceCounts();
  /** Since when unproven sources have been at their limit; removed when they are below half of it. */
  readonly #fullSinceMs = new Map<string, number>();
  readonly #unacknowledged = new SourceCounts();

  constructor(clock: AgentClock, logger: AgentLogger) {
    this.#clock = clock;
    this.#logger = logger;
    this.#throttle = new LogThrottle(clock);
  }

  /**
   * Whether the source of an INVITE may have another call. `heard`: see `HeardPeers`. A PBX that starts with more calls than
   * that is not refused: it retransmits its INVITEs, and by then has acknowledged the first calls.
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
