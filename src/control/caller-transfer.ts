import type { CallDialog, ReferOutcome } from '../signaling/sip-endpoint.js';
import { callEnd, type CallEnd } from './call-end.js';
import type { Report } from './call-reporter.js';

export interface CallerTransferOptions {
  readonly timeoutMs: number;
  readonly report: Report;
  /** Whether the call may be in the state this leads to. */
  readonly enter: (input: 'transfer' | 'transfer-failed') => boolean;
  readonly end: (end: CallEnd) => void;
}

/**
 * Sends a call's caller on to somebody else by REFER, one attempt at a time: because they asked for it, or for want of an
 * agent. When it fails the call goes on with its agent, and without one it ends.
 */
export class CallerTransfer {
  readonly #options: CallerTransferOptions;
  #dialog: CallDialog | undefined;
  #answerSent = false;
  /** Where to, as soon as there is a dialog to do so in. */
  #onceAnswered: string | undefined;
  #underWay = false;
  /** The peer has taken it on: when it hangs up now, that is how it lets go of us. */
  #accepted = false;
  /** How the call would have ended for want of an agent, had its caller not been sent on. */
  #withoutAgent: CallEnd | undefined;

  constructor(options: CallerTransferOptions) {
    this.#options = options;
  }

  get underWay(): boolean {
    return this.#underWay;
  }

  /** Our 200 is on its way: the call cannot be refused any more. */
  answering(): void {
    this.#answerSent = true;
  }

  answered(dialog: CallDialog): void {
    this.#dialog = dialog;
    if (this.#onceAnswered !== undefined) this.to(this.#onceAnswered);
  }

  /** Another dialog has taken the place of the one answered. */
  movedTo(dialog: CallDialog): void {
    this.#dialog = dialog;
  }

  /** Sends the caller to `uri`, if the call is in a state for it. */
  to(uri: string): void {
    const { timeoutMs, report, enter } = this.#options;
    if (!this.#dialog || !enter('transfer')) return;
    this.#underWay = true;
    this.#accepted = false;
    report({ event: 'call.transferring', referTo: uri });
    const outcome = this.#dialog.refer(uri, {
      timeoutMs,
      onProgress: (status) => {
        this.#accepted = true;
        report({ event: 'call.transfer_progress', status });
      },
    });
    void outcome.then((known) => this.#onOutcome(known));
  }

  /**
   * No agent is left, which ends the call with `end` unless the caller can be sent to `uri`. Not before the answer: a
   * refusal does that then (302).
   */
  insteadOf(end: CallEnd, uri: string | undefined): void {
    if (!this.#underWay && (uri === undefined || !this.#answerSent)) {
      this.#options.end(end);
      return;
    }
    this.#withoutAgent = end;
    if (this.#underWay || uri === undefined) return; // its outcome decides
    if (this.#dialog) this.to(uri);
    else this.#onceAnswered = uri;
  }

  /** What it means that the caller hangs up now. */
  endByCaller(): CallEnd {
    if (!this.#underWay || !this.#accepted) return callEnd.callerHangup();
    return callEnd.transferred('the caller hung up after accepting the REFER', this.#withoutAgent);
  }

  #onOutcome({ transferred, detail }: ReferOutcome): void {
    const { report, enter, end } = this.#options;
    this.#underWay = false;
    if (transferred) {
      end(callEnd.transferred(detail, this.#withoutAgent));
    } else if (enter('transfer-failed')) {
      report({ event: 'call.transfer_failed', detail });
      if (this.#withoutAgent) end(callEnd.transferFailed(detail, this.#withoutAgent));
    }
  }
}
