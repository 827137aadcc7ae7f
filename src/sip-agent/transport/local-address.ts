import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { LRUCache } from 'lru-cache';

/** Peers whose local address is remembered; others are looked up again. */
const MAX_REMEMBERED = 4_096;
/** Pending lookups beyond which further ones are refused: this limits the work that spoofed sources can cause. */
const MAX_PENDING = 64;
/** Any port: connecting a UDP socket sends nothing, it only makes the system choose a route. */
const DISCARD_PORT = 9;

/**
 * Finds the local address towards a peer, for Via and Contact when a listener is bound to every interface. The system's
 * routing table decides; it is asked once for each peer.
 */
export class LocalAddresses {
  readonly #known = new LRUCache<string, string>({ max: MAX_REMEMBERED });
  readonly #pending = new Map<string, Promise<string>>();

  /** The address, if it is remembered. */
  known(remoteAddress: string): string | undefined {
    return this.#known.get(remoteAddress);
  }

  /** Finds the address. Rejects when there is no route, or too many peers are being looked up. */
  find(remoteAddress: string): Promise<string> {
    const pending = this.#pending.get(remoteAddress);
    if (pending) return pending;
    if (this.#pending.size >= MAX_PENDING) return Promise.reject(new Error('Too many route lookups'));
    const lookup = routeTo(remoteAddress)
      .then((address) => {
        this.#known.set(remoteAddress, address);
        return address;
      })
      .finally(() => {
        this.#pending.delete(remoteAddress);
      });
    this.#pending.set(remoteAddress, lookup);
    return lookup;
  }
}

function routeTo(remoteAddress: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const probe = createSocket(isIPv6(remoteAddress) ? 'udp6' : 'udp4');
    const fail = (error: Error) => {
      probe.close();
      reject(error);
    };
    probe.once('error', fail);
    // Depending on its version, Node reports a failed connect as an 'error' event or to the callback.
    probe.connect(DISCARD_PORT, remoteAddress, (error?: Error) => {
      if (error) {
        fail(error);
        return;
      }
      const { address } = probe.address();
      probe.close();
      resolve(address);
    });
  });
}
