import type { StopTimer, AgentClock } from '../environment.js';
import { isSuccess } from '../syntax/responses.js';
import type { SipTimers } from './timers.js';

/** Why a request gets no final response. */
export type ClientFailure = 'timeout' | 'transport';

/** The part of a response that a transaction needs. */
export interface AnyResponse {
  readonly status: number;
}

export interface ClientTransactionOptions<R extends AnyResponse> {
  readonly clock: AgentClock;
  readonly timers: SipTimers;
  readonly reliable: boolean;
  readonly request: Buffer;
  readonly send: (bytes: Buffer) => void;
  /** Every provisional response, the first final one, and for an INVITE each repetition of a 2xx. */
  readonly response: (response: R) => void;
  /** Instead of a final response. */
  readonly failed: (failure: ClientFailure) => void;
  /** Called once, last. */
  readonly terminated: () => void;
}

export interface InviteClientTransactionOptions<R extends AnyResponse> extends ClientTransactionOptions<R> {
  /** The ACK that answers a final response other than 2xx (RFC 3261 section 17.1.1.3). */
  readonly ackFor: (response: R) => Buffer;
  /** Timer C fired: it rings for too long, the INVITE is to be cancelled. */
  readonly ringingTooLong: () => void;
}

export interface ClientTransaction<R extends AnyResponse> {
  start(): void;
  receive(response: R): void;
  /** The flow cannot carry the request (RFC 3261 section 8.1.3.1). */
  transportFailed(): void;
  /** Ends the transaction at once and sends nothing: for an agent that stops. Idempotent. */
  terminate(): void;
}

type InviteClientState = 'calling' | 'proceeding' | 'completed' | 'accepted' | 'terminated';

/** INVITE client transaction: RFC 3261 section 17.1.1 with the accepted state of RFC 6026 section 7.2. */
export class InviteClientTransaction<R extends AnyResponse> implements ClientTransaction<R> {
  readonly #options: InviteClientTransactionOptions<R>;
  #state: InviteClientState = 'calling';
  #ack: Buffer | undefined;
  /** Timer A. */
  #retransmission: StopTimer | undefined;
  /** Timer B, C, D or M, depending on the state. */
  #deadline: StopTimer | undefined;
  #cancelled = false;

  constructor(options: InviteClientTransactionOptions<R>) {
    this.#options = options;
  }

  get state(): InviteClientState {
    return this.#state;
  }

  start(): void {
    const { reliable, timers, request, send } = this.#options;
    if (!reliable) this.#retransmitAfter(timers.t1Ms);
    this.#setDeadline(timers.timerBMs, () => this.#fail('timeout'));
    send(request);
  }

  receive(response: R): void {
    if (this.#state === 'calling' || this.#state === 'proceeding') this.#receiveWhilePending(response);
    else if (this.#state === 'accepted' && isSuccess(response.status)) this.#options.response(response);
    else if (this.#state === 'completed' && response.status >= 300 && this.#ack) this.#options.send(this.#ack);
  }

  transportFailed(): void {
    // After a first response the peer has the request, and may send further responses over another flow.
    if (this.#state === 'calling') this.#fail('transport');
  }

  /** A CANCEL was sent: without a final response within 64·T1 the INVITE has failed (RFC 3261 section 9.1). */
  expectEndAfterCancel(): void {
    if (this.#state !== 'proceeding') return;
    this.#cancelled = true;
    this.#setDeadline(this.#options.timers.timerBMs, () => this.#fail('timeout'));
  }

  terminate(): void {
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    this.#ack = undefined;
    this.#retransmission?.();
    this.#deadline?.();
    this.#options.terminated();
  }

  #receiveWhilePending(response: R): void {
    if (response.status < 200) this.#proceed();
    else if (isSuccess(response.status)) this.#accept();
    else this.#complete(response);
    this.#options.response(response);
    if (this.#state === 'completed' && this.#options.reliable) this.terminate();
  }

  #proceed(): void {
    this.#state = 'proceeding';
    this.#retransmission?.();
    if (this.#cancelled) return;
    this.#setDeadline(this.#options.timers.timerCMs, this.#options.ringingTooLong);
  }

  #accept(): void {
    this.#state = 'accepted';
    this.#retransmission?.();
    this.#setDeadline(this.#options.timers.timerMMs, () => this.terminate());
  }

  #complete(response: R): void {
    this.#state = 'completed';
    this.#retransmission?.();
    this.#ack = this.#options.ackFor(response);
    this.#options.send(this.#ack);
    this.#setDeadline(this.#options.timers.timerDMs, () => this.terminate());
  }

  #fail(failure: ClientFailure): void {
    this.#options.failed(failure);
    this.terminate();
  }

  #retransmitAfter(intervalMs: number): void {
    const { clock, send, request } = this.#options;
    this.#retransmission = clock.after(intervalMs, () => {
      this.#retransmitAfter(intervalMs * 2);
      send(request);
    });
  }

  #setDeadline(delayMs: number, fire: () => void): void {
    this.#deadline?.();
    this.#deadline = this.#options.clock.after(delayMs, fire);
  }
}

type NonInviteClientState = 'trying' | 'proceeding' | 'completed' | 'terminated';

/** Non-INVITE client transaction (RFC 3261 section 17.1.2). */
export class NonInviteClientTransaction<R extends AnyResponse> implements ClientTransaction<R> {
  readonly #options: ClientTransactionOptions<R>;
  #state: NonInviteClientState = 'trying';
  /** Timer E. */
  #retransmission: StopTimer | undefined;
  /** Timer F, then K. */
  #deadline: StopTimer | undefined;

  constructor(options: ClientTransactionOptions<R>) {
    this.#options = options;
  }

  start(): void {
    const { clock, reliable, timers, request, send } = this.#options;
    if (!reliable) this.#retransmitAfter(timers.t1Ms);
    this.#deadline = clock.after(timers.timerFMs, () => this.#fail('timeout'));
    send(request);
  }

  receive(response: R): void {
    if (this.#state !== 'trying' && this.#state !== 'proceeding') return;
    this.#state = response.status < 200 ? 'proceeding' : 'completed';
    if (this.#state === 'completed') this.#complete();
    this.#options.response(response);
    if (this.#state === 'completed' && this.#options.reliable) this.terminate();
  }

  transportFailed(): void {
    if (this.#state === 'trying') this.#fail('transport');
  }

  terminate(): void {
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    this.#retransmission?.();
    this.#deadline?.();
    this.#options.terminated();
  }

  #complete(): void {
    const { clock, timers } = this.#options;
    this.#retransmission?.();
    this.#deadline?.();
    // Timer K: retransmitted responses are absorbed. On a reliable transport it is 0, see receive().
    this.#deadline = clock.after(timers.timerKMs, () => this.terminate());
  }

  #fail(failure: ClientFailure): void {
    this.#options.failed(failure);
    this.terminate();
  }

  #retransmitAfter(intervalMs: number): void {
    const { clock, timers, send, request } = this.#options;
    this.#retransmission = clock.after(intervalMs, () => {
      const nextMs = this.#state === 'proceeding' ? timers.t2Ms : Math.min(intervalMs * 2, timers.t2Ms);
      this.#retransmitAfter(nextMs);
      send(request);
    });
  }
}
