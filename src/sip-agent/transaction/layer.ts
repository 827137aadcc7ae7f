import { randomInt } from 'node:crypto';
import {
  InviteClientTransaction,
  NonInviteClientTransaction,
  type ClientFailure,
  type ClientTransaction,
} from './client.js';
import type { AgentClock } from '../environment.js';
import type { Flow } from '../transport/flow.js';
import { HeardPeers } from './heard-peers.js';
import { newBranch, statelessTag } from '../syntax/identifiers.js';
import { IncomingRequest } from './incoming-request.js';
import type { Envelope, SipRequest, SipResponse } from '../syntax/message.js';
import { deriveRequest, OutgoingInvite, type ReceivedResponse } from './outgoing-request.js';
import { OctetBudget } from './octet-budget.js';
import { isSuccess, responseTo } from '../syntax/responses.js';
import { ReturnFlow } from './return-flow.js';
import { InviteServerTransaction, NonInviteServerTransaction } from './server.js';
import { DEFAULT_PORTS } from '../transport/target.js';
import type { SipTimers } from './timers.js';
import { clientKey, mergeKey, serverKey } from './keys.js';
import { ownVia, responseFlow, stampSource } from '../transport/via.js';

const MIN_RETRY_AFTER_S = 5;
const MAX_RETRY_AFTER_S = 15;

/** A 100 is sent after this time if there is no other response by then (RFC 3261 section 17.2.1). */
const TRYING_AFTER_MS = 200;

/** The transaction user (RFC 3261 section 5) for requests from the network. */
export interface TransactionUser {
  /** A new request other than ACK and CANCEL. It has to be answered through `incoming`. */
  request(incoming: IncomingRequest): void;
  /** An ACK that matched no transaction: it is for a 2xx, or stray. */
  acknowledge(ack: SipRequest, envelope: Envelope, flow: Flow): void;
  /** The peer cancels an INVITE that has no final response yet; the CANCEL itself has been answered. */
  cancel(invite: IncomingRequest, cancel: SipRequest): void;
  /** The request was not answered in time; it cannot be answered any more. */
  abandoned(incoming: IncomingRequest): void;
}

/** Callbacks of a sent request. `response` may be called several times, `failed` in place of a final response. */
export interface ResponseHandlers {
  response(response: ReceivedResponse): void;
  failed(failure: ClientFailure): void;
}

export interface TransactionLayerOptions {
  readonly clock: AgentClock;
  readonly timers: SipTimers;
  /** Server transactions beyond which new requests get 503; requests inside dialogs may exceed it by a quarter. */
  readonly maxServerTransactions: number;
  /** The same for the octets they hold: keys, unanswered requests, final responses. Default: 64 MiB. */
  readonly maxServerOctets?: number | undefined;
  /** Opens a new connection to the address of a flow, at that port; rejects when that fails. */
  readonly reopen?: ((flow: Flow, port: number, name: string) => Promise<Flow>) | undefined;
  /** Whether new requests are to be refused at present. */
  readonly overloaded?: (() => boolean) | undefined;
}

const MAX_SERVER_OCTETS = 64 * 1024 * 1024;
/** Share of these octets that one source may hold. */
const SOURCE_SHARE = 0.5;
/** Factor by which requests inside dialogs, and CANCELs, may exceed these limits. */
const STRETCH = 1.25;

interface ServerEntry {
  readonly transaction: InviteServerTransaction | NonInviteServerTransaction;
  readonly toTag: string;
  /** The To tag we added; undefined when the request had one. */
  readonly givenTag: string | undefined;
  readonly source: string;
  octets: number;
  /** Until the final response. For 32 s more the entry only absorbs retransmissions, and holds little memory. */
  incoming: IncomingRequest | undefined;
}

