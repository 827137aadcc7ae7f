import type { DigestClient } from '../auth/digest-client.js';
import { headerOf, partiesOf, sendRejection } from './srf-request.js';
import type { CallDialog, DialogHandlers, IncomingInvite, SipAddress, SipRejection } from '../sip-endpoint.js';
import { bodyHeadersOf, readSessionBody } from '../session-body.js';
import { SrfBackedDialog, type SrfDialogOptions } from './srf-dialog.js';
import type { SrfInstance, SrfRequest, SrfResponse } from './srf-types.js';
import { plainCallId } from './srf-wire.js';
import { errorText } from '../../error-text.js';
import { owned } from '../text.js';

/** The SIP server confirms within milliseconds that a 200 was sent; it never does when the command was lost. */
const ANSWER_TIMEOUT_MS = 4_000;

/** drachtio-server's error for an answer to an INVITE that it has just ended on a CANCEL. */
const ENDED = 'unknown transaction';

/** An INVITE that drachtio-srf was offered. */
export class SrfInvite implements IncomingInvite {
  readonly callId: string;
  readonly from: SipAddress;
  to: SipAddress;
  readonly requestUri: SipAddress;
  readonly source: { address: string; port: number; protocol: string };
  readonly localAddress: string;
  readonly offer: string | undefined;
  readonly bodyRefusal: SipRejection | undefined;
  onCancel: (() => void) | undefined;
  digest: DigestClient | undefined;

  readonly #srf: SrfInstance;
  readonly #options: SrfDialogOptions;
  readonly #request: SrfRequest;
  readonly #response: SrfResponse;
  #canceled = false;

  constructor(srf: SrfInstance, options: SrfDialogOptions, request: SrfRequest, response: SrfResponse) {
    this.#srf = srf;
    this.#options = options;
    this.#request = request;
    this.#response = response;
    this.callId = owned(plainCallId(request.get('Call-ID') ?? ''));
    const { from, to, requestUri, source } = partiesOf(request);
    this.from = from;
    this.to = to;
    this.requestUri = requestUri;
    this.source = source;
    this.localAddress = (request.receivedOn ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
    const body = readSessionBody(bodyHeadersOf(request), request.body);
    this.offer = body.kind === 'session' ? owned(body.sdp) : undefined;
    this.bodyRefusal = body.kind === 'refused' ? body.refusal : undefined;
    request.on('cancel', () => this.#onCancel());
    request.on('update', (update: SrfRequest, updateResponse: SrfResponse) => this.#onUpdate(update, updateResponse));
  }

  header(name: string): string | undefined {
    return headerOf(this.#request, name);
  }

  ring(): void {
    if (!this.#isAnswered()) this.#response.send(180);
  }

  reject(rejection: SipRejection): void {
    if (this.#isAnswered()) return;
    sendRejection(this.#response, rejection, this.#options);
  }

  answer(localSdp: string, handlers: DialogHandlers): Promise<CallDialog> {
    return new Promise((resolve, reject) => {
      if (this.#isAnswered()) {
        reject(new Error('the INVITE has already ended'));
        return;
      }
      let failed = false;
      const fail = (why: string): void => {
        cancelTimer();
        failed = true;
        reject(new Error(why));
      };
      const cancelTimer = this.#options.clock.after(ANSWER_TIMEOUT_MS, () =>
        fail('the SIP server did not confirm the answer'),
      );
      const options = { localSdp, headers: { Supported: 'replaces' } };
      this.#srf.createUAS(this.#request, this.#response, options, (error, srfDialog) => {
        if (!srfDialog) {
          const why = errorText(error);
          // The CANCEL crossed our 200, and drachtio-srf does not report a CANCEL after the 200.
          if (why.includes(ENDED)) this.#onCancel();
          fail(why);
          return;
        }
        cancelTimer();
        const local = { uri: localUri(this.to.uri), digest: this.digest };
        const dialog = new SrfBackedDialog(srfDialog, this.#options, handlers, local);
        // A CANCEL may cross our 200, and drachtio-srf may report an error (no Contact) and still send the 200. The failure
        // has been reported, so this dialog is ended.
        if (failed) void dialog.bye();
        resolve(dialog);
      });
    });
  }

  #onCancel(): void {
    if (this.#canceled) return;
    this.#canceled = true;
    this.onCancel?.();
  }

  /** An UPDATE before the answer (RFC 3311 section 5.2): an offer has to wait until the first one is answered. */
  #onUpdate(update: SrfRequest, response: SrfResponse): void {
    const body = readSessionBody(bodyHeadersOf(update), update.body);
    if (body.kind === 'none') response.send(200);
    else if (body.kind === 'session') response.send(500, { headers: { 'Retry-After': '5' } });
    else response.send(body.refusal.status, { headers: { ...body.refusal.headers } });
  }

  #isAnswered(): boolean {
    return this.#canceled || this.#response.finalResponseSent;
  }
}

/** A URI that may stand between angle brackets in a request of ours, else undefined: the caller wrote this one. */
function localUri(uri: string): string | undefined {
  return /^(?:sips?|tel):[!#-;=?-~]{1,256}$/i.test(uri) ? uri : undefined;
}
