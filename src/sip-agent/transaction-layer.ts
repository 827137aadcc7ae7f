import { InviteClientTransaction, NonInviteClientTransaction } from './client-transaction.js';
import type { ClientFailure, ClientTransaction } from './client-transaction.js';
import type { Clock } from './environment.js';
import type { Flow } from './flow.js';
import { newBranch, newTag } from './identifiers.js';
import { IncomingRequest } from './incoming-request.js';
import type { Envelope, SipRequest, SipResponse } from './message.js';
import { deriveRequest, OutgoingInvite, type ReceivedResponse } from './outgoing-request.js';
import { responseTo } from './responses.js';
import { InviteServerTransaction, NonInviteServerTransaction } from './server-transaction.js';
import type { SipTimers } from './timers.js';
import { clientKey, mergeKey, serverKey } from './transaction-keys.js';
import { ownVia, responseFlow, stampSource } from './via.js';

/** What the transactions serve: RFC 3261's transaction user, for requests from the network. */
export interface TransactionUser {
  /** A new request, neither ACK nor CANCEL. It must be answered through `incoming`. */
  request(incoming: IncomingRequest): void;
  /** An ACK that ended no transaction: it is for a 2xx, or for nothing. */
  acknowledge(ack: SipRequest, envelope: Envelope, flow: Flow): void;
  /** The peer takes back an INVITE that has no final response yet; the CANCEL itself has been answered. */
  cancel(invite: IncomingRequest, cancel: SipRequest): void;
  /** Nobody answered the request in time, and now nobody can. */
  abandoned(incoming: IncomingRequest): void;
}

/** How the fate of a sent request is told. `response` may come several times, `failed` instead of a final one. */
export interface ResponseHandlers {
  response(response: ReceivedResponse): void;
  failed(failure: ClientFailure): void;
}

export interface TransactionLayerOptions {
  readonly clock: Clock;
  readonly timers: SipTimers;
  /** Server transactions beyond which new requests get 503. */
  readonly maxServerTransactions: number;
}

interface ServerEntry {
  readonly incoming: IncomingRequest;
  readonly transaction: InviteServerTransaction | NonInviteServerTransaction;
}

/** Finds or makes the transaction each message belongs to (RFC 3261 section 17). */
export class TransactionLayer {
  readonly #options: TransactionLayerOptions;
  readonly #servers = new Map<string, ServerEntry>();
  readonly #clients = new Map<string, ClientTransaction<ReceivedResponse>>();
  /** Requests outside a dialog that still have a transaction: merge key to transaction key. */
  readonly #unmerged = new Map<string, string>();
  #user: TransactionUser | undefined;
  #closed = false;

  constructor(options: TransactionLayerOptions) {
    this.#options = options;
  }

  get serverTransactions(): number {
    return this.#servers.size;
  }

  get clientTransactions(): number {
    return this.#clients.size;
  }

  /** To be called once, before the first message. */
  serve(user: TransactionUser): void {
    this.#user = user;
  }

  receiveRequest(request: SipRequest, envelope: Envelope, flow: Flow): void {
    stampSource(request, envelope.via, flow.remote);
    const key = serverKey(envelope, request.method);
    const entry = this.#servers.get(key);
    if (request.method === 'ACK') this.#receiveAck(request, envelope, flow, entry);
    else if (entry) entry.transaction.receiveRetransmission();
    else if (this.#servers.size >= this.#options.maxServerTransactions) replyStateless(request, envelope, flow, 503);
    else this.#receiveNewRequest(request, envelope, flow, key);
  }

  receiveResponse(message: SipResponse, envelope: Envelope): void {
    const { branch } = envelope.via;
    if (branch === undefined) return;
    const transaction = this.#clients.get(clientKey(branch, envelope.cseq.method));
    transaction?.receive({ status: message.status, message, envelope });
  }

  /** Sends a request other than INVITE and ACK, complete but for its Via. Throws, as the other two, once closed. */
  send(request: SipRequest, flow: Flow, handlers: ResponseHandlers): void {
    const branch = this.#addVia(request, flow);
    this.#startNonInvite(request, branch, flow, handlers);
  }

  /** Sends an INVITE, complete but for its Via. */
  sendInvite(request: SipRequest, flow: Flow, handlers: ResponseHandlers): OutgoingInvite {
    const branch = this.#addVia(request, flow);
    const invite = new OutgoingInvite(request, flow, (cancel) => {
      this.#startNonInvite(cancel, branch, flow, NOBODY);
    });
    this.#startInvite(invite, branch, handlers);
    return invite;
  }

  /** Sends an ACK for a 2xx, complete but for its Via. Returns what went out, to be repeated as it is. */
  sendAck(ack: SipRequest, flow: Flow): Buffer {
    this.#addVia(ack, flow);
    const bytes = ack.toBuffer();
    flow.send(bytes);
    return bytes;
  }

  /** Ends every transaction at once, telling nobody. */
  close(): void {
    this.#closed = true;
    this.#user = undefined;
    for (const { transaction } of this.#servers.values()) transaction.terminate();
    for (const transaction of this.#clients.values()) transaction.terminate();
  }

  /** Returns the branch of what is to be sent. Throws when nothing is sent any more. */
  #addVia(request: SipRequest, flow: Flow): string {
    if (this.#closed) throw new Error('agent stopped');
    const branch = newBranch();
    request.prepend('via', ownVia(flow, branch));
    return branch;
  }

  #receiveAck(ack: SipRequest, envelope: Envelope, flow: Flow, entry: ServerEntry | undefined): void {
    const absorbed = entry?.transaction instanceof InviteServerTransaction && entry.transaction.receiveAck();
    if (!absorbed) this.#user?.acknowledge(ack, envelope, flow);
  }

  #receiveNewRequest(request: SipRequest, envelope: Envelope, flow: Flow, key: string): void {
    const invite = request.method === 'CANCEL' ? this.#servers.get(serverKey(envelope, 'INVITE')) : undefined;
    const incoming = this.#openServerTransaction(request, envelope, flow, key, invite?.incoming.toTag);
    if (request.method === 'CANCEL') this.#receiveCancel(incoming, invite?.incoming);
    else if (envelope.to.tag === undefined && this.#isMerged(envelope, key)) incoming.reply(482);
    else this.#user?.request(incoming);
  }

  /** RFC 3261 section 9.2. */
  #receiveCancel(cancel: IncomingRequest, invite: IncomingRequest | undefined): void {
    cancel.reply(invite ? 200 : 481);
    if (invite?.open) this.#user?.cancel(invite, cancel.message);
  }

  /** RFC 3261 section 8.2.2.2: another copy of the same request, forked somewhere, is being answered. */
  #isMerged(envelope: Envelope, key: string): boolean {
    const merge = mergeKey(envelope);
    const first = this.#unmerged.get(merge);
    if (first === undefined) this.#unmerged.set(merge, key);
    return first !== undefined;
  }

