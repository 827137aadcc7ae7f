import { isIP, isIPv6 } from 'node:net';
import { owned } from '../syntax/owned.js';
import { parseSipUri } from '../syntax/uri.js';

/** Addresses remembered for one dialog, the least recently used is dropped: a call has a phone and a few proxies. */
const MAX_ADDRESSES = 16;
/** Host names waiting for a lookup. */
const MAX_NAMED = 8;

/**
 * The addresses that are part of one dialog: sources and destinations of its messages, and the hosts of its remote target and
 * route set. A request from another address does not belong to the dialog, even with the right tags.
 */
export class DialogPeers {
  /** Least recently used first. A plain Set: an LRUCache takes 2 KB, for each call. */
  readonly #addresses = new Set<string>();
  /** URIs whose host is a name that was not looked up yet. */
  readonly #named = new Set<string>();
  #lookingUp: Promise<void> | undefined;

  has(address: string): boolean {
    return this.#addresses.has(canonicalAddress(address));
  }

  /** Adds the source or destination of a message of the dialog; other than IP addresses are ignored. */
  add(address: string): void {
    if (isIP(address) === 0) return;
    const known = owned(canonicalAddress(address));
    this.#addresses.delete(known);
    if (this.#addresses.size >= MAX_ADDRESSES) this.#addresses.delete(first(this.#addresses));
    this.#addresses.add(known);
  }

  /** Adds a remote target or a URI of the route set. */
  addUri(uri: string): void {
    const parsed = parseSipUri(uri);
    const host = parsed?.params.get('maddr') ?? parsed?.host ?? '';
    if (isIP(host) !== 0) this.add(host);
    else if (host !== '' && this.#named.size < MAX_NAMED) this.#named.add(owned(uri));
  }

  /** Whether there are names to look up: their addresses belong to the dialog too. */
  get hasNames(): boolean {
    return this.#named.size > 0;
  }

  /** Looks the names up; concurrent calls share one lookup. `find` never rejects. */
  lookUp(find: (uri: string) => Promise<readonly string[]>): Promise<void> {
    this.#lookingUp ??= this.#resolve(find).finally(() => (this.#lookingUp = undefined));
    return this.#lookingUp;
  }

  async #resolve(find: (uri: string) => Promise<readonly string[]>): Promise<void> {
    const named = [...this.#named];
    const found = await Promise.all(named.map(find));
    for (const address of found.flat()) this.add(address);
    for (const uri of named) this.#named.delete(uri);
  }
}

/** The canonical text of an address: an IPv4-mapped IPv6 address becomes the IPv4 address, a zone is removed. */
function canonicalAddress(address: string): string {
  if (!isIPv6(address)) return address;
  const [text = ''] = address.split('%', 1);
  const host = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(host);
  if (!mapped) return host;
  const [high = 0, low = 0] = mapped.slice(1).map((group) => Number.parseInt(group, 16));
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

function first(addresses: ReadonlySet<string>): string {
  const [oldest = ''] = addresses;
  return oldest;
}
