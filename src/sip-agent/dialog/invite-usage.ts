import type { AnswerRetransmission } from './answer-retransmission.js';
import type { CallSetup } from './call-setups.js';
import type { Dialog } from './dialog.js';
import { splitHeaderList } from '../syntax/headers.js';
import type { IncomingRequest } from '../transaction/incoming-request.js';
import type { SipMessage } from '../syntax/message.js';
import type { ReliableProvisionals } from './reliable-provisionals.js';
import type { SentInvite } from './sent-invite.js';
import type { SessionTimer } from './session-timer.js';
import type { WireClient } from '../wire/client.js';

/** Our session description, as it was last sent. */
export interface SentDescription {
  readonly contentType: string;
  readonly body: Buffer;
}

/**
 * The INVITE usage of a dialog (RFC 5057): the client it belongs to and its pending transactions. Its owner, the store, calls
 * `end` exactly once.
 */
export class InviteUsage {
  /** The peer's UPDATE that has no final response yet. */
  incomingUpdate: IncomingRequest | undefined;
  /** Whether the peer is proven reachable; a caller's address may be forged. See `HeardPeers`. */
  heard = true;
  /** Present for a call of the peer. */
  setup: CallSetup | undefined;
  /** Offers in UPDATEs of ours that have no final response yet. */
  sentOffers = 0;
  /** Our last INVITE, until it fails or the next one. */
  sentInvite: SentInvite | undefined;
  /** Why the dialog has to be ended as soon as its 2xx is acknowledged; undefined when it does not. */
  doomed: string | undefined;
  /** The session timer (RFC 4028); undefined while none is agreed. */
  session: SessionTimer | undefined;
  /** A pending refresh by re-INVITE: settles when another INVITE may be sent. */
  refreshing: Promise<void> | undefined;
  /** Reliable provisional responses to the peer's last INVITE. */
  reliable: ReliableProvisionals | undefined;
  /** Whether the peer's last Allow lists UPDATE (RFC 3311 section 4). */
  peerAllowsUpdate = false;
  #incomingInvite: IncomingRequest | undefined;
  /** A session description has been sent in a provisional response to the peer's INVITE. */
  #describedEarly = false;
  #localDescription: SentDescription | undefined;
  /** Our 2xx responses without an ACK, by CSeq number. */
  readonly #answers = new Map<number, AnswerRetransmission>();
  readonly #afterAck: (() => void)[] = [];
  #releaseFlow: () => void;

  constructor(
    readonly dialog: Dialog,
    readonly client: WireClient,
  ) {
    this.#releaseFlow = dialog.flow.hold();
  }

  get id(): string {
    return this.dialog.id;
  }

  /** The peer's INVITE that has no final response yet. */
  get incomingInvite(): IncomingRequest | undefined {
    return this.#incomingInvite;
  }

  /** Our last session description; undefined before the first one. */
  get localDescription(): SentDescription | undefined {
    return this.#localDescription;
  }

  /** Whether an INVITE of either side is pending, so that we may send none (RFC 3261 section 14.1). */
  get inviteUnderWay(): boolean {
    return this.#incomingInvite !== undefined || this.sentInvite?.pending === true;
  }

  /** Whether an offer of the peer is unanswered (RFC 3311 section 5.2). */
  get owesAnswer(): boolean {
    return !this.#describedEarly && (this.#incomingInvite?.message.body.length ?? 0) > 0;
  }

  /** Whether an offer of ours is unanswered. */
  get awaitsAnswer(): boolean {
    const offeredEarly = this.#incomingInvite?.message.body.length === 0 && this.reliable?.holdsDescription === true;
    return offeredEarly || this.sentOffers > 0 || this.sentInvite?.awaitsAnswer === true;
  }

  /** Called for an INVITE of the peer. */
  beginInvite(incoming: IncomingRequest): void {
    this.#incomingInvite = incoming;
    this.#describedEarly = false;
    this.reliable?.stop();
    this.reliable = undefined;
    this.noteAllow(incoming.message);
  }

  /** The peer's INVITE has its final response, or needs none. */
  endInvite(): void {
    this.#incomingInvite = undefined;
  }

  /** Remembers the description in a provisional response of ours. */
  describeEarly(response: SipMessage): void {
    if (response.body.length > 0) this.#describedEarly = true;
    this.describe(response);
  }

  /** Remembers the description in a message of ours, if it has one. */
  describe(message: SipMessage): void {
    if (message.body.length === 0) return;
    this.#localDescription = { contentType: message.get('content-type') ?? 'application/sdp', body: message.body };
  }

  /** Remembers the Allow of a message of the peer. */
  noteAllow(message: SipMessage): void {
    const allow = message.getAll('allow');
    if (allow.length > 0) this.peerAllowsUpdate = allow.flatMap(splitHeaderList).includes('UPDATE');
  }

  /** A 2xx of ours is retransmitted until its ACK. */
  answered(sequence: number, retransmission: AnswerRetransmission): void {
    this.setup?.answered();
    this.#answers.get(sequence)?.stop();
    this.#answers.set(sequence, retransmission);
  }

  /** An ACK was received. False when no 2xx waits for it: it is a retransmission, or stray. */
  acknowledge(sequence: number): boolean {
    const answer = this.#answers.get(sequence);
    if (!answer) return false;
    this.setup?.over();
    answer.stop();
    this.#answers.delete(sequence);
    this.#runDeferred();
    return true;
  }

  /** No ACK will arrive any more. True when a deferred action was run by this call. */
  giveUpOnAck(sequence: number): boolean {
    this.#answers.delete(sequence);
    return this.#runDeferred();
  }

  /** Calls `run` at once, or when our 2xx is acknowledged: a callee may not end a call before that (RFC 3261 section 15). */
  whenAcknowledged(run: () => void): void {
    if (this.#answers.size === 0) run();
    else this.#afterAck.push(run);
  }

  /** Holds the new flow of the dialog and releases the old one. */
  holdFlow(): void {
    const release = this.#releaseFlow;
    this.#releaseFlow = this.dialog.flow.hold();
    release();
  }

  /** Releases timers and flow. Actions that waited for an ACK are run now; they find the dialog ended. */
  end(): void {
    this.dialog.state = 'ended';
    this.setup?.over();
    this.session?.stop();
    this.reliable?.stop();
    for (const answer of this.#answers.values()) answer.stop();
    this.#answers.clear();
    this.#releaseFlow();
    this.#runDeferred();
  }

  /** Runs the deferred actions, unless a 2xx still waits for its ACK. False when nothing was run. */
  #runDeferred(): boolean {
    if (this.#answers.size > 0 || this.#afterAck.length === 0) return false;
    for (const run of this.#afterAck.splice(0)) run();
    return true;
  }
}
