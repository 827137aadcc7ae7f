import { BRANCH_COOKIE } from '../syntax/identifiers.js';
import type { Envelope } from '../syntax/message.js';
import { owned } from '../syntax/owned.js';

/**
 * What makes a request belong to a server transaction: branch, sent-by and method, an ACK counting as its INVITE
 * (RFC 3261 section 17.2.3). Requests of RFC 2543 have no usable branch; the rest of what identifies them stands in.
 */
export function serverKey({ via, from, callId, cseq }: Envelope, method: string): string {
  const sentBy = `${via.host}:${via.port ?? ''}`;
  const of = method === 'ACK' ? 'INVITE' : method;
  if (via.branch?.startsWith(BRANCH_COOKIE)) return owned(`${via.branch} ${sentBy} ${of}`);
  return owned(`2543 ${via.branch ?? ''} ${sentBy} ${of} ${callId} ${from.tag ?? ''} ${cseq.number}`);
}

/** What a response has in common with its request (RFC 3261 section 17.1.3). */
export function clientKey(branch: string, method: string): string {
  return owned(`${branch} ${method}`);
}

/** The same for every copy of a request that reached us by different ways (RFC 3261 section 8.2.2.2). */
export function mergeKey({ callId, from, cseq }: Envelope): string {
  return owned(`${callId} ${from.tag ?? ''} ${cseq.number} ${cseq.method}`);
}
