import type { Clock } from '../../clock.js';
import type { Logger } from '../../logger.js';
import { guardDialog, type SourceObjection } from './dialog-gate.js';
import { requestWithCredentials } from './dialog-request.js';
import type { DigestClient } from '../auth/digest-client.js';
import { DTMF_TYPES, readDtmfInfo } from '../dtmf-info.js';
import { Referral } from '../referral.js';
import type { DialogId } from '../replaces.js';
import { bodyHeadersOf, readSessionBody } from '../session-body.js';
import {
  CallRefused,
  RenegotiationRefused,
  type CallDialog,
  type DialogHandlers,
  type ReferOptions,
  type ReferOutcome,
} from '../sip-endpoint.js';
import type { SrfDialog, SrfDialogRequest, SrfRequest, SrfResponse } from './srf-types.js';
import { plainCallId } from './srf-wire.js';
import { asError, errorText } from '../../error-text.js';
import { owned, quotable } from '../text.js';

/** An unanswered BYE must not delay a call's record; the SIP agent goes on retransmitting it. */
const BYE_TIMEOUT_MS = 4_000;

/** Until the answer, a caller that is moved to other media hears silence. */
const REINVITE_TIMEOUT_MS = 4_000;

export interface SrfDialogOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Refuses requests from addresses that are not part of a dialog. Absent: the SIP server has done so. */
  readonly objectionInDialog?: SourceObjection | undefined;
  /** Redacts a text before it is sent to a peer; absent: peers get the whole text. */
  readonly shown?: (text: string) => string;
}

/** The value of a Warning header (RFC 3261 section 20.43). */
export function warningOf(text: string, { shown }: Pick<SrfDialogOptions, 'shown'>): string {
  return `399 pranthora-sip-bridge "${quotable(shown?.(text) ?? text)}"`;
}

/** `Event: refer;id=93809823`, the id being the CSeq number of the REFER (RFC 3515 section 2.4.6). */
const REFER_EVENT = /^refer\s*(?:;|$)/i;
const EVENT_ID = /;\s*id\s*=\s*(\d{1,10})\s*(?:;|$)/i;

/** Our identity in a dialog. */
export interface LocalIdentity {
  /** Our URI, for the Referred-By of a REFER. */
  readonly uri?: string | undefined;
  /** Our credentials, for when the peer challenges our requests. */
  readonly digest?: DigestClient | undefined;
}

/** A dialog of drachtio-srf. */
export class SrfBackedDialog implements CallDialog {
  readonly id: DialogId;

  readonly #dialog: SrfDialog;
  readonly #options: SrfDialogOptions;
  readonly #handlers: DialogHandlers;
  readonly #local: LocalIdentity;
  #bye: Promise<void> | undefined;
  #over = false;
  #referral: Referral | undefined;
  /** A REFER of ours was sent: before that, no NOTIFY can belong to a subscription. */
  #hasReferred = false;
  /** CSeq number of the newest REFER that has been answered, and of the newest whose outcome is known. */
  #answeredRefer = 0;
  #settledRefer = 0;

