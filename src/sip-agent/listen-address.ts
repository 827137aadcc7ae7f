import { isIP } from 'node:net';
import type { ListenAddress } from './transport.js';
import { parseHostPort } from './uri.js';

const DEFAULT_PORT = 5060;

/**
 * Reads "udp://0.0.0.0:5060" and the like. The host is an IPv4 address or an IPv6 address in brackets.
 * Throws an Error that names the text when it cannot be listened on.
 */
export function parseListenAddress(text: string): ListenAddress {
  const [scheme = '', rest] = text.split('://', 2);
  const protocol = scheme.toLowerCase();
  if (protocol === 'tls') throw new Error(`Cannot listen on ${text}: tls is not supported yet`);
  if (rest === undefined || (protocol !== 'udp' && protocol !== 'tcp')) {
    throw new Error(`Cannot listen on ${text}: expected udp://address:port or tcp://address:port`);
  }
  const hostPort = parseHostPort(rest);
  if (!hostPort || isIP(hostPort.host) === 0) {
    throw new Error(`Cannot listen on ${text}: expected an IP address and a port`);
  }
  return { protocol, address: hostPort.host, port: hostPort.port ?? DEFAULT_PORT, text };
}
