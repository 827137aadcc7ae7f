import type { DigestClient } from '../../src/signaling/auth/digest-client.js';
import type { DialogId } from '../../src/signaling/replaces.js';
import type {
  CallDialog,
  DialogHandlers,
  IncomingInvite,
  ReferOptions,
  ReferOutcome,
  SipAddress,
  SipRejection,
} from '../../src/signaling/sip-endpoint.js';

export interface FakeInviteOptions {
  readonly callId?: string;
  readonly number?: string;
  /** User of the To, when it is another one. */
  readonly to?: string;
  readonly from?: string;
  readonly offer?: string | undefined;
  /** Where the INVITE comes from. */
  readonly address?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The 200 is not confirmed before the test says so. */
  readonly holdAnswer?: boolean;
}

interface PendingAnswer {
  readonly resolve: (dialog: FakeDialog) => void;
  readonly reject: (error: Error) => void;
  readonly dialog: FakeDialog;
}

let lastId = 0;

/** The caller's side of one call, as `SipEndpoint` promises it: what we send it is noted, what it does the test says. */
export class FakeInvite implements IncomingInvite {
  readonly callId: string;
  readonly from: SipAddress;
  to: SipAddress;
  readonly requestUri: SipAddress;
  readonly source: { readonly address: string; readonly port: number; readonly protocol: string };
  readonly localAddress = '198.51.100.4';
  readonly offer: string | undefined;
  onCancel: (() => void) | undefined;
  digest: DigestClient | undefined;

  rings = 0;
  readonly rejections: SipRejection[] = [];
  /** SDP of each 200. */
  readonly answers: string[] = [];
  dialog: FakeDialog | undefined;
  canceled = false;
  /** Thrown by `reject`. */
  rejectFault: Error | undefined;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #holdAnswer: boolean;
  #pending: PendingAnswer | undefined;

  constructor({ callId, number = '15551234', from = 'alice', headers = {}, ...options }: FakeInviteOptions = {}) {
    this.callId = callId ?? `call-${++lastId}@192.0.2.7`;
    this.from = { uri: `sip:${from}@192.0.2.7`, user: from };
    this.requestUri = { uri: `sip:${number}@198.51.100.4`, user: number };
    const to = options.to ?? number;
    this.to = { uri: `sip:${to}@198.51.100.4`, user: to };
    this.offer = options.offer;
    this.source = { address: options.address ?? '192.0.2.7', port: 5060, protocol: 'udp' };
    this.#headers = headers;
    this.#holdAnswer = options.holdAnswer ?? false;
  }

  header(name: string): string | undefined {
    return this.#headers[name.toLowerCase()];
  }

  ring(): void {
    if (this.finals > 0) throw new Error('180 after a final response');
    this.rings += 1;
  }

  reject(rejection: SipRejection): void {
    if (this.rejectFault) throw this.rejectFault;
    // As promised: nothing happens once there is a final response.
    if (this.finals === 0) this.rejections.push(rejection);
  }

  answer(localSdp: string, handlers: DialogHandlers): Promise<CallDialog> {
    if (this.finals > 0) return Promise.reject(new Error('the INVITE is gone'));
    this.answers.push(localSdp);
    const dialog = new FakeDialog(handlers, this.callId);
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject, dialog };
      if (!this.#holdAnswer) this.confirmAnswer();
    });
  }

  /** The 200 has gone out. */
  confirmAnswer(): void {
    const pending = this.#takePending();
    this.dialog = pending.dialog;
    pending.resolve(pending.dialog);
  }

  /** The 200 could not be sent. */
  failAnswer(why: string): void {
    this.#takePending().reject(new Error(why));
  }

  /** CANCEL. While the 200 is on its way it wins, as it does in drachtio: the answer fails. */
  cancel(): void {
    if (this.canceled || this.rejections.length > 0 || this.dialog) throw new Error('CANCEL after a final response');
    this.canceled = true;
    this.#pending?.reject(new Error('Request Terminated'));
    this.#pending = undefined;
    this.onCancel?.();
  }

  /** In the dialog that is being confirmed: what comes right behind our 200. */
  get early(): FakeDialog {
    if (!this.#pending) throw new Error('no answer on its way');
    return this.#pending.dialog;
  }

  /** Final responses the caller has got; there must be one in the end. */
  get finals(): number {
    return this.rejections.length + (this.canceled ? 1 : this.answers.length);
  }

  #takePending(): PendingAnswer {
    const pending = this.#pending;
    if (!pending) throw new Error('no answer on its way');
    this.#pending = undefined;
    return pending;
  }
}

