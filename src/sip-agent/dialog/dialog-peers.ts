import { isIP, isIPv6 } from 'node:net';
import { owned } from '../syntax/owned.js';
import { parseSipUri } from '../syntax/uri.js';

/** Addresses remembered of one dialog, the one longest unused making room: a call has a phone and a few proxies. */
const MAX_ADDRESSES = 16;
/** Names waiting to be looked up. */
const MAX_NAMED = 8;

/**
 * The addresses that have been part of one dialog: where its messages came from, where ours went, and what its remote
 * target and route set say. Who sends from another one has no part in it, whatever tags they know.
 */
export class DialogPeers {
  readonly #addresses = new Set<string>();
  /** URIs whose host is a name that nobody has looked up yet. */
  readonly #named = new Set<string>();
  #lookingUp: Promise<void> | undefined;

  has(address: string): boolean {
    return this.#addresses.has(canonicalAddress(address));
  }

  /** An address a message of the dialog came from or went to; anything else is ignored. */
  add(address: string): void {
    if (isIP(address) === 0) return;
    const known = owned(canonicalAddress(address));
    this.#addresses.delete(known);
    if (this.#addresses.size >= MAX_ADDRESSES) this.#addresses.delete(first(this.#addresses));
    this.#addresses.add(known);
  }

  /** A remote target, or a URI of the route set. */
  addUri(uri: string): void {
    const parsed = parseSipUri(uri);
    const host = parsed?.params.get('maddr') ?? parsed?.host ?? '';
    if (isIP(host) !== 0) this.add(host);
    else if (host !== '' && this.#named.size < MAX_NAMED) this.#named.add(owned(uri));
  }

  /** Whether an address that is not among them may turn out to be one of theirs. */
  get hasNames(): boolean {
    return this.#named.size > 0;
  }

  /** Looks the names up, once however many ask; `find` never rejects. */
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

/** One spelling for each address: an IPv4 one that is mapped into IPv6 is the IPv4 one, and a zone says nothing. */
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
