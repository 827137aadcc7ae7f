import type { Route } from '../config/types.js';
import type { CallDialog, ReferOutcome } from '../signaling/sip-endpoint.js';
import { callEnd, type CallEnd } from './call-end.js';
import type { Report } from './call-reporter.js';

export interface CallerTransferOptions {
  /** From a REFER to its outcome. */
  readonly timeoutMs: number;
  readonly report: Report;
  /** Enters the state that `input` leads to; false when the call's state does not allow it. */
  readonly enter: (input: 'transfer' | 'transfer-failed') => boolean;
  readonly end: (end: CallEnd) => void;
}

/**
 * Transfers the caller by REFER (RFC 3515), one attempt at a time: because the caller asked for it, or because no agent is
 * left. When the transfer fails the call goes on with its agent, and without one it ends.
 */
export class CallerTransfer {
  readonly #options: CallerTransferOptions;
  #dialog: CallDialog | undefined;
  #isAnswerSent = false;
  /** Where to transfer the caller as soon as there is a dialog. */
  #uriOnceAnswered: string | undefined;
  #isUnderWay = false;
  /** The peer has accepted the REFER: a BYE from it now is the end of a transfer. */
  #isAccepted = false;
  /** How the call ends without an agent, unless the transfer succeeds. */
  #endWithoutAgent: CallEnd | undefined;

  constructor(options: CallerTransferOptions) {
    this.#options = options;
  }

  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** Our 200 is about to be sent: from now on the INVITE cannot be refused any more. */
  onAnswering(): void {
    this.#isAnswerSent = true;
  }

  onAnswered(dialog: CallDialog): void {
    this.#dialog = dialog;
    if (this.#uriOnceAnswered !== undefined) this.transfer(this.#uriOnceAnswered);
  }

  /** Another dialog has replaced the one answered (RFC 3891). */
  onReplaced(dialog: CallDialog): void {
    this.#dialog = dialog;
  }

  /** Sends the REFER to `uri`, if the call's state allows it. */
  transfer(uri: string): void {
    const { timeoutMs, report, enter } = this.#options;
    if (!this.#dialog || !enter('transfer')) return;
    this.#isUnderWay = true;
    this.#isAccepted = false;
    report({ event: 'call.transferring', referTo: uri });
    const outcome = this.#dialog.refer(uri, {
      timeoutMs,
      onProgress: (status) => {
        this.#isAccepted = true;
        report({ event: 'call.transfer_progress', status });
      },
    });
    void outcome.then((known) => this.#onOutcome(known));
  }

  /**
   * No agent is left: transfers the caller to `uri`, or ends the call with `end` where there is no `uri`, and before the
   * answer, where a 302 does the same.
   */
  transferOrEnd(uri: string | undefined, end: CallEnd): void {
    if (!this.#isUnderWay && (uri === undefined || !this.#isAnswerSent)) {
      this.#options.end(end);
      return;
    }
    this.#endWithoutAgent = end;
    if (this.#isUnderWay || uri === undefined) return; // the outcome of the present transfer decides
    if (this.#dialog) this.transfer(uri);
    else this.#uriOnceAnswered = uri;
  }

  /** The end of a call whose caller hangs up now. */
  endByCaller(): CallEnd {
    if (!this.#isUnderWay || !this.#isAccepted) return callEnd.callerHangup();
    return callEnd.transferred('the caller hung up after accepting the REFER', this.#endWithoutAgent);
  }

  #onOutcome({ transferred, detail }: ReferOutcome): void {
    const { report, enter, end } = this.#options;
    this.#isUnderWay = false;
    if (transferred) {
      end(callEnd.transferred(detail, this.#endWithoutAgent));
    } else if (enter('transfer-failed')) {
      report({ event: 'call.transfer_failed', detail });
      if (this.#endWithoutAgent) end(callEnd.transferFailed(detail, this.#endWithoutAgent));
    }
  }
}

/** Where the route transfers a caller whose agent has ended the call; undefined where that ends it. */
export const referOnAgentEnd = ({ onAgentEnd }: Route): string | undefined =>
  onAgentEnd === 'hangup' ? undefined : onAgentEnd.refer;

/** Where the route sends a caller for whom no agent is left; undefined where it refuses the call. */
export const redirectOf = ({ fallback }: Route): string | undefined =>
  fallback && 'redirect' in fallback ? fallback.redirect : undefined;
