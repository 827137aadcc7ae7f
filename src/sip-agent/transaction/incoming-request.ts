import { randomUUID } from 'node:crypto';
import type { Flow } from '../transport/flow.js';
import { newTag } from '../syntax/identifiers.js';
import type { Envelope, SipRequest, SipResponse } from '../syntax/message.js';
import { responseTo } from '../syntax/responses.js';
import type { ServerTransaction } from './server.js';

/** A request from the network together with the server transaction that answers it. */
export class IncomingRequest {
  /** Names it towards the SIP client. */
  readonly id = randomUUID();
  /** Our tag, in every response to it that needs one (RFC 3261 section 8.2.6.2). */
  readonly toTag: string;
  readonly #transaction: ServerTransaction;
  readonly #answered: (status: number, octets: number) => void;

  constructor(
    readonly message: SipRequest,
    readonly envelope: Envelope,
    /** Where it came from. */
    readonly flow: Flow,
    /** Where responses go: the same address, perhaps another port. */
    readonly back: Flow,
    transaction: ServerTransaction,
    toTag: string | undefined,
    /** Called when a final response has been given, with its status and length. */
    answered: (status: number, octets: number) => void,
  ) {
    this.#transaction = transaction;
    this.#answered = answered;
    this.toTag = envelope.to.tag ?? toTag ?? newTag();
  }

  get method(): string {
    return this.message.method;
  }

  /** False once a final response was given. */
  get open(): boolean {
    return this.#transaction.open;
  }

  /** Makes the response of that status, with everything that has to be in it, for the caller to complete and send. */
  response(status: number, reason?: string): SipResponse {
    return responseTo(this.message, status, status > 100 ? this.toTag : undefined, reason);
  }

  /** Sends it. False: a final response was given before, nothing was sent. */
  send(response: SipResponse): boolean {
    const bytes = response.toBuffer();
    if (response.status >= 200) this.#answered(response.status, bytes.length);
    return this.#transaction.respond(response.status, bytes);
  }

  /** Sends a response that says nothing but its status, and perhaps one header more. */
  reply(status: number, header?: readonly [name: string, value: string]): void {
    const response = this.response(status);
    if (header) response.add(header[0], header[1]);
    this.send(response);
  }

  /** As if it had been lost on its way: a copy of it is a new request. */
  forget(): void {
    this.#transaction.terminate();
  }
}

/** Whether a request came before there was a dialog. */
export function isInitial(incoming: IncomingRequest): boolean {
  return incoming.envelope.to.tag === undefined;
}
