import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';

/** Peers whose route is remembered; a forgotten one is looked up again. */
const MAX_REMEMBERED = 4_096;
/** Lookups under way beyond which further ones are refused: the work spoofed sources can cause is bounded. */
const MAX_PENDING = 64;
/** Any port does: connecting a UDP socket sends nothing, it only makes the system choose the route. */
const DISCARD_PORT = 9;

/**
 * Which of this machine's addresses a peer sees us at: what Via and Contact have to say when we listen on
 * every interface. The system's own routing decides, asked once a peer.
 */
export class LocalAddresses {
  readonly #known = new Map<string, string>();
  readonly #pending = new Map<string, Promise<string>>();

  /** The address if it was found before. */
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
        this.#remember(remoteAddress, address);
        return address;
      })
      .finally(() => {
        this.#pending.delete(remoteAddress);
      });
    this.#pending.set(remoteAddress, lookup);
    return lookup;
  }

  #remember(remoteAddress: string, address: string): void {
    const [oldest] = this.#known.keys();
    if (this.#known.size >= MAX_REMEMBERED && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(remoteAddress, address);
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
    // With a callback Node reports a failed connect as an 'error' event or to the callback, by version.
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