export class FakeDialog implements CallDialog {
  readonly id: DialogId;
  readonly handlers: DialogHandlers;
  /** `Reason` of each BYE sent: one at most. */
  readonly byes: ({ cause: number; text: string } | undefined)[] = [];
  endedByPeer = false;
  /** The BYE is not answered before the test says so. */
  holdBye = false;
  #onByeAnswered: (() => void) | undefined;
  /** SDP of each re-INVITE sent. */
  readonly offers: string[] = [];
  #pendingOffer: { readonly resolve: (answer: string) => void; readonly reject: (error: Error) => void } | undefined;

  /** URI of each REFER sent. */
  readonly refers: string[] = [];
  #referral: { readonly options: ReferOptions; readonly settle: (outcome: ReferOutcome) => void } | undefined;

  constructor(handlers: DialogHandlers, callId: string) {
    this.id = { callId, localTag: 'ours', remoteTag: 'theirs' };
    this.handlers = handlers;
  }

  bye(reason?: { cause: number; text: string }): Promise<void> {
    this.byes.push(reason);
    if (this.#referral) this.settleRefer(false, 'the dialog is over');
    if (!this.holdBye) return Promise.resolve();
    return new Promise((resolve) => (this.#onByeAnswered = resolve));
  }

  answerBye(): void {
    this.#onByeAnswered?.();
  }

  reinvite(offer: string): Promise<string> {
    if (this.#pendingOffer) throw new Error('one re-INVITE at a time');
    this.offers.push(offer);
    return new Promise((resolve, reject) => (this.#pendingOffer = { resolve, reject }));
  }

  /** One of ours has no final response yet. */
  get reinviting(): boolean {
    return this.#pendingOffer !== undefined;
  }

  /** The 200 to our re-INVITE. */
  answerOffer(answer: string): void {
    this.#takeOffer().resolve(answer);
  }

  /** It was refused, or nothing came in time. */
  refuseOffer(why: string): void {
    this.#takeOffer().reject(new Error(why));
  }

  refer(uri: string, options: ReferOptions): Promise<ReferOutcome> {
    if (this.#referral) throw new Error('one REFER at a time');
    this.refers.push(uri);
    return new Promise((settle) => (this.#referral = { options, settle }));
  }

  get referTimeoutMs(): number | undefined {
    return this.#referral?.options.timeoutMs;
  }

  /** The REFER is accepted (202), or a NOTIFY tells how far it has got. */
  progressRefer(status: number): void {
    this.#referral?.options.onProgress(status);
  }

  /** It is known what became of it. */
  settleRefer(transferred: boolean, detail = transferred ? '200 OK' : '603 Decline'): void {
    const referral = this.#referral;
    if (!referral) throw new Error('no REFER on its way');
    this.#referral = undefined;
    referral.settle({ transferred, detail });
  }

  /** The caller's BYE, or the one the SIP agent had to send. */
  end(byPeer = true, reason = 'normal release'): void {
    this.endedByPeer = true;
    if (this.#referral) this.settleRefer(false, 'the dialog is over');
    this.handlers.onEnd({ byPeer, reason });
  }

  #takeOffer(): { readonly resolve: (answer: string) => void; readonly reject: (error: Error) => void } {
    const pending = this.#pendingOffer;
    if (!pending) throw new Error('no re-INVITE on its way');
    this.#pendingOffer = undefined;
    return pending;
  }
}
