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

/** How long the 100 may take that nothing else makes needless (RFC 3261 section 17.2.1). */
const TRYING_AFTER_MS = 200;

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
  readonly clock: AgentClock;
  readonly timers: SipTimers;
  /** Server transactions beyond which new work gets 503; what belongs to work under way may be a quarter more. */
  readonly maxServerTransactions: number;
  /** The same for the octets they hold: keys, requests not yet answered, responses given. Default: 64 MiB. */
  readonly maxServerOctets?: number | undefined;
  /** Opens another connection to where a flow led, but to that port; rejects when there is none to be had. */
  readonly reopen?: ((flow: Flow, port: number, name: string) => Promise<Flow>) | undefined;
  /** Whether new work is to be turned away for the time being. */
  readonly overloaded?: (() => boolean) | undefined;
}

const MAX_SERVER_OCTETS = 64 * 1024 * 1024;
/** How much of them one source may take. */
const SOURCE_SHARE = 0.5;
/** What belongs to work under way may go as far beyond these limits. */
const STRETCH = 1.25;

interface ServerEntry {
  readonly transaction: InviteServerTransaction | NonInviteServerTransaction;
  readonly toTag: string;
  /** The To tag we gave the request; undefined when it came with one. */
  readonly givenTag: string | undefined;
  readonly source: string;
  octets: number;
  /** Until a final response is given. For half a minute more the entry only absorbs repetitions, and holds little. */
  incoming: IncomingRequest | undefined;
}

/** Finds or makes the transaction each message belongs to (RFC 3261 section 17). */
export class TransactionLayer {
  readonly peers: HeardPeers;
  readonly #options: TransactionLayerOptions;
  readonly #servers = new Map<string, ServerEntry>();
  readonly #clients = new Map<string, ClientTransaction<ReceivedResponse>>();
  readonly #octets: OctetBudget;
  /** Refusals, and requests outside calls that are answered: they only absorb repetitions, and make room. Oldest first. */
  readonly #spent = new Set<ServerEntry>();
  /** Requests outside a dialog that have no final response yet: merge key to transaction key. */
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

  /** Octets the server transactions hold. */
  get serverOctets(): number {
    return this.#octets.octets;
  }

  get serverTransactions(): number {
    return this.#servers.size;
  }

  get clientTransactions(): number {
    return this.#clients.size;
  }

  /** Requests turned away for want of capacity, since the start. */
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

  /** Whether a request is a copy of one that still has its transaction. */
  holds(request: SipRequest, envelope: Envelope): boolean {
    return this.#servers.has(serverKey(envelope, request.method));
  }

  /** `source`: the address it came from. False: it answers nothing that was sent. */
  receiveResponse(message: SipResponse, envelope: Envelope, source: string): boolean {
    const { branch } = envelope.via;
    if (branch === undefined) return false;
    const transaction = this.#clients.get(clientKey(branch, envelope.cseq.method));
    transaction?.receive({ status: message.status, message, envelope, source });
    return transaction !== undefined;
  }

  /**
   * Sends a request other than INVITE and ACK, complete but for its Via. Throws, as the other two, once closed.
   * `once`: it is not repeated, whatever becomes of it.
   */
  send(request: SipRequest, flow: Flow, handlers: ResponseHandlers, { once = false } = {}): void {
    const branch = this.#addVia(request, flow);
    this.#startNonInvite(request, branch, flow, handlers, once);
  }

  /** Sends an INVITE, complete but for its Via. */
  sendInvite(request: SipRequest, flow: Flow, handlers: ResponseHandlers): OutgoingInvite {
    const branch = this.#addVia(request, flow);
    const invite = new OutgoingInvite(request, flow, (cancel) => this.#startNonInvite(cancel, branch, flow, NOBODY));
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

  /** Who is refused a BYE or a CANCEL tries again, and what it would have ended goes on: those come last. */
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

  /** A repetition of what is forgotten is answered anew, which outside a call is no worse. */
  #makeRoom(): boolean {
    const [oldest] = this.#spent;
    oldest?.transaction.terminate();
    return oldest !== undefined;
  }

  #turnAway(request: SipRequest, envelope: Envelope, flow: Flow): void {
    this.#shed++;
    // Not all of them are to come back in the same moment (RFC 3261 section 21.5.4).
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

  /** RFC 3261 section 8.2.2.2: another copy of the same request, forked somewhere, is being answered. */
  #isMerged(merge: string, key: string): boolean {
    const first = this.#unmerged.get(merge);
    if (first === undefined) this.#unmerged.set(merge, key);
    return first !== undefined;
  }

  /** What comes after the final response is sent on by a proxy that tries another way: a request of its own. */
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
      // The 2xx to an INVITE makes a call, to which a repetition of the INVITE would be a stranger.
      const makesCall = transaction instanceof InviteServerTransaction && isSuccess(status);
      if (givenTag !== undefined && !makesCall) this.#spent.add(entry);
    });
    const source = flow.remote.address;
    const givenTag = envelope.to.tag === undefined ? incoming.toTag : undefined;
    const entry: ServerEntry = { transaction, toTag: incoming.toTag, givenTag, source, octets: 0, incoming };
    this.#servers.set(key, entry);
    this.#hold(entry, keyOctets + request.octets);
    if (transaction instanceof InviteServerTransaction && waitsForTrying(envelope, flow)) {
      sayTryingLater(transaction, incoming);
    }
    return incoming;
  }

  /** An INVITE is answered later than others, when its connection may be gone. */
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

/** Answers a request without a transaction (RFC 3261 section 8.2.7): each copy of it is answered again, in the same way. */
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
 * Whether the 100 to an INVITE is left out when it is refused at once. Who has had a 100 repeats the INVITE no more, so that a
 * lost refusal has to be repeated by us, to whoever it may be.
 */
export function waitsForTrying({ to }: Envelope, { reliable }: Flow): boolean {
  return !reliable && to.tag === undefined;
}

/** By itself, since a function that is kept keeps all that the functions beside it use: here the request. */
function sayTryingLater(transaction: InviteServerTransaction, incoming: IncomingRequest): void {
  transaction.tryAfter(TRYING_AFTER_MS, () => incoming.response(100).toBuffer());
}

/** For a CANCEL of ours: what matters is the final response to its INVITE. */
const NOBODY: ResponseHandlers = {
  response: () => undefined,
  failed: () => undefined,
};
