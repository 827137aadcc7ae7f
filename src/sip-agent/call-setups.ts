import type { AgentLogger, Clock } from './environment.js';
import type { Flow } from './flow.js';
import { LogThrottle } from './log-throttle.js';
import { SourceCounts } from './source-counts.js';

/** Calls of one address's peers that were never heard: half a second's worth of a busy trunk, until its first ACK. */
const MAX_UNHEARD = 64;
/** Calls of its other peers that are answered and not acknowledged: more than a second's worth. */
const MAX_UNACKNOWLEDGED = 128;

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
  readonly #logger: AgentLogger;
  readonly #throttle: LogThrottle;
  readonly #unheard = new SourceCounts();
  readonly #unacknowledged = new SourceCounts();

  constructor(clock: Clock, logger: AgentLogger) {
    this.#logger = logger;
    this.#throttle = new LogThrottle(clock);
  }

  /** Whether the source of an INVITE may have another call. `heard`: see `HeardPeers`. */
  admits({ remote: { address } }: Flow, heard: boolean): boolean {
    const calls = (heard ? this.#unacknowledged : this.#unheard).of(address);
    if (calls < (heard ? MAX_UNACKNOWLEDGED : MAX_UNHEARD)) return true;
    if (this.#throttle.passes(address)) this.#logger.warn({ event: 'sip.unacknowledged_calls', address, calls });
    return false;
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
      if (state === 'counted') counts.add(address, -1);
      state = 'over';
    };
    if (!heard) count();
    return { answered: count, over };
  }
}
