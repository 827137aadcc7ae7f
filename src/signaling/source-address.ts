import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { owned } from './text.js';

/** Of an IPv6 address, what one customer is given: within it a source may change its address at will. */
const IPV6_NETWORK_BITS = 64;

/**
 * One spelling for one address: an IPv4-mapped IPv6 address (what a dual-stack socket reports) is the IPv4 address, a zone
 * is left out. A string of its own, which keeps nothing of the message it came with.
 */
export function sourceHost(address: string): string {
  const parsed = parse(address);
  return parsed ? parsed.toString() : owned(address);
}

/** Who may be behind an address: itself, or its /64. A string of its own. */
export function sourceNetwork(address: string): string {
  const parsed = parse(address);
  if (parsed?.kind() !== 'ipv6') return sourceHost(address);
  return ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toString()}/${IPV6_NETWORK_BITS}`).toString();
}

function parse(address: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  return isIP(address) === 0 ? undefined : ipaddr.process(address.replace(/%.*$/, ''));
}
