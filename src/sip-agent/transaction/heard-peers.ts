import { LRUCache } from 'lru-cache';
import type { AgentClock } from '../environment.js';
import { formatHostPort, type Flow } from '../transport/flow.js';

/** A peer that is silent for this long has to prove its address again. */
const REMEMBER_MS = 60 * 60_000;
/** Beyond this, the peer that was silent for longest is forgotten. */
const MAX_PEERS = 10_000;

/**
 * Return routability of UDP peers: the addresses whose owners have proven that they receive what we send, by a message with a
 * tag or branch of ours. A source address can be forged; to unproven addresses as little as possible is sent.
 */
export class HeardPeers {
  readonly #clock: AgentClock;
  /** When each peer was heard last. Only `note` counts as a use. */
  readonly #heardAtMs = new LRUCache<string, number>({ max: MAX_PEERS });

  constructor(clock: AgentClock) {
    this.#clock = clock;
  }

  /** The peer has proven its address. */
  note({ reliable, remote }: Flow): void {
    if (!reliable) this.#heardAtMs.set(formatHostPort(remote), this.#clock.nowMs());
  }

  /** Whether the peer has proven its address. A TCP or TLS connection is a proof. */
  knows({ reliable, remote }: Flow): boolean {
    if (reliable) return true;
    const heardAtMs = this.#heardAtMs.peek(formatHostPort(remote));
    return heardAtMs !== undefined && this.#clock.nowMs() - heardAtMs < REMEMBER_MS;
  }
}
