import { splitHeaderList, type Via } from '../syntax/headers.js';
import type { Endpoint, Flow } from './flow.js';
import { formatHostPort } from './flow.js';
import { DEFAULT_PORTS } from './target.js';
import type { SipRequest } from '../syntax/message.js';

const SOURCE_PARAMS = /;\s*(?:rport|received)\s*(?:=[^;]*)?(?=;|$)/gi;

/**
 * Writes the source of a request into its topmost Via: "received" when it differs from the Via's host (RFC 3261 section
 * 18.2.1), "rport" when the sender asked for it (RFC 3581 section 4).
 */
export function stampSource(request: SipRequest, via: Via, source: Endpoint): void {
  if (!via.rport && via.host === source.address) return;
  const field = request.headers.find(([name]) => name === 'via');
  if (!field) return;
  const [top = '', ...others] = splitHeaderList(field[1]);
  const rport = via.rport ? `;rport=${source.port}` : '';
  field[1] = [`${top.replace(SOURCE_PARAMS, '')}${rport};received=${source.address}`, ...others].join(', ');
}

/**
 * The flow for a response: always to the source address of the request, never to the host in its Via, which could direct
 * responses to a victim; to the source port with "rport", else to the port in the Via.
 */
export function responseFlow(flow: Flow, via: Via): Flow {
  return via.rport ? flow : flow.toPort(via.port ?? DEFAULT_PORTS[flow.protocol]);
}

/** The Via of a request of ours (RFC 3261 section 8.1.1.7). A TLS connection may carry requests back (RFC 5923). */
export function ownVia({ protocol, local }: Flow, branch: string): string {
  const alias = protocol === 'tls' ? ';alias' : '';
  return `SIP/2.0/${protocol.toUpperCase()} ${formatHostPort(local)};rport${alias};branch=${branch}`;
}
