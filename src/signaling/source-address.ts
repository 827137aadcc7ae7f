import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { owned } from './text.js';

/** The IPv6 network of one customer: within it a source can change its address at will. */
const IPV6_NETWORK_BITS = 64;

/**
 * The canonical text of an address: an IPv4-mapped IPv6 address (what a dual-stack socket reports) becomes the IPv4 address,
 * a zone is removed. The result is an own string, which does not keep the message it came from alive.
 */
export function sourceHost(address: string): string {
  const parsed = parse(address);
  return parsed ? parsed.toString() : owned(address);
}

/** The network one customer may send from: an IPv4 address itself, the /64 of an IPv6 one. An own string. */
export function sourceNetwork(address: string): string {
  const parsed = parse(address);
  if (parsed?.kind() !== 'ipv6') return sourceHost(address);
  return ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toString()}/${IPV6_NETWORK_BITS}`).toString();
}

function parse(address: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  return isIP(address) === 0 ? undefined : ipaddr.process(address.replace(/%.*$/, ''));
}
