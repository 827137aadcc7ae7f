import type { Socket } from 'node:net';
import { formatHostPort, type Endpoint } from './flow.js';
import { SourceCounts } from './source-counts.js';

/** A peer sends its last octets of a handshake within this, or is given up. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Handshakes under way beyond which further ones are refused. */
const MAX_HANDSHAKES = 256;
/** The same for one source, so that it cannot keep out the others. */
const MAX_HANDSHAKES_PER_SOURCE = MAX_HANDSHAKES / 4;
/** The same for all sources together that may not call: they cannot keep out those that may. */
const MAX_UNKNOWN_HANDSHAKES = 32;

interface PendingHandshake {
  readonly socket: Socket;
  readonly ready: (secured: Socket) => void;
  readonly isUnknown: boolean;
  readonly sinceMs: number;
  /** Why it failed, as soon as that is known. */
  reason: string;
}

export interface HandshakesOptions {
  readonly nowMs: () => number;
  readonly allow: (address: string) => boolean;
  /** Hears once of each handshake that came to nothing. */
  readonly failed: (remote: Endpoint, reason: string) => void;
}

/** The TLS handshakes of accepted connections that are not over: bounded in number and in time. */
export class Handshakes {
  readonly #options: HandshakesOptions;
  /** By the peer's address and port. */
  readonly #pending = new Map<string, PendingHandshake>();
  readonly #bySource = new SourceCounts();
  #unknown = 0;

  constructor(options: HandshakesOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** Those of one source. */
  from(address: string): number {
    return this.#bySource.of(address);
  }

  /** Takes up a connection, for `ready` once it is secure. False: there are too many, and it has been closed. */
  begin(socket: Socket, remote: Endpoint, ready: (secured: Socket) => void): boolean {
    const { allow, nowMs } = this.#options;
    const isUnknown = !allow(remote.address);
    if (!this.#hasRoomFor(remote.address, isUnknown)) {
      socket.destroy();
      return false;
    }
    const reason = 'closed before the handshake was over';
    const handshake = { socket, ready, isUnknown, sinceMs: nowMs(), reason };
    this.#pending.set(formatHostPort(remote), handshake);
    this.#bySource.add(remote.address);
    if (isUnknown) this.#unknown++;
    socket.on('error', (error) => {
      handshake.reason = error.message;
    });
    socket.on('close', () => {
      if (this.#forget(remote, handshake)) this.#options.failed(remote, handshake.reason);
    });
    return true;
  }

  /** The handshake is over, and well. False: it had been given up already. */
  complete(remote: Endpoint, secured: Socket): boolean {
    const handshake = this.#pending.get(formatHostPort(remote));
    if (!handshake) return false;
    this.#forget(remote, handshake);
    handshake.ready(secured);
    return true;
  }

  /** Notes why the connection is about to close. */
  blame(remote: Endpoint, reason: string): void {
    const handshake = this.#pending.get(formatHostPort(remote));
    if (handshake) handshake.reason = reason;
  }

  closeOverdue(nowMs: number): void {
    for (const handshake of this.#pending.values()) {
      if (nowMs - handshake.sinceMs <= HANDSHAKE_TIMEOUT_MS) continue;
      handshake.reason = 'handshake not completed in time';
      handshake.socket.destroy();
    }
  }

  /** When all of them are under way, the oldest one yields to a source that has none. */
  #hasRoomFor(address: string, isUnknown: boolean): boolean {
    const ofSource = this.#bySource.of(address);
    if (ofSource >= MAX_HANDSHAKES_PER_SOURCE || (isUnknown && this.#unknown >= MAX_UNKNOWN_HANDSHAKES)) return false;
    if (this.#pending.size < MAX_HANDSHAKES) return true;
    const oldest = [...this.#pending.values()].find(({ socket }) => !socket.destroyed);
    if (isUnknown || ofSource > 0 || !oldest) return false;
    oldest.reason = 'too many handshakes';
    oldest.socket.destroy();
    return true;
  }

  /** Closes them all, with nothing said about it. */
  close(): void {
    const sockets = [...this.#pending.values()].map(({ socket }) => socket);
    this.#pending.clear();
    this.#unknown = 0;
    for (const socket of sockets) socket.destroy();
  }

  /** Whether it was still pending. */
  #forget(remote: Endpoint, handshake: PendingHandshake): boolean {
    const key = formatHostPort(remote);
    if (this.#pending.get(key) !== handshake) return false;
    this.#pending.delete(key);
    this.#bySource.add(remote.address, -1);
    if (handshake.isUnknown) this.#unknown--;
    return true;
  }
}
