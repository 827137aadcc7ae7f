import type { Socket } from 'node:net';
import { formatHostPort, type Endpoint } from './flow.js';
import { SourceCounts } from './source-counts.js';

/** A handshake has to be complete within this. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Handshakes under way beyond which further ones are refused. */
const MAX_HANDSHAKES = 256;
/** The same for one source, so that it cannot block the others. */
const MAX_HANDSHAKES_PER_SOURCE = MAX_HANDSHAKES / 4;
/** The same for all unknown sources together, so that they cannot block the allowed ones. */
const MAX_UNKNOWN_HANDSHAKES = 32;

interface PendingHandshake {
  readonly socket: Socket;
  readonly ready: (secured: Socket) => void;
  readonly isUnknown: boolean;
  readonly sinceMs: number;
  /** Why it failed, once that is known. */
  reason: string;
}

export interface HandshakesOptions {
  readonly nowMs: () => number;
  readonly allow: (address: string) => boolean;
  /** Called once for each handshake that failed. */
  readonly failed: (remote: Endpoint, reason: string) => void;
}

/** Pending TLS handshakes of accepted connections, limited in number and time. */
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

  /** Pending handshakes of one source. */
  from(address: string): number {
    return this.#bySource.of(address);
  }

  /** Adds a connection; `ready` is called when its handshake is complete. False: too many, the connection was closed. */
  begin(socket: Socket, remote: Endpoint, ready: (secured: Socket) => void): boolean {
    const { allow, nowMs } = this.#options;
    const isUnknown = !allow(remote.address);
    if (!this.#hasRoomFor(remote.address, isUnknown)) {
      socket.destroy();
      return false;
    }
    const reason = 'closed before the handshake was complete';
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

  /** The handshake succeeded. False: it had already timed out or was closed. */
  complete(remote: Endpoint, secured: Socket): boolean {
    const handshake = this.#pending.get(formatHostPort(remote));
    if (!handshake) return false;
    this.#forget(remote, handshake);
    handshake.ready(secured);
    return true;
  }

  /** Sets the reason why the connection is about to close. */
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

  /** When the table is full, the oldest handshake is closed for an allowed source that has none pending. */
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

  /** Closes all of them without calling `failed`. */
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
