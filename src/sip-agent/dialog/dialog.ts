import { DialogPeers } from './dialog-peers.js';
import type { Flow } from '../transport/flow.js';
import { parseNameAddr, splitHeaderList, type NameAddr } from '../syntax/headers.js';
import { newSequenceNumber } from '../syntax/identifiers.js';
import type { IncomingRequest } from '../transaction/incoming-request.js';
import { SipRequest, type SipMessage } from '../syntax/message.js';
import type { ReceivedResponse } from '../transaction/outgoing-request.js';
import { owned } from '../syntax/owned.js';
import { asRequestUri, parseSipUri } from '../syntax/uri.js';

const MAX_FORWARDS = '70';

/** Early until the INVITE has its 2xx; ending from our BYE to its answer; ended when nothing is to be said any more. */
export type DialogState = 'early' | 'confirmed' | 'ending' | 'ended';

/** Which side sent the INVITE that made it. */
export type DialogRole = 'uac' | 'uas';

interface DialogSeed {
  readonly role: DialogRole;
  readonly callId: string;
  readonly localTag: string;
  /** Tag of the INVITE's From, whichever side that is. */
  readonly inviteFromTag: string;
  readonly local: string;
  readonly remote: string;
  readonly remoteTarget: string;
  readonly contact: string;
  readonly routeSet: readonly string[];
  readonly flow: Flow;
  readonly localSequence: number;
}

/**
 * A dialog's own state (RFC 3261 section 12): who the two sides are, how requests get to the other one and which
 * numbers they carry. It sends nothing.
 */
export class Dialog {
  /** `<Call-ID>;from-tag=<tag of the INVITE's From>`, the name drachtio gives it. */
  readonly id: string;
  /** Whose requests are its peer's. */
  readonly peers = new DialogPeers();
  state: DialogState = 'early';
  readonly #seed: DialogSeed;
  #remoteTag: string | undefined;
  /** The To value of our requests. */
  #remote: string;
  #remoteTarget: string;
  #routeSet: readonly string[];
  #flow: Flow;
  #localSequence: number;
  #remoteSequence: number | undefined;

  private constructor(seed: DialogSeed) {
    this.id = dialogId(seed.callId, seed.inviteFromTag);
    this.#seed = seed;
    this.#remote = seed.remote;
    this.#remoteTarget = seed.remoteTarget;
    this.#routeSet = seed.routeSet;
    this.#flow = seed.flow;
    this.#localSequence = seed.localSequence;
    this.peers.add(seed.flow.remote.address);
    this.#notePeers();
  }

  /** The dialog an INVITE from the network is about to make (RFC 3261 section 12.1.1). It has a Contact. */
  static fromInvite({ message, envelope, flow, toTag }: IncomingRequest, contact: string): Dialog {
    const remoteTag = envelope.from.tag ?? '';
    const dialog = new Dialog({
      role: 'uas',
      callId: envelope.callId,
      localTag: toTag,
      inviteFromTag: remoteTag,
      local: `${message.get('to') ?? ''};tag=${toTag}`,
      remote: message.get('from') ?? '',
      remoteTarget: contactUri(message) ?? envelope.from.uri,
      contact,
      routeSet: recordRoutes(message),
      flow,
      localSequence: newSequenceNumber(),
    });
    dialog.#remoteTag = remoteTag;
    dialog.#remoteSequence = envelope.cseq.number;
    return dialog;
  }

  /** The dialog an INVITE of ours may make; its other side is known from the responses. */
  static forInvite(invite: SipRequest, localTag: string, sequence: number, flow: Flow): Dialog {
    const callId = invite.get('call-id') ?? '';
    return new Dialog({
      role: 'uac',
      callId,
      localTag,
      inviteFromTag: localTag,
      local: invite.get('from') ?? '',
      remote: invite.get('to') ?? '',
      remoteTarget: invite.uri,
      contact: invite.get('contact') ?? '',
      routeSet: [],
      flow,
      localSequence: sequence,
    });
  }

  get role(): DialogRole {
    return this.#seed.role;
  }

  get callId(): string {
    return this.#seed.callId;
  }

  get localTag(): string {
    return this.#seed.localTag;
  }

  get remoteTag(): string | undefined {
    return this.#remoteTag;
  }

  /** Our Contact, in every request and response that needs one. */
  get contact(): string {
    return this.#seed.contact;
  }

  /** What the peer last used to reach us, or we to reach it. */
  get flow(): Flow {
    return this.#flow;
  }

  get remoteTarget(): string {
    return this.#remoteTarget;
  }