  #openServerTransaction(
    request: SipRequest,
    envelope: Envelope,
    flow: Flow,
    key: string,
    toTag: string | undefined,
  ): IncomingRequest {
    const back = responseFlow(flow, envelope.via);
    const Transaction = request.method === 'INVITE' ? InviteServerTransaction : NonInviteServerTransaction;
    let answered = false;
    const transaction = new Transaction({
      ...this.#timing(flow),
      send: (bytes) => {
        back.send(bytes);
      },
      terminated: () => {
        this.#servers.delete(key);
        const merge = mergeKey(envelope);
        if (this.#unmerged.get(merge) === key) this.#unmerged.delete(merge);
        if (!answered) this.#user?.abandoned(incoming);
      },
    });
    const incoming = new IncomingRequest(request, envelope, flow, back, transaction, toTag, () => {
      answered = true;
    });
    this.#servers.set(key, { incoming, transaction });
    return incoming;
  }

  #startInvite(invite: OutgoingInvite, branch: string, handlers: ResponseHandlers): void {
    const { request, flow } = invite;
    const transaction = new InviteClientTransaction<ReceivedResponse>({
      ...this.#clientOptions(request, branch, flow, handlers),
      response: (response) => {
        if (response.status < 200) invite.cancelIfPossible();
        handlers.response(response);
      },
      ackFor: ({ message }) => deriveRequest(request, 'ACK', message.get('to') ?? '').toBuffer(),
      ringingTooLong: () => {
        invite.cancel();
      },
    });
    invite.attach(transaction);
    this.#start(transaction, branch, 'INVITE');
  }

  #startNonInvite(request: SipRequest, branch: string, flow: Flow, handlers: ResponseHandlers): void {
    const transaction = new NonInviteClientTransaction(this.#clientOptions(request, branch, flow, handlers));
    this.#start(transaction, branch, request.method);
  }

  #start(transaction: ClientTransaction<ReceivedResponse>, branch: string, method: string): void {
    this.#clients.set(clientKey(branch, method), transaction);
    transaction.start();
  }

  #clientOptions(request: SipRequest, branch: string, flow: Flow, handlers: ResponseHandlers) {
    const key = clientKey(branch, request.method);
    const forgetFlow = flow.onFailure(() => this.#clients.get(key)?.transportFailed());
    return {
      ...this.#timing(flow),
      request: request.toBuffer(),
      send: (bytes: Buffer) => {
        flow.send(bytes);
      },
      response: (response: ReceivedResponse) => {
        handlers.response(response);
      },
      failed: (failure: ClientFailure) => {
        handlers.failed(failure);
      },
      terminated: () => {
        forgetFlow();
        this.#clients.delete(key);
      },
    };
  }

  #timing(flow: Flow) {
    return { clock: this.#options.clock, timers: this.#options.timers, reliable: flow.reliable };
  }
}

/** Answers a request without a transaction (RFC 3261 section 8.2.7): each copy of it is answered again. */
export function replyStateless(request: SipRequest, envelope: Envelope, flow: Flow, status: number): void {
  if (request.method === 'ACK') return;
  responseFlow(flow, envelope.via).send(responseTo(request, status, newTag()).toBuffer());
}

/** For a CANCEL of ours: what matters is the final response to its INVITE. */
const NOBODY: ResponseHandlers = {
  response: () => undefined,
  failed: () => undefined,
};
