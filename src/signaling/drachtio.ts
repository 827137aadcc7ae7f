import Srf from 'drachtio-srf';
import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';
import { DrachtioConnection } from './drachtio-connection.js';
import {
  RenegotiationRefused,
  type Dialog,
  type DialogHandlers,
  type IncomingInvite,
  type SipAddress,
  type SipEndpointHandlers,
  type SipRejection,
} from './sip-endpoint.js';
import type { SrfDialog, SrfInstance, SrfRequest, SrfResponse } from './srf-types.js';

export interface PlaceCallOptions {
  /** User part of our From and Contact. */
  readonly callingNumber: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly onProvisional?: (status: number) => void;
}

export interface OutgoingCall {
  readonly answered: Promise<{ dialog: Dialog; answer: string }>;
  /** CANCEL; does nothing once answered. */
  cancel(): void;
}

/** The callee's final response was not a 2xx. */
export class CallRefused extends Error {
  override readonly name = 'CallRefused';
  /** `warning` is the Warning header of the response, which may say why. */
  constructor(
    readonly status: number,
    readonly reason: string,
    warning?: string,
  ) {
    super(`${status} ${reason}${warning === undefined ? '' : ` (${warning})`}`);
  }
}

/** A BYE nobody answers must not hold a call's record: the SIP agent goes on retransmitting it by itself. */
const BYE_TIMEOUT_MS = 4_000;

/** A caller that takes longer to be moved to other media hears nothing meanwhile. */
const REINVITE_TIMEOUT_MS = 4_000;

/** The SIP server confirms within milliseconds that a 200 went out; one that was lost on the way never does. */
const ANSWER_TIMEOUT_MS = 4_000;

export interface DrachtioOptions {
  readonly host: string;
  readonly port: number;
  readonly secret: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * SIP through a drachtio server, real or embedded, over its wire protocol. Everything drachtio-srf does by events,
 * callbacks and defaults is turned into the few promises and handlers of `sip-endpoint.ts` here.
 */
export class DrachtioSipEndpoint {
  readonly #srf = new Srf() as unknown as SrfInstance;
  readonly #options: DrachtioOptions;
  readonly #handlers: SipEndpointHandlers;
  readonly #connection: DrachtioConnection;

  constructor(options: DrachtioOptions, handlers: SipEndpointHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#srf.invite((request, response) => {
      this.#onInvite(request, response);
    });
    this.#connection = new DrachtioConnection(this.#srf, options, (state) => {
      handlers.onConnection(state);
    });
  }

  /** For drachtio-fsmrf, which calls FreeSWITCH through the same SIP server. */
  get srf(): object {
    return this.#srf;
  }

  /**
   * Connects, and connects again whenever the connection is lost. Resolves after the first attempt, to whether it
   * succeeded; what becomes of it later is told to `onConnection`.
   */
  connect(): Promise<boolean> {
    return this.#connection.open();
  }

  /**
   * Sends an INVITE. `answered` rejects with a CallRefused when the final response is not a 2xx (487 after `cancel`),
   * and with another error when the INVITE could not be sent.
   */
  placeCall(uri: string, offer: string, options: PlaceCallOptions, handlers: DialogHandlers): OutgoingCall {
    let invite: SrfRequest | undefined;
    let canceled = false;
    const cancel = (): void => {
      canceled = true;
      invite?.cancel(() => undefined);
    };
    const answered = this.#srf
      .createUAC(
        uri,
        { localSdp: offer, callingNumber: options.callingNumber, headers: { ...options.headers } },
        {
          cbRequest: (_error, request) => {
            invite = request;
            if (canceled) cancel();
          },
          cbProvisional: (response) => {
            options.onProvisional?.(response.status);
          },
        },
      )
      .then(
        (dialog) => ({ dialog: new SrfBackedDialog(dialog, this.#options, handlers), answer: dialog.remote.sdp }),
        (error: unknown) => {
          throw refusal(error);
        },
      );
    return { answered, cancel };
  }

  /** Leaves the server; dialogs are not touched. Idempotent. */
  close(): void {
    this.#connection.close();
  }

  #onInvite(request: SrfRequest, response: SrfResponse): void {
    try {
      this.#handlers.onInvite(new SrfInvite(this.#srf, this.#options, request, response));
    } catch (error) {
      this.#options.logger.error({ event: 'sip.invite_failed', callId: request.get('Call-ID'), err: error });
      if (!response.finalResponseSent) response.send(500);
    }
  }
}

class SrfInvite implements IncomingInvite {
  readonly callId: string;
  readonly from: SipAddress;
  readonly to: SipAddress;
  readonly requestUri: SipAddress;
  readonly source: { address: string; port: number; protocol: string };
  readonly localAddress: string;
  readonly offer: string | undefined;
  onCancel: (() => void) | undefined;

  readonly #srf: SrfInstance;
  readonly #options: DrachtioOptions;
  readonly #request: SrfRequest;
  readonly #response: SrfResponse;
  #canceled = false;

  constructor(srf: SrfInstance, options: DrachtioOptions, request: SrfRequest, response: SrfResponse) {
    this.#srf = srf;
    this.#options = options;
    this.#request = request;
    this.#response = response;
    this.callId = request.get('Call-ID') ?? '';
    this.from = sipAddress(request.getParsedHeader('from').uri);
    this.to = sipAddress(request.getParsedHeader('to').uri);
    this.requestUri = sipAddress(request.uri);
    this.source = { address: request.source_address, port: request.source_port, protocol: request.protocol };
    this.localAddress = (request.receivedOn ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
    this.offer = request.body === '' ? undefined : request.body;
    request.on('cancel', () => {
      this.#canceled = true;
      this.onCancel?.();
    });
  }

  header(name: string): string | undefined {
    return this.#request.get(name);
  }

  ring(): void {
    if (!this.#isAnswered()) this.#response.send(180);
  }

  reject(rejection: SipRejection): void {
    if (this.#isAnswered()) return;
    const { status, warning, retryAfterSec, contact } = rejection;
    const headers: Record<string, string> = {};
    if (warning !== undefined) headers['Warning'] = `399 pranthora-sip-bridge "${quotable(warning)}"`;
    if (retryAfterSec !== undefined) headers['Retry-After'] = String(retryAfterSec);
    if (contact !== undefined) headers['Contact'] = `<${contact}>`;
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
      this.#srf.createUAS(this.#request, this.#response, { localSdp }, (error, srfDialog) => {
        if (!srfDialog) {
          fail(describe(error));
          return;
        }
        cancelTimer();
        const dialog = new SrfBackedDialog(srfDialog, this.#options, handlers);
        // A CANCEL may cross our 200, and drachtio-srf sends it even when it has said that it cannot (no Contact): the
        // failure has been told, so the dialog nobody wants is ended.
        if (failed) void dialog.bye();
        resolve(dialog);
      });
    });
  }

  #isAnswered(): boolean {
    return this.#canceled || this.#response.finalResponseSent;
  }
}

