import type { Flow } from '../transport/flow.js';
import { parseRSeq } from '../syntax/headers.js';
import type { SipResponse } from '../syntax/message.js';
import { hasOptionTag, RELIABLE } from '../syntax/option-tags.js';
import type { OutgoingInvite, ReceivedResponse } from '../transaction/outgoing-request.js';

/** Forks of one INVITE whose responses are heeded; a proxy has no reason to make more. */
const MAX_FORKS = 8;

/** An INVITE of ours from its sending to the end of what its 2xx may still demand. */
export class SentInvite {
  invite: OutgoingInvite | undefined;
  /** Whether its final response is still to come. */
  pending = true;
  /** Dialogs that further 2xx responses of a forked INVITE made, by their To tag: the way to repeat each one's ACK. */
  readonly #forks = new Map<string, () => void>();
  /** RSeq of the last reliable provisional response of each fork, by its To tag. */
  readonly #lastRseq = new Map<string, number>();
  #answeredEarly = false;
  /** The ACK for its 2xx, once there is one, and the flow it went by: every further 2xx gets it again. */
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

  /** Its offer has no answer yet; only a reliable response is one (RFC 3261 section 13.2.1). */
  get awaitsAnswer(): boolean {
    return this.pending && this.offers && !this.#answeredEarly;
  }

  /** A reliable provisional response came that a PRACK may acknowledge. */
  get reliablyAnswered(): boolean {
    return this.#lastRseq.size > 0;
  }

  /**
   * Whether a provisional response is to be heeded: one that is reliable has to come in order, once (RFC 3262 section 4).
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

  /** Another fork has answered as well: `release` ends it, once, and returns the way to repeat its ACK. */
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