/** The transaction layer (RFC 3261 section 17): finds or creates the transaction of each message. */
export class TransactionLayer {
  readonly peers: HeardPeers;
  readonly #options: TransactionLayerOptions;
  readonly #servers = new Map<string, ServerEntry>();
  readonly #clients = new Map<string, ClientTransaction<ReceivedResponse>>();
  readonly #octets: OctetBudget;
  /** Answered requests that made no call, oldest first: they only absorb retransmissions, and are ended to make room. */
  readonly #spent = new Set<ServerEntry>();
  /** Unanswered requests outside a dialog: merge key to transaction key. */
  readonly #unmerged = new Map<string, string>();
  #user: TransactionUser | undefined;
  #shed = 0;
  #closed = false;

  constructor(options: TransactionLayerOptions) {
    this.#options = options;
    this.peers = new HeardPeers(options.clock);
    const maxOctets = options.maxServerOctets ?? MAX_SERVER_OCTETS;
    this.#octets = new OctetBudget(maxOctets, maxOctets * SOURCE_SHARE);
  }

  /** Octets held by the server transactions. */
  get serverOctets(): number {
    return this.#octets.octets;
  }

  get serverTransactions(): number {
    return this.#servers.size;
  }

  get clientTransactions(): number {
    return this.#clients.size;
  }