  constructor(dialog: SrfDialog, options: SrfDialogOptions, handlers: DialogHandlers, local: LocalIdentity = {}) {
    this.#dialog = dialog;
    const { callId, localTag, remoteTag } = dialog.sip;
    this.id = { callId: owned(plainCallId(callId)), localTag: owned(localTag), remoteTag: owned(remoteTag ?? '') };
    this.#local = local;
    this.#options = options;
    this.#handlers = handlers;
    guardDialog(dialog, options.objectionInDialog);
    dialog.on('destroy', (request: SrfRequest, reason: string) => this.#onDestroyed(request, reason));
    dialog.on('ack', (request: SrfRequest) => {
      if (!this.#over) this.#handlers.onAck(sdpOf(request));
    });
    dialog.on('info', (request: SrfRequest, response: SrfResponse) => this.#onInfo(request, response));
    dialog.on('notify', (request: SrfRequest, response: SrfResponse) => this.#onNotify(request, response));
    for (const event of ['modify', 'update']) {
      dialog.on(event, (request: SrfRequest, response: SrfResponse) => {
        void this.#onRenegotiate(request, response);
      });
    }
  }

  bye(reason?: { cause: number; text: string }): Promise<void> {
    this.#bye ??= this.#over ? Promise.resolve() : this.#sendBye(reason);
    return this.#bye;
  }

  #sendBye(reason: { cause: number; text: string } | undefined): Promise<void> {
    this.#end();
    const headers: Record<string, string> = {};
    // RFC 3326; Q.850 causes are what PBXs and carriers put in their records.
    if (reason)
      headers['Reason'] =
        `Q.850;cause=${reason.cause};text="${quotable(this.#options.shown?.(reason.text) ?? reason.text)}"`;
    return new Promise((resolve) => {
      const cancelTimer = this.#options.clock.after(BYE_TIMEOUT_MS, resolve);
      const done = (error: unknown): void => {
        cancelTimer();
        if (error) this.#options.logger.debug({ event: 'sip.bye_failed', detail: errorText(error) });
        resolve();
      };
      if (this.#local.digest) this.#byeWithCredentials(headers, this.#local.digest, done);
      else this.#dialog.destroy({ headers }, done);
    });
  }

  /** drachtio-srf's Dialog.destroy takes a 401 for the end of the dialog, so the BYE is sent as a plain request. */
  #byeWithCredentials(headers: Record<string, string>, digest: DigestClient, done: (error: unknown) => void): void {
    requestWithCredentials(this.#dialog, { method: 'BYE', headers }, digest).then(
      () => done(undefined),
      () => {
        // destroy() releases the dialog even when nothing can be sent.
        this.#dialog.destroy({ headers }, done);
      },
    );
  }

  /** Sends a request as drachtio-srf does, and answers challenges where there are credentials. */
  #request(request: SrfDialogRequest, callback: (error: unknown, response?: SrfResponse) => void): void {
    const { digest } = this.#local;
    if (digest) {
      requestWithCredentials(this.#dialog, request, digest).then((response) => callback(undefined, response), callback);
    } else this.#dialog.request(request, callback);
  }

  #onDestroyed(request: SrfRequest, reason: string): void {
    if (this.#over) return;
    this.#end();
    this.#handlers.onEnd({ byPeer: request.source === 'network', reason });
  }

  #end(): void {
    this.#over = true;
    this.#referral?.abandon('the dialog is over');
  }

  async reinvite(offer: string): Promise<string> {
    if (this.#over) throw new Error('the dialog is over');
    const answered = this.#sendReinvite(offer);
    const response = await within(REINVITE_TIMEOUT_MS, 'the re-INVITE was not answered', answered, this.#options.clock);
    if (response.status !== 200) throw new CallRefused(response.status, response.reason);
    return sdpOf(response) ?? '';
  }

  /**
   * Resolves to the final response. drachtio-srf's Dialog.modify blocks all later requests after a refusal, and the promise
   * of Dialog.request settles with a 180: neither can be used.
   */
  #sendReinvite(offer: string): Promise<SrfResponse> {
    const headers = { Contact: this.#dialog.local.contact, 'Content-Type': 'application/sdp' };
    return new Promise((resolve, reject) =>
      this.#request({ method: 'INVITE', body: offer, headers }, (error, response) => {
        if (!response) reject(asError(error));
        else if (response.status >= 200) resolve(response);
      }),
    );
  }

  async refer(uri: string, options: ReferOptions): Promise<ReferOutcome> {
    if (this.#over) return { transferred: false, detail: 'the dialog is over' };
    if (this.#referral) return { transferred: false, detail: 'another transfer is under way' };
    const referral = new Referral(this.#options.clock, options);
    this.#referral = referral;
    this.#hasReferred = true;
    this.#sendRefer(uri, referral);
    const outcome = await referral.outcome;
    this.#settledRefer = this.#answeredRefer;
    this.#referral = undefined;
    return outcome;
  }

  #sendRefer(uri: string, referral: Referral): void {
    const headers: Record<string, string> = { 'Refer-To': `<${uri}>`, Contact: this.#dialog.local.contact };
    // RFC 3892 section 2.1.
    if (this.#local.uri !== undefined) headers['Referred-By'] = `<${this.#local.uri}>`;
    this.#request({ method: 'REFER', headers }, (error, response) => {
      if (!response) {
        referral.abandon(errorText(error));
        return;
      }
      if (response.status >= 200) this.#answeredRefer = Math.max(this.#answeredRefer, sequenceOf(response));
      const willNotify = response.get('Refer-Sub')?.trim().toLowerCase() !== 'false';
      referral.onResponse(response.status, quotable(response.reason), willNotify);
    });
  }

  #onNotify(request: SrfRequest, response: SrfResponse): void {
    const event = request.get('Event') ?? 'refer';
    if (this.#over) response.send(481);
    // RFC 6665 section 4.1.3.
    else if (!REFER_EVENT.test(event)) response.send(489, { headers: { 'Allow-Events': 'refer' } });
    else if (!this.#hasReferred) response.send(481);
    else {
      // A NOTIFY after the outcome is accepted as well: some peers end the call when it is refused.
      response.send(200);
      const id = EVENT_ID.exec(event)?.[1];
      const isOld = id !== undefined && Number(id) <= this.#settledRefer;
      if (!isOld) this.#referral?.onNotify(request.body);
    }
  }

  #onInfo(request: SrfRequest, response: SrfResponse): void {
    if (this.#over) {
      response.send(481);
      return;
    }
    const info = readDtmfInfo(request.get('Content-Type'), request.body);
    if (info.kind === 'refused') {
      response.send(info.status, info.status === 415 ? { headers: { Accept: DTMF_TYPES.join(', ') } } : {});
      return;
    }
    response.send(200);
    if (info.kind === 'digit') this.#handlers.onDigit?.({ digit: info.digit, durationMs: info.durationMs });
  }

  async #onRenegotiate(request: SrfRequest, response: SrfResponse): Promise<void> {
    if (this.#over) {
      response.send(481);
      return;
    }
    const method = request.method === 'UPDATE' ? 'UPDATE' : 'INVITE';
    try {
      const given = readSessionBody(bodyHeadersOf(request), request.body);
      if (given.kind === 'refused') {
        const { status, warning, headers } = given.refusal;
        throw new RenegotiationRefused(status, warning, headers);
      }
      const offer = given.kind === 'session' ? given.sdp : undefined;
      const body = await this.#handlers.onRenegotiate({ offer, method });
      response.send(200, body === undefined ? {} : { body, headers: { 'Content-Type': 'application/sdp' } });
    } catch (error) {
      const { status, headers } = error instanceof RenegotiationRefused ? error : { status: 500, headers: {} };
      response.send(status, { headers: { ...headers, Warning: warningOf(errorText(error), this.#options) } });
    }
  }
}

/** The session description of a message that cannot be refused; undefined when it has none that is understood. */
export function sdpOf(message: Pick<SrfRequest, 'get' | 'body'>): string | undefined {
  const body = readSessionBody(bodyHeadersOf(message), message.body);
  return body.kind === 'session' ? body.sdp : undefined;
}

function within<T>(timeoutMs: number, failure: string, pending: Promise<T>, clock: Clock): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancelTimer = clock.after(timeoutMs, () => reject(new Error(`${failure} within ${timeoutMs} ms`)));
    pending.then(resolve, reject).finally(cancelTimer);
  });
}

/** CSeq number; 0 for one that cannot be read. */
function sequenceOf(response: SrfResponse): number {
  return Number.parseInt(response.get('CSeq') ?? '', 10) || 0;
}
