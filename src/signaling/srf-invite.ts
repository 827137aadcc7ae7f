import type { DigestClient } from './digest-client.js';
import { readNameAddr } from './name-addr.js';
import type { Dialog, DialogHandlers, IncomingInvite, SipAddress, SipRejection } from './sip-endpoint.js';
import { bodyHeadersOf, readSessionBody } from './session-body.js';
import { SrfBackedDialog, warningOf, type SrfDialogOptions } from './srf-dialog.js';
import type { SrfInstance, SrfRequest, SrfResponse } from './srf-types.js';
import { plainCallId } from './srf-wire.js';
import { describe, owned } from './text.js';

/** The SIP server confirms within milliseconds that a 200 went out; one that was lost on the way never does. */
const ANSWER_TIMEOUT_MS = 4_000;

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
    // Not drachtio-srf's own reading, to which a display name that should be quoted is the address.
    this.from = sipAddress(readNameAddr(request.get('From') ?? '').uri);
    this.to = sipAddress(readNameAddr(request.get('To') ?? '').uri);
    this.requestUri = sipAddress(request.uri);
    this.source = { address: request.source_address, port: request.source_port, protocol: request.protocol };
    this.localAddress = (request.receivedOn ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
    const body = readSessionBody(bodyHeadersOf(request), request.body);
    this.offer = body.kind === 'session' ? owned(body.sdp) : undefined;
    this.bodyRefusal = body.kind === 'refused' ? body.refusal : undefined;
    request.on('cancel', () => {
      this.#canceled = true;
      this.onCancel?.();
    });
    request.on('update', (update: SrfRequest, updateResponse: SrfResponse) => {
      this.#onUpdate(update, updateResponse);
    });
  }

  header(name: string): string | undefined {
    // drachtio-srf looks names up in plain objects, where some are found that nobody sent: `constructor`, `__proto__`.
    if (percentDecoded(name).toLowerCase() in Object.prototype) return undefined;
    const value = this.#request.get(name);
    return value === undefined ? undefined : owned(value);
  }

  ring(): void {
    if (!this.#isAnswered()) this.#response.send(180);
  }

  reject(rejection: SipRejection): void {
    if (this.#isAnswered()) return;
    const { status, warning, retryAfterSec, contact, challenges } = rejection;
    const headers: Record<string, string> = { ...rejection.headers };
    if (warning !== undefined) headers['Warning'] = warningOf(warning, this.#options);
    if (retryAfterSec !== undefined) headers['Retry-After'] = String(retryAfterSec);
    if (contact !== undefined) headers['Contact'] = `<${contact}>`;
    // drachtio-srf knows one field of a name, and challenges cannot share one (RFC 3261 section 20.44).
    if (challenges) headers['WWW-Authenticate'] = challenges.join('\r\nWWW-Authenticate: ');
    try {
      this.#response.send(status, { headers });
    } catch {
      // drachtio-srf knows only a list of statuses; any other one means its class's x00 (RFC 3261 8.1.3.2).
      this.#response.send(status - (status % 100), { headers });
    }
  }

  answer(localSdp: string, handlers: DialogHandlers): Promise<Dialog> {
    return new Promise((resolve, reject) => {
      if (this.#isAnswered()) {
        reject(new Error('the INVITE is gone'));
        return;
      }
      let failed = false;
      const fail = (why: string): void => {
        cancelTimer();
        failed = true;
        reject(new Error(why));
      };
      const cancelTimer = this.#options.clock.after(ANSWER_TIMEOUT_MS, () => {
        fail('the SIP server did not take the answer');
      });
      const options = { localSdp, headers: { Supported: 'replaces' } };
      this.#srf.createUAS(this.#request, this.#response, options, (error, srfDialog) => {
        if (!srfDialog) {
          fail(describe(error));
          return;
        }
        cancelTimer();
        const local = { uri: localUri(this.to.uri), digest: this.digest };
        const dialog = new SrfBackedDialog(srfDialog, this.#options, handlers, local);
        // A CANCEL may cross our 200, and drachtio-srf sends it even when it has said that it cannot (no Contact): the
        // failure has been told, so the dialog nobody wants is ended.
        if (failed) void dialog.bye();
        resolve(dialog);
      });
    });
  }

  /** Before the answer (RFC 3311 section 5.2): who calls may change, but an offer has to wait for the answer to the first. */
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

/** `sip:`, `sips:` or `tel:` URI → its user part, without parameters or password. */
function sipAddress(text: string): SipAddress {
  const uri = owned(text);
  const match = /^(?:sips?:(?:([^@]*)@)?|tel:([^;]*))/i.exec(uri);
  const user = (match?.[1] ?? match?.[2] ?? '').split(/[;:]/, 1)[0] ?? '';
  return { uri, user: percentDecoded(user) };
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** As a URI of ours goes between angle brackets, or undefined if this one cannot: it was the caller who wrote it. */
function localUri(uri: string): string | undefined {
  return /^(?:sips?|tel):[!#-;=?-~]{1,256}$/i.test(uri) ? uri : undefined;
}
