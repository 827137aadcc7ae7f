import type { Flow } from '../transport/flow.js';
import { parseRSeq } from '../syntax/headers.js';
import type { SipResponse } from '../syntax/message.js';
import { hasOptionTag, RELIABLE } from '../syntax/option-tags.js';
import type { OutgoingInvite, ReceivedResponse } from '../transaction/outgoing-request.js';

/** Forks of one INVITE whose responses are handled; no sound proxy makes more. */
const MAX_FORKS = 8;

/** An INVITE of ours, until no further 2xx can arrive for it. */
export class SentInvite {
  invite: OutgoingInvite | undefined;
  /** Whether it has no final response yet. */
  pending = true;
  /** Dialogs of further 2xx responses to a forked INVITE, by To tag: a function that retransmits the ACK of each. */
  readonly #forks = new Map<string, () => void>();
  /** RSeq of the last reliable provisional response of each fork, by To tag. */
  readonly #lastRseq = new Map<string, number>();
  #answeredEarly = false;
  /** The ACK for the 2xx, and its flow: a retransmitted 2xx gets it again. */
  #ack: { readonly bytes: Buffer; readonly flow: Flow } | undefined;

  constructor(
    readonly sequence: number,
    /** Whether it carries an offer. */
    readonly offers: boolean,
  ) {}

  /** A 2xx waits for the client's ACK. */
  get awaitsAck(): boolean {
    return !this.pending && !this.#ack;
  }

  /** Its offer is unanswered; only a reliable response can hold the answer (RFC 3261 section 13.2.1). */
  get awaitsAnswer(): boolean {
    return this.pending && this.offers && !this.#answeredEarly;
  }

  /** A reliable provisional response was received, which a PRACK may acknowledge. */
  get reliablyAnswered(): boolean {
    return this.#lastRseq.size > 0;
  }

  /**
   * Whether a provisional response is accepted: a reliable one has to be in order and new (RFC 3262 section 4).
   */
  takeProvisional({ message, envelope }: ReceivedResponse): boolean {
    const rseq = reliableNumber(message);
    if (rseq === undefined) return true;
    const { tag } = envelope.to;
    const last = tag === undefined ? undefined : this.#lastRseq.get(tag);
    const inOrder = last === undefined ? this.#lastRseq.size < MAX_FORKS : rseq === last + 1;
    if (tag === undefined || !inOrder) return false;
    this.#lastRseq.set(tag, rseq);
    if (message.body.length > 0) this.#answeredEarly = true;
    return true;
  }

  acknowledged(bytes: Buffer, flow: Flow): void {
    this.#ack = { bytes, flow };
  }

  repeatAck(): void {
    this.#ack?.flow.send(this.#ack.bytes);
  }

  /** A 2xx of another fork. `release` ends that fork, once, and returns a function that retransmits its ACK. */
  releaseFork(tag: string, release: () => () => void): void {
    const repeatAck = this.#forks.get(tag);
    if (repeatAck) repeatAck();
    else if (this.#forks.size < MAX_FORKS) this.#forks.set(tag, release());
  }
}

/** The RSeq of a response that is reliable (RFC 3262 section 4). */
function reliableNumber(response: SipResponse): number | undefined {
  const value = response.get('rseq');
  return value === undefined || !hasOptionTag(response, 'require', RELIABLE) ? undefined : parseRSeq(value);
}
