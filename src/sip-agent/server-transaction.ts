import type { CancelTimer, Clock } from './environment.js';
import { ownedBytes } from './owned.js';
import type { SipTimers } from './timers.js';

export interface ServerTransactionOptions {
  readonly clock: Clock;
  readonly timers: SipTimers;
  /** True on TCP: nothing is retransmitted, and there is nothing to wait for at the end. */
  readonly reliable: boolean;
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

type InviteState = 'proceeding' | 'completed' | 'confirmed' | 'accepted' | 'terminated';

/** RFC 3261 section 17.2.1 with the accepted state of RFC 6026 section 7.1. */
export class InviteServerTransaction implements ServerTransaction {
  readonly #options: ServerTransactionOptions;
  #state: InviteState = 'proceeding';
  #lastResponse: Buffer | undefined;
  /** Timer G. */
  #retransmission: CancelTimer | undefined;
  /** Timer H, I or L, whichever the state has. */
  #end: CancelTimer | undefined;

  constructor(options: ServerTransactionOptions) {
    this.#options = options;
  }

  get open(): boolean {
    return this.#state === 'proceeding';
  }

  respond(status: number, bytes: Buffer): boolean {
    if (this.#state !== 'proceeding') return false;
    this.#lastResponse = bytes;
    this.#options.send(bytes);
    if (status >= 300) this.#complete(bytes);
    else if (status >= 200) this.#accept();
    return true;
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
    this.#retransmission?.();
    this.#end?.();
    this.#options.terminated();
  }

  #accept(): void {
    this.#state = 'accepted';
    this.#lastResponse = undefined;
    this.#endAfter(this.#options.timers.timerLMs);
  }

  #complete(bytes: Buffer): void {
    const { reliable, timers } = this.#options;
    this.#state = 'completed';
    if (!reliable) this.#retransmitAfter(timers.t1Ms, bytes);
    this.#endAfter(timers.timerHMs);
  }

  #confirm(): void {
    const { reliable, timers } = this.#options;
    this.#state = 'confirmed';
    this.#retransmission?.();
    this.#end?.();
    if (reliable) this.terminate();
    else this.#endAfter(timers.timerIMs);
  }

  #retransmitAfter(intervalMs: number, bytes: Buffer): void {
    const { clock, timers, send } = this.#options;
    this.#retransmission = clock.after(intervalMs, () => {
      this.#retransmitAfter(Math.min(intervalMs * 2, timers.t2Ms), bytes);
      send(bytes);
    });
  }

  #endAfter(delayMs: number): void {
    this.#end = this.#options.clock.after(delayMs, () => {
      this.terminate();
    });
  }
}

type NonInviteState = 'trying' | 'proceeding' | 'completed' | 'terminated';

/** RFC 3261 section 17.2.2. */
export class NonInviteServerTransaction implements ServerTransaction {
  readonly #options: ServerTransactionOptions;
  #state: NonInviteState = 'trying';
  #lastResponse: Buffer | undefined;
  /** First the deadline for our final response, then timer J. */
  #end: CancelTimer;

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

  #endAfter(delayMs: number): CancelTimer {
    return this.#options.clock.after(delayMs, () => {
      this.terminate();
    });
  }
}
