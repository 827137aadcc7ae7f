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

/** A session description of ours, as it was last sent. */
export interface SentDescription {
  readonly contentType: string;
  readonly body: Buffer;
}

/**
 * What an INVITE makes of a dialog (the INVITE usage of RFC 5057): the client it belongs to and the transactions
 * under way on it. Whoever holds it asks `end` exactly once to be rid of it; the store does.
 */
export class InviteUsage {
  /** The peer's UPDATE that has no final response yet. */
  incomingUpdate: IncomingRequest | undefined;
  /** Whether the peer has shown that it hears us: a caller may have another's address. See `HeardPeers`. */
  heard = true;
  /** Of a call of the peer's. */
  setup: CallSetup | undefined;
  /** Offers in UPDATEs of ours that have no final response yet. */
  sentOffers = 0;
  /** Our last INVITE, until it fails or another follows. */
  sentInvite: SentInvite | undefined;
  /** The dialog must not live on: it is ended as soon as its 2xx has been acknowledged. Says why. */
  doomed: string | undefined;
  /** Ends the session when nobody refreshes it; undefined while there is no agreement to do so. */
  session: SessionTimer | undefined;
  /** A refresh by re-INVITE under way: settles when another INVITE may be sent. */
  refreshing: Promise<void> | undefined;
  /** What the peer's last INVITE has had of reliable provisional responses. */
  reliable: ReliableProvisionals | undefined;
  /** Whether the peer understands an UPDATE (RFC 3311 section 4), as its last Allow says. */
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

  /** What our side of the session was last described as; undefined before it was. */
  get localDescription(): SentDescription | undefined {
    return this.#localDescription;
  }

  /** Whether an INVITE of either side is under way, so that we may send none (RFC 3261 section 14.1). */
  get inviteUnderWay(): boolean {
    return this.#incomingInvite !== undefined || this.sentInvite?.pending === true;
  }

  /** Whether an offer of the peer's has no answer of ours yet (RFC 3311 section 5.2). */
  get owesAnswer(): boolean {
    return !this.#describedEarly && (this.#incomingInvite?.message.body.length ?? 0) > 0;
  }

  /** Whether an offer of ours has no answer of the peer's yet. */
  get awaitsAnswer(): boolean {
    const offeredEarly = this.#incomingInvite?.message.body.length === 0 && this.reliable?.holdsDescription === true;
    return offeredEarly || this.sentOffers > 0 || this.sentInvite?.awaitsAnswer === true;
  }

  /** The peer has sent an INVITE. */
  beginInvite(incoming: IncomingRequest): void {
    this.#incomingInvite = incoming;
    this.#describedEarly = false;
    this.reliable?.stop();
    this.reliable = undefined;
    this.noteAllow(incoming.message);
  }

  /** The peer's INVITE has its final response, or needs none any more. */
  endInvite(): void {
    this.#incomingInvite = undefined;
  }

  /** Takes note of a description in a provisional response of ours. */
  describeEarly(response: SipMessage): void {
    if (response.body.length > 0) this.#describedEarly = true;
    this.describe(response);
  }

  /** Takes note of a description of our side that stands from now on, if the message has one. */
  describe(message: SipMessage): void {
    if (message.body.length === 0) return;
    this.#localDescription = { contentType: message.get('content-type') ?? 'application/sdp', body: message.body };
  }

  /** Takes note of what a message of the peer's says it understands. */
  noteAllow(message: SipMessage): void {
    const allow = message.getAll('allow');
    if (allow.length > 0) this.peerAllowsUpdate = allow.flatMap(splitHeaderList).includes('UPDATE');
  }

  /** A 2xx is being repeated until its ACK. */
  answered(sequence: number, retransmission: AnswerRetransmission): void {
    this.setup?.answered();
    this.#answers.get(sequence)?.stop();
    this.#answers.set(sequence, retransmission);
  }

  /** An ACK came. False when no 2xx waits for it: it is a repetition, or stray. */
  acknowledge(sequence: number): boolean {
    const answer = this.#answers.get(sequence);
    if (!answer) return false;
    this.setup?.over();
    answer.stop();
    this.#answers.delete(sequence);
    this.#runDeferred();
    return true;
  }

  /** Nobody will acknowledge any more. True when something was waiting for that, which has now been done. */
  giveUpOnAck(sequence: number): boolean {
    this.#answers.delete(sequence);
    return this.#runDeferred();
  }

  /** Runs at once, or when our 2xx is acknowledged: a callee may not end a call before (RFC 3261 section 15). */
  whenAcknowledged(run: () => void): void {
    if (this.#answers.size === 0) run();
    else this.#afterAck.push(run);
  }

  /** The peer is reached another way from now on. */
  holdFlow(): void {
    const release = this.#releaseFlow;
    this.#releaseFlow = this.dialog.flow.hold();
    release();
  }

  /** Lets go of everything but transactions of its own. What waited for an ACK is run, and finds the dialog ended. */
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

  /** Whether there was anything to run, and nothing left to wait for. */
  #runDeferred(): boolean {
    if (this.#answers.size > 0 || this.#afterAck.length === 0) return false;
    for (const run of this.#afterAck.splice(0)) run();
    return true;
  }
}
