import { randomUUID } from 'node:crypto';
import type { ClientFailure } from '../transaction/client.js';
import type { Flow } from '../transport/flow.js';
import type { SipRequest, SipResponse } from '../syntax/message.js';
import { responseTo } from '../syntax/responses.js';
import type { WireClient } from '../wire/client.js';

/** A request that a client sent, as the client knows it. */
export interface SentRequest {
  readonly client: WireClient;
  readonly transactionId: string;
  readonly dialogId: string;
  readonly request: SipRequest;
  readonly flow: Flow;
}

/** What a client is told whose dialog cannot carry its request; drachtio-server says the same. */
export const NO_DIALOG = 'unable to find dialog for dialog id provided';

/** A request with a transaction id of its own. */
export function newSent(client: WireClient, dialogId: string, request: SipRequest, flow: Flow): SentRequest {
  return { client, transactionId: randomUUID(), dialogId, request, flow };
}

/** Confirms to the client that its command was carried out. */
export function reportSent(commandId: string, { client, transactionId, dialogId, request, flow }: SentRequest): void {
  client.sent(commandId, { flow, bytes: request.toBuffer(), transactionId, dialogId });
}

/** Passes a response on to the client. */
export function forwardResponse({ client, transactionId, dialogId, flow }: SentRequest, response: SipResponse): void {
  client.fromNetwork({ flow, bytes: response.toBuffer(), transactionId, dialogId });
}

/** Gives the client a final response nobody sent: without one it would wait for ever. */
export function reportStatus(sent: SentRequest, status: number): void {
  forwardResponse(sent, responseTo(sent.request, status));
}

/** What stands in for a response that never came (RFC 3261 section 8.1.3.1). */
export function statusOf(failure: ClientFailure): 408 | 503 {
  return failure === 'timeout' ? 408 : 503;
}
