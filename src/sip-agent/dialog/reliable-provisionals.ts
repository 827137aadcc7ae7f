import { randomInt } from 'node:crypto';
import type { StopTimer, AgentClock } from '../environment.js';
import type { RAck } from '../syntax/headers.js';
import type { SipResponse } from '../syntax/message.js';
import { addOptionTag, RELIABLE } from '../syntax/option-tags.js';
import type { SipTimers } from '../transaction/timers.js';

/** Reliable provisional responses one INVITE may get: each has to be remembered. */
const MAX_RESPONSES = 32;
/** RFC 3262 section 3: the first RSeq is from 1 to 2^31 - 1. */
const MAX_FIRST_RSEQ = 2 ** 31 - MAX_RESPONSES;

export interface ReliableProvisionalsOptions {
  readonly clock: AgentClock;
  readonly timers: SipTimers;
  /** CSeq number of the INVITE they answer. */
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
 * The provisional responses to one INVITE that are sent until their PRACK comes (RFC 3262 section 3): one after the other,
 * each repeated after T1, 2·T1 and so on, over any transport. A 2xx waits for the session descriptions before it.
 */
export class ReliableProvisionals {
  readonly #options: ReliableProvisionalsOptions;
  /** In order; the first of them is on its way, the others wait. */
  readonly #queue: Provisional[] = [];
  /** RSeq numbers of what was sent and then overtaken by the final response: a late PRACK for one is still answered. */
  readonly #overtaken = new Set<number>();
  readonly #firstRseq = randomInt(1, MAX_FIRST_RSEQ);
  #made = 0;
  #held: (() => void) | undefined;
  #repetition: StopTimer = () => undefined;
  #deadline: StopTimer = () => undefined;

  constructor(options: ReliableProvisionalsOptions) {
    this.#options = options;
  }

  /** Whether one with a session description still waits for its PRACK. */
  get holdsDescription(): boolean {
    return this.#queue.some(({ response }) => response.body.length > 0);
  }

  /** Whether a 2xx waits for a PRACK. */
  get holdsSuccess(): boolean {
    return this.#held !== undefined;
  }

  /**
   * Makes a response reliable, and sends it when its turn comes. False: there have been too many.
   * Not to be called after the final response.
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

  /** A 2xx is to be sent: now, or when the session descriptions before it have been acknowledged. */
  sendSuccess(deliver: () => void): void {
    if (this.holdsDescription) {
      this.#held = deliver;
      return;
    }
    this.stop();
    deliver();
  }

  /** Whether it is for one of these that a PRACK came; if so, that one is repeated no more. `proceed` has to follow. */
  acknowledge({ rseq, sequence, method }: RAck): boolean {
    if (sequence !== this.#options.sequence || method !== 'INVITE') return false;
    if (this.#queue[0]?.rseq !== rseq) return this.#overtaken.delete(rseq);
    this.#queue.shift();
    this.#rest();
    return true;
  }

  /** After a PRACK: sends what waited for it. */
  proceed(): void {
    const held = this.holdsDescription ? undefined : this.#held;
    if (held) {
      this.stop();
      held();
    } else if (this.#queue.length > 0) {
      this.#sendFirst();
    }
  }

  /** The INVITE is answered, or nobody cares any more. */
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
