import { splitHeaderList, type Via } from '../syntax/headers.js';
import type { Endpoint, Flow } from './flow.js';
import { formatHostPort } from './flow.js';
import { DEFAULT_PORTS } from './target.js';
import type { SipRequest } from '../syntax/message.js';

const SOURCE_PARAMS = /;\s*(?:rport|received)\s*(?:=[^;]*)?(?=;|$)/gi;

/**
 * Writes where a request really came from into its topmost Via: "received" when the sender's own idea differs
 * (RFC 3261 section 18.2.1), "rport" when it asked for it (RFC 3581 section 4).
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
 * The way back for a response: always to the address the request came from, whatever the Via says, so that nobody
 * else can be made to receive it; to the sender's port with "rport", else to the port in its Via.
 */
export function responseFlow(flow: Flow, via: Via): Flow {
  return via.rport ? flow : flow.toPort(via.port ?? DEFAULT_PORTS[flow.protocol]);
}

/** The Via of a request of ours (RFC 3261 section 8.1.1.7). A TLS connection may carry requests back (RFC 5923). */
export function ownVia({ protocol, local }: Flow, branch: string): string {
  const alias = protocol === 'tls' ? ';alias' : '';
  return `SIP/2.0/${protocol.toUpperCase()} ${formatHostPort(local)};rport${alias};branch=${branch}`;
}
