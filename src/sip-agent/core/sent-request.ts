import { randomUUID } from 'node:crypto';
import type { ClientFailure } from '../transaction/client.js';
import type { Flow } from '../transport/flow.js';
import type { SipRequest, SipResponse } from '../syntax/message.js';
import { responseTo } from '../syntax/responses.js';
import type { WireClient } from '../wire/client.js';

/** A request sent for a client, with its ids in the protocol with that client. */
export interface SentRequest {
  readonly client: WireClient;
  readonly transactionId: string;
  readonly dialogId: string;
  readonly request: SipRequest;
  readonly flow: Flow;
}

/** The error for a request that its dialog cannot carry, in drachtio-server's words. */
export const NO_DIALOG = 'unable to find dialog for dialog id provided';

/** A request with a new transaction id. */
export function newSent(client: WireClient, dialogId: string, request: SipRequest, flow: Flow): SentRequest {
  return { client, transactionId: randomUUID(), dialogId, request, flow };
}

/** Confirms to the client that its request was sent. */
export function reportSent(commandId: string, { client, transactionId, dialogId, request, flow }: SentRequest): void {
  client.sent(commandId, { flow, bytes: request.toBuffer(), transactionId, dialogId });
}

/** Forwards a response to the client. */
export function forwardResponse({ client, transactionId, dialogId, flow }: SentRequest, response: SipResponse): void {
  client.fromNetwork({ flow, bytes: response.toBuffer(), transactionId, dialogId });
}

/** Reports a final response that the agent generated: without one the client would wait without end. */
export function reportStatus(sent: SentRequest, status: number): void {
  forwardResponse(sent, responseTo(sent.request, status));
}

/** The status that stands for a missing response (RFC 3261 section 8.1.3.1). */
export function statusOf(failure: ClientFailure): 408 | 503 {
  return failure === 'timeout' ? 408 : 503;
}
