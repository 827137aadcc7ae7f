import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** A range of addresses: the network and how many of its leading bits count. */
export interface Cidr {
  readonly network: Address;
  readonly prefixLength: number;
}

/** `10.0.0.0/8`, `fd00::/8`, or one address. Undefined for anything else. */
export function parseCidr(text: string): Cidr | undefined {
  const [address = '', length, ...rest] = text.trim().split('/');
  const network = parseAddress(address);
  if (!network || rest.length > 0) return undefined;
  // `::ffff:10.0.0.0/104` is written in 128 bits but parsed to the 32 of the IPv4 address inside it.
  const hiddenBits = address.includes(':') && network.kind() === 'ipv4' ? 96 : 0;
  const maxLength = network.kind() === 'ipv4' ? 32 : 128;
  if (length === undefined) return { network, prefixLength: maxLength };
  const prefixLength = /^\d{1,3}$/.test(length) ? Number(length) - hiddenBits : -1;
  return prefixLength >= 0 && prefixLength <= maxLength ? { network, prefixLength } : undefined;
}

/**
 * All of `list`, parsed.
 * @throws RangeError naming the first entry that is neither an address nor a range
 */
export function parseCidrs(list: readonly string[]): Cidr[] {
  return list.map((text) => {
    const cidr = parseCidr(text);
    if (!cidr) throw new RangeError(`not an IP address or CIDR range: ${text}`);
    return cidr;
  });
}

/**
 * Tells whether an address is in any range of `list`. An IPv4-mapped IPv6 address (what a dual-stack socket
 * reports for an IPv4 peer) counts as the IPv4 address; a zone (`%eth0`) is ignored; what is not an address is in none.
 * @throws RangeError as `parseCidrs`
 */
export function cidrMatcher(list: readonly string[]): (address: string) => boolean {
  const cidrs = parseCidrs(list);
  return (text) => {
    const address = parseAddress(text);
    return address !== undefined && cidrs.some((cidr) => contains(cidr, address));
  };
}

/** A list of addresses and ranges that may be replaced while everybody who asks holds on to this. */
export class AddressList {
  #has: (address: string) => boolean;

  /** @throws RangeError as `parseCidrs` */
  constructor(list: readonly string[]) {
    this.#has = cidrMatcher(list);
  }

  /** @throws RangeError as `parseCidrs`; then the list stays as it was */
  configure(list: readonly string[]): void {
    this.#has = cidrMatcher(list);
  }

  readonly has = (address: string): boolean => this.#has(address);
}

function parseAddress(text: string): Address | undefined {
  // ipaddr.js also reads `127.1` and `0x7f.0.0.1`; nobody who writes an allow-list means those.
  if (isIP(text) === 0) return undefined;
  return ipaddr.process(text.replace(/%.*$/, ''));
}

function contains(cidr: Cidr, address: Address): boolean {
  return address.kind() === cidr.network.kind() && address.match(cidr.network, cidr.prefixLength);
}
