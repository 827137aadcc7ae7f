import type { CancelTimer, Clock } from './environment.js';
import type { SipTimers } from './timers.js';

export interface AnswerRetransmissionOptions {
  readonly clock: Clock;
  readonly timers: SipTimers;
  readonly send: () => void;
  /** 64·T1 without an ACK: the dialog is to be ended with a BYE. */
  readonly gaveUp: () => void;
}

/**
 * The repetition of a 2xx to an INVITE until its ACK comes: after T1, doubling up to T2, for 64·T1
 * (RFC 3261 section 13.3.1.4). It runs on TCP too, where a hop further on may be UDP.
 * Starts when made; the first copy is the transaction's to send.
 */
export class AnswerRetransmission {
  readonly #options: AnswerRetransmissionOptions;
  #next: CancelTimer;
  readonly #giveUp: CancelTimer;

  constructor(options: AnswerRetransmissionOptions) {
    this.#options = options;
    this.#next = this.#repeatAfter(options.timers.t1Ms);
    this.#giveUp = options.clock.after(options.timers.timerHMs, () => {
      this.stop();
      options.gaveUp();
    });
  }

  /** The ACK came, or nobody cares any more. */
  stop(): void {
    this.#next();
    this.#giveUp();
  }

  #repeatAfter(intervalMs: number): CancelTimer {
    const { clock, timers, send } = this.#options;
    return clock.after(intervalMs, () => {
      this.#next = this.#repeatAfter(Math.min(intervalMs * 2, timers.t2Ms));
      send();
    });
  }
}