class SrfBackedDialog implements Dialog {
  readonly #dialog: SrfDialog;
  readonly #options: DrachtioOptions;
  readonly #handlers: DialogHandlers;
  #bye: Promise<void> | undefined;
  #over = false;

  constructor(dialog: SrfDialog, options: DrachtioOptions, handlers: DialogHandlers) {
    this.#dialog = dialog;
    this.#options = options;
    this.#handlers = handlers;
    dialog.on('destroy', (request: SrfRequest, reason: string) => {
      this.#onDestroyed(request, reason);
    });
    dialog.on('ack', (request: SrfRequest) => {
      if (!this.#over) this.#handlers.onAck(request.body === '' ? undefined : request.body);
    });
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
    this.#over = true;
    const headers: Record<string, string> = {};
    // RFC 3326; Q.850 causes are what PBXs and carriers put in their records.
    if (reason) headers['Reason'] = `Q.850;cause=${reason.cause};text="${quotable(reason.text)}"`;
    return new Promise((resolve) => {
      const cancelTimer = this.#options.clock.after(BYE_TIMEOUT_MS, resolve);
      this.#dialog.destroy({ headers }, (error) => {
        cancelTimer();
        if (error) this.#options.logger.debug({ event: 'sip.bye_failed', detail: describe(error) });
        resolve();
      });
    });
  }

  #onDestroyed(request: SrfRequest, reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#handlers.onEnd({ byPeer: request.source === 'network', reason });
  }

  async reinvite(offer: string): Promise<string> {
    if (this.#over) throw new Error('the dialog is over');
    const answered = this.#sendReinvite(offer);
    const response = await within(REINVITE_TIMEOUT_MS, 'the re-INVITE was not answered', answered, this.#options.clock);
    if (response.status !== 200) throw new CallRefused(response.status, response.reason);
    return response.body;
  }

  /**
   * Resolves to the final response. Not Dialog.modify: after a refusal that one never lets the next request through; nor
   * the promise of Dialog.request, which a 180 settles.
   */
  #sendReinvite(offer: string): Promise<SrfResponse> {
    const headers = { Contact: this.#dialog.local.contact, 'Content-Type': 'application/sdp' };
    return new Promise((resolve, reject) => {
      this.#dialog.request({ method: 'INVITE', body: offer, headers }, (error, response) => {
        if (!response) reject(error instanceof Error ? error : new Error(describe(error)));
        else if (response.status >= 200) resolve(response);
      });
    });
  }

  async #onRenegotiate(request: SrfRequest, response: SrfResponse): Promise<void> {
    if (this.#over) {
      response.send(481);
      return;
    }
    const method = request.method === 'UPDATE' ? 'UPDATE' : 'INVITE';
    try {
      const offer = request.body === '' ? undefined : request.body;
      const body = await this.#handlers.onRenegotiate({ offer, method });
      response.send(200, body === undefined ? {} : { body, headers: { 'Content-Type': 'application/sdp' } });
    } catch (error) {
      const status = error instanceof RenegotiationRefused ? error.status : 500;
      response.send(status, { headers: { Warning: `399 pranthora-sip-bridge "${quotable(describe(error))}"` } });
    }
  }
}

/** `sip:`, `sips:` or `tel:` URI → its user part, without parameters or password. */
function sipAddress(uri: string): SipAddress {
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

/** Into a quoted-string of a header: one line, no quotes, short. */
function quotable(text: string): string {
  return text
    .replace(/[^\x20-\x7e]+/g, ' ')
    .replace(/["\\]/g, "'")
    .slice(0, 200);
}

/** drachtio-srf rejects with its SipError for a final response that is not a 2xx, with others for faults of its own. */
function refusal(error: unknown): unknown {
  if (!(error instanceof Error) || !('status' in error) || typeof error.status !== 'number') return error;
  const reason = 'reason' in error && typeof error.reason === 'string' ? error.reason : '';
  const response = 'res' in error ? (error.res as SrfResponse) : undefined;
  return new CallRefused(error.status, reason, response?.get('Warning'));
}

function within<T>(timeoutMs: number, failure: string, pending: Promise<T>, clock: Clock): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancelTimer = clock.after(timeoutMs, () => {
      reject(new Error(`${failure} within ${timeoutMs} ms`));
    });
    pending.then(resolve, reject).finally(cancelTimer);
  });
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
