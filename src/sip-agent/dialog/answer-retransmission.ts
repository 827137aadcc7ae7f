import type { StopTimer, AgentClock } from '../environment.js';
import type { SipTimers } from '../transaction/timers.js';

export interface AnswerRetransmissionOptions {
  readonly clock: AgentClock;
  readonly timers: SipTimers;
  /** Whether the peer has shown that it hears us; absent: it has. */
  readonly heard?: boolean | undefined;
  readonly send: () => void;
  /** 64·T1 without an ACK: the dialog is to be ended with a BYE. */
  readonly gaveUp: () => void;
}

/** Repetitions to a peer never heard: the last of them after 31 times T1. */
const MAX_REPETITIONS_UNHEARD = 5;

/**
 * The repetition of a 2xx to an INVITE until its ACK comes: after T1, doubling up to T2, for 64·T1
 * (RFC 3261 section 13.3.1.4). It runs on TCP too, where a hop further on may be UDP. To a peer never heard, who may be anybody
 * whose address somebody else has written on the INVITE, the interval doubles beyond T2, so that half as many go out.
 * Starts when made; the first copy is the transaction's to send.
 */
export class AnswerRetransmission {
  readonly #options: AnswerRetransmissionOptions;
  #next: StopTimer;
  readonly #giveUp: StopTimer;

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

  #repeatAfter(intervalMs: number, sent = 0): StopTimer {
    const { clock, timers, heard = true, send } = this.#options;
    if (!heard && sent === MAX_REPETITIONS_UNHEARD) return () => undefined;
    const nextMs = heard ? Math.min(intervalMs * 2, timers.t2Ms) : intervalMs * 2;
    return clock.after(intervalMs, () => {
      this.#next = this.#repeatAfter(nextMs, sent + 1);
      send();
    });
  }
}
