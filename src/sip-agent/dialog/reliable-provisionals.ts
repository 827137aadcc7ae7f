import { randomInt } from 'node:crypto';
import type { StopTimer, AgentClock } from '../environment.js';
import type { RAck } from '../syntax/headers.js';
import type { SipResponse } from '../syntax/message.js';
import { addOptionTag, RELIABLE } from '../syntax/option-tags.js';
import type { SipTimers } from '../transaction/timers.js';

/** Reliable provisional responses to one INVITE: each is kept in memory. */
const MAX_RESPONSES = 32;
/** RFC 3262 section 3: the first RSeq is from 1 to 2^31 - 1. */
const MAX_FIRST_RSEQ = 2 ** 31 - MAX_RESPONSES;

export interface ReliableProvisionalsOptions {
  readonly clock: AgentClock;
  readonly timers: SipTimers;
  /** CSeq number of the INVITE. */
  readonly sequence: number;
  readonly send: (response: SipResponse) => void;
  /** 64·T1 without a PRACK: the INVITE is to be refused with a 5xx. */
  readonly gaveUp: () => void;
}

interface Provisional {
  readonly rseq: number;
  readonly response: SipResponse;
}

/**
 * Reliable provisional responses to one INVITE (RFC 3262 section 3): sent one after the other, each retransmitted after T1,
 * 2·T1 and so on until its PRACK, over any transport. A 2xx waits for the PRACK to an earlier session description.
 */
export class ReliableProvisionals {
  readonly #options: ReliableProvisionalsOptions;
  /** In order; the first one is being sent, the others wait. */
  readonly #queue: Provisional[] = [];
  /** RSeq numbers of responses that the final response overtook: a late PRACK for one is still accepted. */
  readonly #overtaken = new Set<number>();
  readonly #firstRseq = randomInt(1, MAX_FIRST_RSEQ);
  #made = 0;
  #held: (() => void) | undefined;
  #repetition: StopTimer = () => undefined;
  #deadline: StopTimer = () => undefined;

  constructor(options: ReliableProvisionalsOptions) {
    this.#options = options;
  }

  /** Whether a response with a session description still waits for its PRACK. */
  get holdsDescription(): boolean {
    return this.#queue.some(({ response }) => response.body.length > 0);
  }

  /** Whether a 2xx waits for a PRACK. */
  get holdsSuccess(): boolean {
    return this.#held !== undefined;
  }

  /**
   * Makes a response reliable and queues it. False: there are too many. Not to be called after the final response.
   */
  send(response: SipResponse): boolean {
    if (this.#made === MAX_RESPONSES) return false;
    const rseq = this.#firstRseq + this.#made++;
    addOptionTag(response, 'require', RELIABLE);
    response.set('rseq', String(rseq));
    this.#queue.push({ rseq, response });
    if (this.#queue.length === 1) this.#sendFirst();
    return true;
  }

  /** Calls `deliver` for a 2xx: at once, or when the earlier session descriptions are acknowledged. */
  sendSuccess(deliver: () => void): void {
    if (this.holdsDescription) {
      this.#held = deliver;
      return;
    }
    this.stop();
    deliver();
  }

  /** Whether a PRACK acknowledges one of these; if so, its retransmission ends. `proceed` has to be called next. */
  acknowledge({ rseq, sequence, method }: RAck): boolean {
    if (sequence !== this.#options.sequence || method !== 'INVITE') return false;
    if (this.#queue[0]?.rseq !== rseq) return this.#overtaken.delete(rseq);
    this.#queue.shift();
    this.#rest();
    return true;
  }

  /** After a PRACK: sends the next response. */
  proceed(): void {
    const held = this.holdsDescription ? undefined : this.#held;
    if (held) {
      this.stop();
      held();
    } else if (this.#queue.length > 0) {
      this.#sendFirst();
    }
  }

  /** The INVITE is answered, or the dialog has ended. */
  stop(): void {
    const [first] = this.#queue;
    if (first) this.#overtaken.add(first.rseq);
    this.#queue.length = 0;
    this.#held = undefined;
    this.#rest();
  }

  #sendFirst(): void {
    const { clock, timers, gaveUp } = this.#options;
    const [first] = this.#queue;
    if (!first) return;
    this.#rest();
    this.#deadline = clock.after(timers.timerHMs, () => {
      this.stop();
      gaveUp();
    });
    this.#repeatAfter(timers.t1Ms, first.response);
    this.#options.send(first.response);
  }

  #repeatAfter(intervalMs: number, response: SipResponse): void {
    this.#repetition = this.#options.clock.after(intervalMs, () => {
      this.#repeatAfter(intervalMs * 2, response);
      this.#options.send(response);
    });
  }

  #rest(): void {
    this.#repetition();
    this.#deadline();
  }
}
