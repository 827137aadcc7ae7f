import { randomUUID } from 'node:crypto';
import type { Flow } from '../transport/flow.js';
import { newTag } from '../syntax/identifiers.js';
import type { Envelope, SipRequest, SipResponse } from '../syntax/message.js';
import { responseTo } from '../syntax/responses.js';
import type { ServerTransaction } from './server.js';

/** A request from the network together with the server transaction that answers it. */
export class IncomingRequest {
  /** The transaction id in the protocol with the SIP client. */
  readonly id = randomUUID();
  /** Our To tag in the responses (RFC 3261 section 8.2.6.2). */
  readonly toTag: string;
  readonly #transaction: ServerTransaction;
  readonly #answered: (status: number, octets: number) => void;

  constructor(
    readonly message: SipRequest,
    readonly envelope: Envelope,
    /** The flow it was received on. */
    readonly flow: Flow,
    /** The flow for responses: the same address, possibly another port. */
    readonly back: Flow,
    transaction: ServerTransaction,
    toTag: string | undefined,
    /** Called for a final response, with its status and length. */
    answered: (status: number, octets: number) => void,
  ) {
    this.#transaction = transaction;
    this.#answered = answered;
    this.toTag = envelope.to.tag ?? toTag ?? newTag();
  }

  get method(): string {
    return this.message.method;
  }

  /** False after a final response. */
  get open(): boolean {
    return this.#transaction.open;
  }

  /** Makes a response with its mandatory header fields, for the caller to complete and send. */
  response(status: number, reason?: string): SipResponse {
    return responseTo(this.message, status, status > 100 ? this.toTag : undefined, reason);
  }

  /** Sends a response. False: a final response was already sent; nothing was sent now. */
  send(response: SipResponse): boolean {
    const bytes = response.toBuffer();
    if (response.status >= 200) this.#answered(response.status, bytes.length);
    return this.#transaction.respond(response.status, bytes);
  }

  /** Sends a response with its mandatory header fields and at most one more. */
  reply(status: number, header?: readonly [name: string, value: string]): void {
    const response = this.response(status);
    if (header) response.add(header[0], header[1]);
    this.send(response);
  }

  /** Drops the request as if it had been lost: a retransmission of it is a new request. */
  forget(): void {
    this.#transaction.terminate();
  }
}

/** Whether a request is outside a dialog: its To has no tag. */
export function isInitial(incoming: IncomingRequest): boolean {
  return incoming.envelope.to.tag === undefined;
}
