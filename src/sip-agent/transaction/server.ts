import type { StopTimer, AgentClock } from '../environment.js';
import { ownedBytes } from '../syntax/owned.js';
import type { SipTimers } from './timers.js';

export interface ServerTransactionOptions {
  readonly clock: AgentClock;
  readonly timers: SipTimers;
  /** True on TCP: nothing is retransmitted, and there is nothing to wait for at the end. */
  readonly reliable: boolean;
  /** Whether the peer has shown that it hears us; absent: it has. Asked when an INVITE is refused. */
  readonly isHeard?: (() => boolean) | undefined;
  readonly send: (bytes: Buffer) => void;
  /** Called once, when the transaction has forgotten everything. */
  readonly terminated: () => void;
}

/** What both kinds of server transaction offer to the layer above and below. */
export interface ServerTransaction {
  /** False once a final response was given (or the transaction has ended): another one would go nowhere. */
  readonly open: boolean;
  /** Sends a response as its state allows. False: refused, a final response was already given. */
  respond(status: number, bytes: Buffer): boolean;
  /** The request arrived once more. */
  receiveRetransmission(): void;
  /** Ends it at once: for an agent that stops. Does nothing the second time. */
  terminate(): void;
}

/**
 * How often a refusal is repeated to a peer never heard that has had a provisional response, and so has stopped to repeat its
 * INVITE.
 */
const MAX_REPETITIONS_UNHEARD = 2;

/**
 * How long a refusal that is not repeated is kept for copies of the INVITE, in T1: the first four copies (RFC 3261 section
 * 17.1.1.2) find it. A later one is refused anew, so that masses of forged INVITEs leave little behind.
 */
const STATELESS_FOR_T1 = 16;

type InviteServerState = 'proceeding' | 'completed' | 'confirmed' | 'accepted' | 'terminated';

/**
 * RFC 3261 section 17.2.1 with the accepted state of RFC 6026 section 7.1. To a peer never heard, who may be anybody whose
 * address somebody else has written on an INVITE, a refusal is sent as a stateless server sends it (sections 8.2.7 and
 * 26.3.2.4): once for each copy of the INVITE, which goes on coming as long as no answer arrives.
 */
export class InviteServerTransaction implements ServerTransaction {
  readonly #options: ServerTransactionOptions;
  #state: InviteServerState = 'proceeding';
  #lastResponse: Buffer | undefined;
  /** Says the 100 that is still to be said. */
  #sayTrying: (() => void) | undefined;
  #cancelTrying: StopTimer | undefined;
  /** Timer G. */
  #retransmission: StopTimer | undefined;
  /** Timer H, I or L, whichever the state has. */
  #end: StopTimer | undefined;

  constructor(options: ServerTransactionOptions) {
    this.#options = options;
  }

  get open(): boolean {
    return this.#state === 'proceeding';
  }

  respond(status: number, bytes: Buffer): boolean {
    if (this.#state !== 'proceeding') return false;
    // Peers expect it before whatever else is provisional.
    if (status > 100 && status < 200) this.#sayTrying?.();
    this.#forgetTrying();
    const isFirst = this.#lastResponse === undefined;
    this.#lastResponse = bytes;
    this.#options.send(bytes);
    if (status >= 300) this.#complete(ownedBytes(bytes), isFirst);
    else if (status >= 200) this.#accept();
    return true;
  }

  /** Says 100 within that time, unless the final response comes before. To be called once at most. */
  tryAfter(delayMs: number, trying: () => Buffer): void {
    this.#sayTrying = () => {
      this.#forgetTrying();
      this.respond(100, trying());
    };
    this.#cancelTrying = this.#options.clock.after(delayMs, this.#sayTrying);
  }

  receiveRetransmission(): void {
    // Accepted absorbs it: the 2xx is repeated by the dialog until the ACK, on its own schedule.
    if (this.#state !== 'proceeding' && this.#state !== 'completed') return;
    if (this.#lastResponse) this.#options.send(this.#lastResponse);
  }

  /** True: the ACK ended here. False: it acknowledges a 2xx and belongs to the dialog. */
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
    this.#sayTrying = undefined;
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

/** RFC 3261 section 17.2.2. */
export class NonInviteServerTransaction implements ServerTransaction {
  readonly #options: ServerTransactionOptions;
  #state: NonInviteServerState = 'trying';
  #lastResponse: Buffer | undefined;
  /** First the deadline for our final response, then timer J. */
  #end: StopTimer;

  constructor(options: ServerTransactionOptions) {
    this.#options = options;
    // The client's timer F ends its side then; a later answer, even a 408, would reach nobody (RFC 4320 section 4.2).
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
