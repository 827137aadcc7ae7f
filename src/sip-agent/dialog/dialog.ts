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

/** Early until the 2xx to the INVITE; ending from our BYE to its response; then ended. */
export type DialogState = 'early' | 'confirmed' | 'ending' | 'ended';

/** Our role in the INVITE that made the dialog. */
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
 * The state of a dialog (RFC 3261 section 12): both parties, remote target, route set and sequence numbers. It sends nothing.
 */
export class Dialog {
  /** `<Call-ID>;from-tag=<tag of the INVITE's From>`, drachtio's dialog id. */
  readonly id: string;
  /** The addresses whose requests are accepted. */
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

  /** The dialog that an INVITE from the network will make (RFC 3261 section 12.1.1). The INVITE has a Contact. */
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

  /** The dialog that an INVITE of ours may make; the remote side is taken from its responses. */
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

  /** The flow last used by the peer to reach us, or by us to reach the peer. */
  get flow(): Flow {
    return this.#flow;
  }

  get remoteTarget(): string {
    return this.#remoteTarget;
  }

  /** The dialog of another 2xx to the same INVITE, which a proxy has forked (RFC 3261 section 13.2.2.4). */
  fork(response: ReceivedResponse): Dialog {
    const fork = new Dialog({ ...this.#seed, localSequence: response.envelope.cseq.number });
    fork.learnFrom(response);
    return fork;
  }

  /**
   * Takes the remote side from a response to our INVITE (RFC 3261 section 12.1.2). A provisional response may come from
   * another fork than the final one, so each response replaces the earlier values.
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

  /** A target refresh request or response of the peer (RFC 3261 section 12.2): its Contact is the new remote target. */
  refreshTarget(message: SipMessage, flow: Flow): void {
    this.#remoteTarget = contactUri(message) ?? this.#remoteTarget;
    this.#flow = flow;
    this.peers.add(flow.remote.address);
    this.#notePeers();
  }

  /**
   * Whether a request from the peer is in order; if so, its number is remembered (RFC 3261 section 12.2.2). A number
   * used before belongs to a transaction that has ended.
   */
  acceptSequence(sequence: number): boolean {
    if (this.#remoteSequence !== undefined && sequence <= this.#remoteSequence) return false;
    this.#remoteSequence = sequence;
    return true;
  }

  /**
   * A request inside the dialog, complete but for Via, Contact and body (RFC 3261 section 12.2.1.1).
   * `sequence` is given for an ACK, and by a client that counts itself; otherwise the next number is used.
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
   * The next hop of a request: an existing flow, or a URI.
   *
   * Without Record-Route, a Contact that differs from the source of the peer's messages is unreachable or behind a NAT: the
   * request goes to the source. A connection is reused when the next hop is its remote end.
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

  /** Request-URI and Route headers, for loose and for strict routers (RFC 3261 section 12.2.1.1). */
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