  /** Requests refused for lack of capacity, since the start. */
  get shed(): number {
    return this.#shed;
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
    else if (this.#hasNoRoomFor(request, envelope, flow)) this.#turnAway(request, envelope, flow);
    else this.#receiveNewRequest(request, envelope, flow, key);
  }

  /** Whether a request is a retransmission of one that still has its transaction. */
  holds(request: SipRequest, envelope: Envelope): boolean {
    return this.#servers.has(serverKey(envelope, request.method));
  }

  /** `source`: the address it came from. False: it matches no client transaction. */
  receiveResponse(message: SipResponse, envelope: Envelope, source: string): boolean {
    const { branch } = envelope.via;
    if (branch === undefined) return false;
    const transaction = this.#clients.get(clientKey(branch, envelope.cseq.method));
    transaction?.receive({ status: message.status, message, envelope, source });
    return transaction !== undefined;
  }

  /**
   * Sends a request other than INVITE and ACK, complete but for its Via. Throws an Error after `close`, as do the other two.
   * `once`: it is not retransmitted.
   */
  send(request: SipRequest, flow: Flow, handlers: ResponseHandlers, { once = false } = {}): void {
    const branch = this.#addVia(request, flow);
    this.#startNonInvite(request, branch, flow, handlers, once);
  }

  /** Sends an INVITE, complete but for its Via. */
  sendInvite(request: SipRequest, flow: Flow, handlers: ResponseHandlers): OutgoingInvite {
    const branch = this.#addVia(request, flow);
    const invite = new OutgoingInvite(request, flow, (cancel) =>
      this.#startNonInvite(cancel, branch, flow, NO_HANDLERS),
    );
    this.#startInvite(invite, branch, handlers);
    return invite;
  }

  /** Sends an ACK for a 2xx, complete but for its Via. Returns the octets sent, for retransmission. */
  sendAck(ack: SipRequest, flow: Flow): Buffer {
    this.#addVia(ack, flow);
    const bytes = ack.toBuffer();
    flow.send(bytes);
    return bytes;
  }

  /** Ends every transaction at once, without calling the transaction user. */
  close(): void {
    this.#closed = true;
    this.#user = undefined;
    for (const { transaction } of this.#servers.values()) transaction.terminate();
    for (const transaction of this.#clients.values()) transaction.terminate();
  }

  /** Adds our Via and returns its branch. Throws an Error after `close`. */
  #addVia(request: SipRequest, flow: Flow): string {
    if (this.#closed) throw new Error('agent stopped');
    const branch = newBranch();
    request.prepend('via', ownVia(flow, branch));
    return branch;
  }

  /** In-dialog requests and CANCELs are refused last: a refused BYE or CANCEL would keep alive the call it should end. */
  #hasNoRoomFor({ method }: SipRequest, { to }: Envelope, flow: Flow): boolean {
    const isNewWork = to.tag === undefined && method !== 'CANCEL';
    if (isNewWork && this.#options.overloaded?.()) return true;
    const stretch = isNewWork ? 1 : STRETCH;
    while (this.#isFull(stretch)) if (!this.#makeRoom()) return true;
    return this.#octets.isFullFor(flow.remote.address, stretch);
  }

  #isFull(stretch: number): boolean {
    const maxTransactions = Math.floor(this.#options.maxServerTransactions * stretch);
    return this.#servers.size >= maxTransactions || this.#octets.isFull(stretch);
  }

  /** Ends the oldest answered transaction. A retransmission is then handled as a new request, harmless outside a call. */
  #makeRoom(): boolean {
    const [oldest] = this.#spent;
    oldest?.transaction.terminate();
    return oldest !== undefined;
  }

  #turnAway(request: SipRequest, envelope: Envelope, flow: Flow): void {
    this.#shed++;
    // A random delay spreads the retries (RFC 3261 section 21.5.4).
    const retryAfterS = randomInt(MIN_RETRY_AFTER_S, MAX_RETRY_AFTER_S + 1);
    replyStateless(request, envelope, flow, 503, ['retry-after', String(retryAfterS)]);
  }

  #receiveAck(ack: SipRequest, envelope: Envelope, flow: Flow, entry: ServerEntry | undefined): void {
    const absorbed = entry?.transaction instanceof InviteServerTransaction && entry.transaction.receiveAck();
    if (entry?.givenTag !== undefined && entry.givenTag === envelope.to.tag) this.peers.note(flow);
    if (!absorbed) this.#user?.acknowledge(ack, envelope, flow);
  }

  #receiveNewRequest(request: SipRequest, envelope: Envelope, flow: Flow, key: string): void {
    const invite = request.method === 'CANCEL' ? this.#servers.get(serverKey(envelope, 'INVITE')) : undefined;
    const merge = mergeKey(envelope);
    const incoming = this.#openServerTransaction(request, envelope, flow, { key, merge, toTag: invite?.toTag });
    if (request.method === 'CANCEL') this.#receiveCancel(incoming, invite);
    else if (envelope.to.tag === undefined && this.#isMerged(merge, key)) incoming.reply(482);
    else this.#user?.request(incoming);
  }

  /** RFC 3261 section 9.2. */
  #receiveCancel(cancel: IncomingRequest, invite: ServerEntry | undefined): void {
    cancel.reply(invite ? 200 : 481);
    if (invite?.incoming?.open) this.#user?.cancel(invite.incoming, cancel.message);
  }

