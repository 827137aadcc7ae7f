import type { InviteClientTransaction } from './client.js';
import type { Flow } from '../transport/flow.js';
import { SipRequest, type Envelope, type SipResponse } from '../syntax/message.js';

/** A response from the network, checked. */
export interface ReceivedResponse {
  readonly status: number;
  readonly message: SipResponse;
  readonly envelope: Envelope;
  /** The address it came from. */
  readonly source: string;
}

/** Headers to put into a CANCEL, such as Reason. */
export type ExtraHeaders = readonly (readonly [name: string, value: string])[];

/** An INVITE that was sent: the only request that can be taken back. */
export class OutgoingInvite {
  readonly #sendCancel: (cancel: SipRequest) => void;
  #transaction: InviteClientTransaction<ReceivedResponse> | undefined;
  #cancelHeaders: ExtraHeaders | undefined;
  #cancelSent = false;

  constructor(
    /** As it went out, Via and all. */
    readonly request: SipRequest,
    readonly flow: Flow,
    sendCancel: (cancel: SipRequest) => void,
  ) {
    this.#sendCancel = sendCancel;
  }

  /** Whether the wish to cancel it came before its final response. */
  get cancelled(): boolean {
    return this.#cancelHeaders !== undefined;
  }

  attach(transaction: InviteClientTransaction<ReceivedResponse>): void {
    this.#transaction = transaction;
  }

  /**
   * Cancels it: now, or as soon as a provisional response shows that the peer has it (RFC 3261 section 9.1).
   * A final response that is already here stands. Returns the CANCEL as it goes out.
   */
  cancel(headers: ExtraHeaders = []): SipRequest {
    this.#cancelHeaders ??= headers;
    this.cancelIfPossible();
    return this.#makeCancel(headers);
  }

  /** To be called at each provisional response. */
  cancelIfPossible(): void {
    if (!this.#cancelHeaders || this.#cancelSent || this.#transaction?.state !== 'proceeding') return;
    this.#cancelSent = true;
    this.#sendCancel(this.#makeCancel(this.#cancelHeaders));
    this.#transaction.expectEndAfterCancel();
  }

  #makeCancel(headers: ExtraHeaders): SipRequest {
    const cancel = deriveRequest(this.request, 'CANCEL', this.request.get('to') ?? '');
    for (const [name, value] of headers) cancel.add(name, value);
    return cancel;
  }
}

/**
 * An ACK for a failure or a CANCEL: hop by hop, so with the Via, route and Request-URI of the INVITE
 * (RFC 3261 sections 9.1 and 17.1.1.3).
 */
export function deriveRequest(invite: SipRequest, method: 'ACK' | 'CANCEL', to: string): SipRequest {
  const request = new SipRequest(method, invite.uri);
  request.add('via', invite.get('via') ?? '');
  for (const route of invite.getAll('route')) request.add('route', route);
  request.add('max-forwards', '70').add('from', invite.get('from') ?? '');
  request.add('to', to).add('call-id', invite.get('call-id') ?? '');
  const sequence = (invite.get('cseq') ?? '').split(' ', 1)[0] ?? '';
  return request.add('cseq', `${sequence} ${method}`);
}
