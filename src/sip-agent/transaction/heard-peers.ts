import type { AgentClock } from '../environment.js';
import { formatHostPort, type Flow } from '../transport/flow.js';

/** A peer that has been quiet for this long has to be heard again. */
const REMEMBER_MS = 60 * 60_000;
/** With more of them at once, the one quiet for longest is forgotten. */
const MAX_PEERS = 10_000;

/**
 * UDP addresses whose owners have shown that they hear us: by something only we can have told them, such as a tag or branch of
 * ours. Anybody can write another's address on a datagram; what is sent to the others is sent as seldom as can be.
 */
export class HeardPeers {
  readonly #clock: AgentClock;
  /** When each was last heard, the one quiet for longest first. */
  readonly #heardAtMs = new Map<string, number>();

  constructor(clock: AgentClock) {
    this.#clock = clock;
  }

  /** The peer has shown it. */
  note({ reliable, remote }: Flow): void {
    if (reliable) return;
    const key = formatHostPort(remote);
    this.#heardAtMs.delete(key);
    const [oldest] = this.#heardAtMs.keys();
    if (this.#heardAtMs.size >= MAX_PEERS && oldest !== undefined) this.#heardAtMs.delete(oldest);
    this.#heardAtMs.set(key, this.#clock.nowMs());
  }

  /** Whether the peer has. A connection shows it by being there. */
  knows({ reliable, remote }: Flow): boolean {
    if (reliable) return true;
    const heardAtMs = this.#heardAtMs.get(formatHostPort(remote));
    return heardAtMs !== undefined && this.#clock.nowMs() - heardAtMs < REMEMBER_MS;
  }
}
