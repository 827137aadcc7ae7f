import type { AnswerRetransmission } from './answer-retransmission.js';
import type { Dialog } from './dialog.js';
import type { Flow } from './flow.js';
import type { IncomingRequest } from './incoming-request.js';
import type { OutgoingInvite } from './outgoing-request.js';
import type { WireClient } from './wire-client.js';

/** An INVITE of ours from its sending to the end of what its 2xx may still demand. */
export class SentInvite {
  invite: OutgoingInvite | undefined;
  /** Whether its final response is still to come. */
  pending = true;
  /** Dialogs that further 2xx responses of a forked INVITE made, by their To tag: the way to repeat each one's ACK. */
  readonly forks = new Map<string, () => void>();
  /** The ACK for its 2xx, once the client has given one, and the flow it went by: every further 2xx gets it again. */
  #ack: { readonly bytes: Buffer; readonly flow: Flow } | undefined;

  constructor(readonly sequence: number) {}

  /** A 2xx waits for the client's ACK. */
  get awaitsAck(): boolean {
    return !this.pending && !this.#ack;
  }

  acknowledged(bytes: Buffer, flow: Flow): void {
    this.#ack = { bytes, flow };
  }

  repeatAck(): void {
    this.#ack?.flow.send(this.#ack.bytes);
  }
}

/**
 * What an INVITE makes of a dialog (the INVITE usage of RFC 5057): the client it belongs to and the transactions
 * under way on it. Whoever holds it asks `end` exactly once to be rid of it; the store does.
 */
export class InviteUsage {
  /** The peer's INVITE that has no final response yet. */
  incomingInvite: IncomingRequest | undefined;
  /** The peer's UPDATE that has no final response yet. */
  incomingUpdate: IncomingRequest | undefined;
  /** Our UPDATEs that have no final response yet. */
  sentUpdates = 0;
  /** Our last INVITE, until it fails or another follows. */
  sentInvite: SentInvite | undefined;
  /** The dialog must not live on: it is ended as soon as its 2xx has been acknowledged. Says why. */
  doomed: string | undefined;
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

  /** Whether an INVITE of either side is under way, so that we may send none (RFC 3261 section 14.1). */
  get inviteUnderWay(): boolean {
    return this.incomingInvite !== undefined || this.sentInvite?.pending === true;
  }

  /** A 2xx is being repeated until its ACK. */
  answered(sequence: number, retransmission: AnswerRetransmission): void {
    this.#answers.get(sequence)?.stop();
    this.#answers.set(sequence, retransmission);
  }

  /** An ACK came. False when no 2xx waits for it: it is a repetition, or stray. */
  acknowledge(sequence: number): boolean {
    const answer = this.#answers.get(sequence);
    if (!answer) return false;
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
