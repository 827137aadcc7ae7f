import { isIP } from 'node:net';
import type { TransportProtocol } from './flow.js';
import { DEFAULT_PORTS } from './target.js';
import type { ListenerConfig } from './transport.js';
import { parseHostPort } from '../syntax/uri.js';

/** A listener that could not be opened; `cause` is the system's error. */
export class ListenError extends Error {
  override readonly name = 'ListenError';

  constructor(
    /** As it was given: `udp://0.0.0.0:5060`. */
    readonly listen: string,
    override readonly cause: Error,
  ) {
    super(`Cannot listen on ${listen}: ${cause.message}`);
  }
}

/**
 * Reads "udp://0.0.0.0:5060" and the like. The host is an IPv4 address or an IPv6 address in brackets.
 * Throws an Error that names the text when it cannot be listened on.
 */
export function parseListenAddress(text: string): ListenerConfig {
  const [scheme = '', rest] = text.split('://', 2);
  const protocol = scheme.toLowerCase();
  if (rest === undefined || !isProtocol(protocol)) {
    throw new Error(`Cannot listen on ${text}: expected udp://, tcp:// or tls://, address:port`);
  }
  const hostPort = parseHostPort(rest);
  if (!hostPort || isIP(hostPort.host) === 0) {
    throw new Error(`Cannot listen on ${text}: expected an IP address and a port`);
  }
  return { protocol, address: hostPort.host, port: hostPort.port ?? DEFAULT_PORTS[protocol], text };
}

function isProtocol(text: string): text is TransportProtocol {
  return Object.hasOwn(DEFAULT_PORTS, text);
}
