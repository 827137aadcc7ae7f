import type { InviteClientTransaction } from './client.js';
import type { Flow } from '../transport/flow.js';
import { SipRequest, type Envelope, type SipResponse } from '../syntax/message.js';

/** A checked response from the network. */
export interface ReceivedResponse {
  readonly status: number;
  readonly message: SipResponse;
  readonly envelope: Envelope;
  /** The address it came from. */
  readonly source: string;
}

/** Header fields to add to a CANCEL, such as Reason. */
export type ExtraHeaders = readonly (readonly [name: string, value: string])[];

/** An INVITE that was sent: the only request that can be cancelled. */
export class OutgoingInvite {
  readonly #sendCancel: (cancel: SipRequest) => void;
  #transaction: InviteClientTransaction<ReceivedResponse> | undefined;
  #cancelHeaders: ExtraHeaders | undefined;
  #cancelSent = false;

  constructor(
    /** As it was sent, with its Via. */
    readonly request: SipRequest,
    readonly flow: Flow,
    sendCancel: (cancel: SipRequest) => void,
  ) {
    this.#sendCancel = sendCancel;
  }

  /** Whether `cancel` was called. */
  get cancelled(): boolean {
    return this.#cancelHeaders !== undefined;
  }

  attach(transaction: InviteClientTransaction<ReceivedResponse>): void {
    this.#transaction = transaction;
  }

  /**
   * Cancels the INVITE: at once, or after the first provisional response (RFC 3261 section 9.1). Without effect after a final
   * response. Returns the CANCEL.
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
 * An ACK for a final response other than 2xx, or a CANCEL. Both are hop-by-hop: they have the Via, Route and
 * Request-URI of the INVITE (RFC 3261 sections 9.1 and 17.1.1.3).
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
