import { BRANCH_COOKIE } from '../syntax/identifiers.js';
import type { Envelope } from '../syntax/message.js';
import { owned } from '../syntax/owned.js';

/**
 * The key that matches a request to its server transaction (RFC 3261 section 17.2.3): branch, sent-by and method, with ACK as
 * INVITE. Requests of RFC 2543 have no usable branch: Call-ID, From tag and CSeq are added.
 */
export function serverKey({ via, from, callId, cseq }: Envelope, method: string): string {
  const sentBy = `${via.host}:${via.port ?? ''}`;
  const of = method === 'ACK' ? 'INVITE' : method;
  if (via.branch?.startsWith(BRANCH_COOKIE)) return owned(`${via.branch} ${sentBy} ${of}`);
  return owned(`2543 ${via.branch ?? ''} ${sentBy} ${of} ${callId} ${from.tag ?? ''} ${cseq.number}`);
}

/** The key that matches a response to its client transaction (RFC 3261 section 17.1.3). */
export function clientKey(branch: string, method: string): string {
  return owned(`${branch} ${method}`);
}

/** The key of a merged request (RFC 3261 section 8.2.2.2): the same for all copies that arrive over different paths. */
export function mergeKey({ callId, from, cseq }: Envelope): string {
  return owned(`${callId} ${from.tag ?? ''} ${cseq.number} ${cseq.method}`);
}