  /** The dialog another 2xx to the same INVITE makes: a proxy has forked it (RFC 3261 section 13.2.2.4). */
  fork(response: ReceivedResponse): Dialog {
    const fork = new Dialog({ ...this.#seed, localSequence: response.envelope.cseq.number });
    fork.learnFrom(response);
    return fork;
  }

  /**
   * Takes the other side from a response to our INVITE (RFC 3261 section 12.1.2). A provisional one may come from
   * another fork than the final one, so each response overwrites what the one before it said.
   */
  learnFrom({ status, message, envelope, source }: ReceivedResponse): void {
    if (status >= 200) this.state = 'confirmed';
    if (envelope.to.tag === undefined) return;
    this.peers.add(source);
    this.#remoteTag = envelope.to.tag;
    this.#remote = message.get('to') ?? this.#remote;
    this.#routeSet = recordRoutes(message).reverse();
    this.#remoteTarget = contactUri(message) ?? this.#remoteTarget;
    this.#notePeers();
  }

  /** A target refresh request or response of the peer's (RFC 3261 section 12.2): its Contact is the new target. */
  refreshTarget(message: SipMessage, flow: Flow): void {
    this.#remoteTarget = contactUri(message) ?? this.#remoteTarget;
    this.#flow = flow;
    this.peers.add(flow.remote.address);
    this.#notePeers();
  }

  /**
   * Whether a request from the peer comes in order, and if so remembers its number (RFC 3261 section 12.2.2).
   * A number used before belongs to a transaction that is over: such a request is late, whoever sent it.
   */
  acceptSequence(sequence: number): boolean {
    if (this.#remoteSequence !== undefined && sequence <= this.#remoteSequence) return false;
    this.#remoteSequence = sequence;
    return true;
  }

  /**
   * A request inside the dialog, complete but for Via, Contact and body (RFC 3261 section 12.2.1.1).
   * `sequence` is given for an ACK, and by a client that counts for itself; else the next number is taken.
   */
  request(method: string, sequence = this.#localSequence + 1): SipRequest {
    this.#localSequence = Math.max(this.#localSequence, sequence);
    const { uri, routes } = this.#path();
    const request = new SipRequest(method, uri);
    for (const route of routes) request.add('route', route);
    request.add('max-forwards', MAX_FORWARDS).add('from', this.#seed.local).add('to', this.#remote);
    return request.add('call-id', this.callId).add('cseq', `${sequence} ${method}`);
  }

  /**
   * How a request leaves: by a flow that is there already, or to the URI of the next hop.
   *
   * Without Record-Route, a Contact that is not where the peer's messages come from cannot be reached from here, or
   * is behind a NAT: the request goes to the source. A connection is used again when the next hop is at its other end.
   */
  nextHop(): { readonly flow: Flow } | { readonly uri: string } {
    const [firstRoute] = this.#routeSet;
    const uri = firstRoute === undefined ? this.#remoteTarget : routeUri(firstRoute);
    const next = parseSipUri(uri);
    const atPeer = next?.host === this.#flow.remote.address;
    if (this.#flow.reliable) return this.#flow.usable && (atPeer || !firstRoute) ? { flow: this.#flow } : { uri };
    const reachable = atPeer && samePort(next.port, this.#flow.remote.port);
    return firstRoute === undefined && !reachable ? { flow: this.#flow } : { uri };
  }

  #notePeers(): void {
    this.peers.addUri(this.#remoteTarget);
    for (const route of this.#routeSet) this.peers.addUri(routeUri(route));
  }

  /** Request-URI and Route, for loose and for strict routers (RFC 3261 section 12.2.1.1). */
  #path(): { uri: string; routes: readonly string[] } {
    const [first, ...rest] = this.#routeSet;
    if (first === undefined || isLooseRouter(first)) {
      return { uri: asRequestUri(this.#remoteTarget), routes: this.#routeSet };
    }
    return { uri: asRequestUri(routeUri(first)), routes: [...rest, `<${this.#remoteTarget}>`] };
  }
}

export function dialogId(callId: string, inviteFromTag: string): string {
  return owned(`${callId};from-tag=${inviteFromTag}`);
}

/** The URI of the first Contact. */
export function contactUri(message: SipMessage): string | undefined {
  return firstContact(message)?.uri;
}

function firstContact(message: SipMessage): NameAddr | undefined {
  const value = message.get('contact');
  const first = value === undefined ? undefined : splitHeaderList(value)[0];
  return first === undefined ? undefined : parseNameAddr(owned(first));
}

function recordRoutes(message: SipMessage): string[] {
  return message.getAll('record-route').flatMap(splitHeaderList).map(owned);
}

function routeUri(route: string): string {
  return parseNameAddr(route)?.uri ?? '';
}

function isLooseRouter(route: string): boolean {
  return parseSipUri(routeUri(route))?.params.has('lr') ?? false;
}

function samePort(uriPort: number | undefined, sourcePort: number): boolean {
  return (uriPort ?? 5060) === sourcePort;
}