  /** Merged request (RFC 3261 section 8.2.2.2): another copy of the request, forked by a proxy, is unanswered. */
  #isMerged(merge: string, key: string): boolean {
    const first = this.#unmerged.get(merge);
    if (first === undefined) this.#unmerged.set(merge, key);
    return first !== undefined;
  }

  /** After the final response, a copy is a new attempt of a proxy that forks sequentially: a new request. */
  #forgetMerge(merge: string, key: string): void {
    if (this.#unmerged.get(merge) === key) this.#unmerged.delete(merge);
  }

  #openServerTransaction(
    request: SipRequest,
    envelope: Envelope,
    flow: Flow,
    { key, merge, toTag }: { key: string; merge: string; toTag: string | undefined },
  ): IncomingRequest {
    const back = this.#wayBack(request, envelope, flow);
    const Transaction = request.method === 'INVITE' ? InviteServerTransaction : NonInviteServerTransaction;
    const transaction = new Transaction({
      ...this.#timing(flow),
      isHeard: () => this.peers.knows(flow),
      send: (bytes) => back.send(bytes),
      terminated: () => {
        this.#servers.delete(key);
        this.#spent.delete(entry);
        this.#hold(entry, 0);
        this.#forgetMerge(merge, key);
        const unanswered = entry.incoming;
        entry.incoming = undefined;
        if (unanswered) this.#user?.abandoned(unanswered);
      },
    });
    const keyOctets = key.length + merge.length;
    const incoming = new IncomingRequest(request, envelope, flow, back, transaction, toTag, (status, octets) => {
      if (!entry.incoming) return;
      entry.incoming = undefined;
      this.#forgetMerge(merge, key);
      this.#hold(entry, keyOctets + octets);
      // The 2xx to an INVITE makes a call: a late retransmission of that INVITE must not make a second one.
      const makesCall = transaction instanceof InviteServerTransaction && isSuccess(status);
      if (givenTag !== undefined && !makesCall) this.#spent.add(entry);
    });
    const source = flow.remote.address;
    const givenTag = envelope.to.tag === undefined ? incoming.toTag : undefined;
    const entry: ServerEntry = { transaction, toTag: incoming.toTag, givenTag, source, octets: 0, incoming };
    this.#servers.set(key, entry);
    this.#hold(entry, keyOctets + request.octets);
    if (transaction instanceof InviteServerTransaction && waitsForTrying(envelope, flow)) {
      sendTryingLater(transaction, incoming);
    }
    return incoming;
  }

  /** The flow for responses. An INVITE is answered late, when its connection may be closed. */
  #wayBack({ method }: SipRequest, { via }: Envelope, flow: Flow): Flow {
    const back = responseFlow(flow, via);
    const { reopen } = this.#options;
    if (method !== 'INVITE' || !flow.reliable || !reopen) return back;
    const { host, port = DEFAULT_PORTS[flow.protocol] } = via;
    return new ReturnFlow(back, () => reopen(flow, port, host));
  }

  #hold(entry: ServerEntry, octets: number): void {
    this.#octets.take(entry.source, octets - entry.octets);
    entry.octets = octets;
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

  #startNonInvite(request: SipRequest, branch: string, flow: Flow, handlers: ResponseHandlers, once = false): void {
    const options = this.#clientOptions(request, branch, flow, handlers);
    const transaction = new NonInviteClientTransaction({ ...options, reliable: flow.reliable || once });
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
      send: (bytes: Buffer) => flow.send(bytes),
      response: (response: ReceivedResponse) => handlers.response(response),
      failed: (failure: ClientFailure) => handlers.failed(failure),
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

/** Stateless response (RFC 3261 section 8.2.7): sent without a transaction; each retransmission gets the same response. */
export function replyStateless(
  request: SipRequest,
  envelope: Envelope,
  flow: Flow,
  status: number,
  header?: readonly [name: string, value: string],
): void {
  if (request.method === 'ACK') return;
  const { via, from, callId, cseq } = envelope;
  const response = responseTo(request, status, statelessTag(via.branch, from.tag, callId, cseq.number));
  if (header) response.add(header[0], header[1]);
  responseFlow(flow, via).send(response.toBuffer());
}

/**
 * Whether the 100 to an INVITE is delayed, so that an INVITE that is refused at once gets none. After a 100 the peer no
 * longer retransmits the INVITE, and we would have to retransmit the refusal, possibly to a forged address.
 */
export function waitsForTrying({ to }: Envelope, { reliable }: Flow): boolean {
  return !reliable && to.tag === undefined;
}

/** A function of its own: closures made in one scope share its variables, and this one would keep the request alive. */
function sendTryingLater(transaction: InviteServerTransaction, incoming: IncomingRequest): void {
  transaction.tryAfter(TRYING_AFTER_MS, () => incoming.response(100).toBuffer());
}

/** For a CANCEL of ours: only the final response to its INVITE matters. */
const NO_HANDLERS: ResponseHandlers = {
  response: () => undefined,
  failed: () => undefined,
};
