import type { StopTimer, AgentClock } from '../environment.js';
import { ownedBytes } from '../syntax/owned.js';
import type { SipTimers } from './timers.js';

export interface ServerTransactionOptions {
  readonly clock: AgentClock;
  readonly timers: SipTimers;
  /** True on TCP and TLS: nothing is retransmitted, and no retransmission has to be absorbed at the end. */
  readonly reliable: boolean;
  /** Whether the peer is proven reachable, see `HeardPeers`; absent: it is. Called when an INVITE is refused. */
  readonly isHeard?: (() => boolean) | undefined;
  readonly send: (bytes: Buffer) => void;
  /** Called once, when the transaction has ended. */
  readonly terminated: () => void;
}

/** The common interface of both kinds of server transaction. */
export interface ServerTransaction {
  /** False after a final response, or when the transaction has ended: no further response can be sent. */
  readonly open: boolean;
  /** Sends a response, if the state allows it. False: a final response was already sent. */
  respond(status: number, bytes: Buffer): boolean;
  /** The request was received again. */
  receiveRetransmission(): void;
  /** Ends the transaction at once: for an agent that stops. Idempotent. */
  terminate(): void;
}

/**
 * Retransmissions of a refusal to an unproven peer that received a provisional response, and therefore no longer retransmits
 * its INVITE.
 */
const MAX_REPETITIONS_UNHEARD = 2;

/**
 * How long a refusal that is not retransmitted is kept, in units of T1: the first four copies of the INVITE (RFC 3261 section
 * 17.1.1.2) get it again. A later copy is refused anew, so that floods of forged INVITEs leave little state.
 */
const STATELESS_FOR_T1 = 16;

type InviteServerState = 'proceeding' | 'completed' | 'confirmed' | 'accepted' | 'terminated';

/**
 * INVITE server transaction: RFC 3261 section 17.2.1 with the accepted state of RFC 6026 section 7.1. To an unproven peer,
 * whose address may be forged, a refusal is sent as a stateless server does (sections 8.2.7 and 26.3.2.4): once for each copy
 * of the INVITE, which the peer retransmits until it gets a response. So no forged address can be flooded.
 */
export class InviteServerTransaction implements ServerTransaction {
  readonly #options: ServerTransactionOptions;
  #state: InviteServerState = 'proceeding';
  #lastResponse: Buffer | undefined;
  /** Sends the 100 that is still due. */
  #sendTrying: (() => void) | undefined;
  #cancelTrying: StopTimer | undefined;
  /** Timer G. */
  #retransmission: StopTimer | undefined;
  /** Timer H, I or L, depending on the state. */
  #end: StopTimer | undefined;

  constructor(options: ServerTransactionOptions) {
    this.#options = options;
  }

  get open(): boolean {
    return this.#state === 'proceeding';
  }

  respond(status: number, bytes: Buffer): boolean {
    if (this.#state !== 'proceeding') return false;
    // Peers expect the 100 before any other provisional response.
    if (status > 100 && status < 200) this.#sendTrying?.();
    this.#forgetTrying();
    const isFirst = this.#lastResponse === undefined;
    this.#lastResponse = bytes;
    this.#options.send(bytes);
    if (status >= 300) this.#complete(ownedBytes(bytes), isFirst);
    else if (status >= 200) this.#accept();
    return true;
  }

  /** Sends a 100 after that time, unless another response is sent before. To be called at most once. */
  tryAfter(delayMs: number, trying: () => Buffer): void {
    this.#sendTrying = () => {
      this.#forgetTrying();
      this.respond(100, trying());
    };
    this.#cancelTrying = this.#options.clock.after(delayMs, this.#sendTrying);
  }

