import type { StopTimer, AgentClock } from '../environment.js';
import type { SipTimers } from '../transaction/timers.js';

export interface AnswerRetransmissionOptions {
  readonly clock: AgentClock;
  readonly timers: SipTimers;
  /** Whether the peer is proven reachable, see `HeardPeers`; absent: it is. */
  readonly heard?: boolean | undefined;
  readonly send: () => void;
  /** 64·T1 without an ACK: the dialog is to be ended with a BYE. */
  readonly gaveUp: () => void;
}

/** Retransmissions to an unproven peer: the last one after 31·T1. */
const MAX_REPETITIONS_UNHEARD = 5;

/**
 * Retransmission of a 2xx to an INVITE until its ACK (RFC 3261 section 13.3.1.4): after T1, doubling up to T2, for
 * 64·T1. It runs on TCP too, where a later hop may use UDP. To an unproven peer, whose address may be forged, the
 * interval doubles beyond T2, so that half as many are sent. Starts when created; the transaction sends the first copy.
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

  /** The ACK was received, or the dialog has ended. */
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