  receiveRetransmission(): void {
    // In the accepted state it is absorbed: the dialog retransmits the 2xx until the ACK.
    if (this.#state !== 'proceeding' && this.#state !== 'completed') return;
    if (this.#lastResponse) this.#options.send(this.#lastResponse);
  }

  /** True: the ACK belongs to this transaction. False: it acknowledges a 2xx and belongs to the dialog. */
  receiveAck(): boolean {
    if (this.#state === 'accepted') return false;
    if (this.#state === 'completed') this.#confirm();
    return true;
  }

  terminate(): void {
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    this.#lastResponse = undefined;
    this.#forgetTrying();
    this.#retransmission?.();
    this.#end?.();
    this.#options.terminated();
  }

  #forgetTrying(): void {
    this.#cancelTrying?.();
    this.#cancelTrying = undefined;
    this.#sendTrying = undefined;
  }

  #accept(): void {
    this.#state = 'accepted';
    this.#lastResponse = undefined;
    this.#endAfter(this.#options.timers.timerLMs);
  }

  #complete(bytes: Buffer, isFirst: boolean): void {
    const { reliable, timers, isHeard } = this.#options;
    this.#state = 'completed';
    this.#lastResponse = bytes;
    const most = (isHeard?.() ?? true) ? Infinity : isFirst ? 0 : MAX_REPETITIONS_UNHEARD;
    if (!reliable) this.#retransmitAfter(timers.t1Ms, bytes, most);
    this.#endAfter(most === 0 && !reliable ? STATELESS_FOR_T1 * timers.t1Ms : timers.timerHMs);
  }

  #confirm(): void {
    const { reliable, timers } = this.#options;
    this.#state = 'confirmed';
    this.#lastResponse = undefined;
    this.#retransmission?.();
    this.#end?.();
    if (reliable) this.terminate();
    else this.#endAfter(timers.timerIMs);
  }

  #retransmitAfter(intervalMs: number, bytes: Buffer, left: number): void {
    if (left === 0) return;
    const { clock, timers, send } = this.#options;
    this.#retransmission = clock.after(intervalMs, () => {
      this.#retransmitAfter(Math.min(intervalMs * 2, timers.t2Ms), bytes, left - 1);
      send(bytes);
    });
  }

  #endAfter(delayMs: number): void {
    this.#end = this.#options.clock.after(delayMs, () => this.terminate());
  }
}

type NonInviteServerState = 'trying' | 'proceeding' | 'completed' | 'terminated';

/** Non-INVITE server transaction (RFC 3261 section 17.2.2). */
export class NonInviteServerTransaction implements ServerTransaction {
  readonly #options: ServerTransactionOptions;
  #state: NonInviteServerState = 'trying';
  #lastResponse: Buffer | undefined;
  /** First the deadline for our final response, then timer J. */
  #end: StopTimer;

  constructor(options: ServerTransactionOptions) {
    this.#options = options;
    // By then the client's timer F has ended its transaction; a later response, even a 408, is useless (RFC 4320
    // section 4.2).
    this.#end = this.#endAfter(options.timers.timerFMs);
  }

  get open(): boolean {
    return this.#state === 'trying' || this.#state === 'proceeding';
  }

  respond(status: number, bytes: Buffer): boolean {
    if (!this.open) return false;
    this.#state = status < 200 ? 'proceeding' : 'completed';
    this.#options.send(bytes);
    if (status < 200) this.#lastResponse = bytes;
    else this.#complete(bytes);
    return true;
  }

  receiveRetransmission(): void {
    if (this.#lastResponse) this.#options.send(this.#lastResponse);
  }

  terminate(): void {
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    this.#lastResponse = undefined;
    this.#end();
    this.#options.terminated();
  }

  #complete(bytes: Buffer): void {
    this.#end();
    if (this.#options.reliable) {
      this.terminate();
      return;
    }
    this.#lastResponse = ownedBytes(bytes);
    this.#end = this.#endAfter(this.#options.timers.timerJMs);
  }

  #endAfter(delayMs: number): StopTimer {
    return this.#options.clock.after(delayMs, () => this.terminate());
  }
}
