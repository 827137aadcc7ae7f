import Srf from 'drachtio-srf';
import type { ChallengingResponse, DigestClient } from '../auth/digest-client.js';
import { DrachtioConnection } from './drachtio-connection.js';
import { isFromPeer } from '../generated-response.js';
import { sendOutside, type OutsideRequest, type OutsideResponse } from './outside-request.js';
import { ALLOW } from './dialog-gate.js';
import { readNameAddr } from '../name-addr.js';
import { ACCEPT } from '../session-body.js';
import {
  CallRefused,
  type CapabilityQuery,
  type CallDialog,
  type DialogHandlers,
  type SipEndpointHandlers,
  type SipRejection,
} from '../sip-endpoint.js';
import { partiesOf, sendRejection } from './srf-request.js';
import { sdpOf, SrfBackedDialog, type SrfDialogOptions } from './srf-dialog.js';
import { SrfInvite } from './srf-invite.js';
import { isCopy, isInEarlyDialog, plainCallId } from './srf-wire.js';
import type { SrfDialog, SrfInstance, SrfRequest, SrfResponse } from './srf-types.js';

export interface PlaceCallOptions {
  /** User part of our From and Contact. */
  readonly callingNumber: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly onProvisional?: (status: number) => void;
  /** Answers a challenge (401, 407) with its credentials, by another INVITE. */
  readonly digest?: DigestClient;
}

export interface OutgoingCall {
  readonly answered: Promise<{ dialog: CallDialog; answer: string }>;
  /** CANCEL; does nothing once answered. */
  cancel(): void;
}

export interface DrachtioOptions extends SrfDialogOptions {
  readonly host: string;
  readonly port: number;
  readonly secret: string;
}

/**
 * SIP through a drachtio server, real or embedded, over its wire protocol. Turns the events, callbacks and defaults of
 * drachtio-srf into the promises and handlers of `sip-endpoint.ts`.
 */
export class DrachtioSipEndpoint {
  readonly #srf = new Srf() as unknown as SrfInstance;
  readonly #options: DrachtioOptions;
  readonly #handlers: SipEndpointHandlers;
  readonly #connection: DrachtioConnection;

  constructor(options: DrachtioOptions, handlers: SipEndpointHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#srf.invite((request, response) => this.#onInvite(request, response));
    const { onOptions } = handlers;
    if (onOptions) {
      this.#srf.options((request, response) => this.#onOptions(request, response, onOptions));
    }
    this.#connection = new DrachtioConnection(this.#srf, options, (state) => handlers.onConnection(state));
  }

  /** For drachtio-fsmrf, which calls FreeSWITCH through the same SIP server. */
  get srf(): object {
    return this.#srf;
  }

  /**
   * Connects, and reconnects whenever the connection is lost. Resolves after the first attempt, to whether it succeeded;
   * later changes are reported to `onConnection`.
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
    const send = (credentials: Readonly<Record<string, string>>): Promise<SrfDialog> =>
      this.#srf.createUAC(
        uri,
        { localSdp: offer, callingNumber: options.callingNumber, headers: { ...options.headers, ...credentials } },
        {
          cbRequest: (_error, request) => {
            invite = request;
            if (canceled) cancel();
          },
          cbProvisional: (response) => {
            options.onProvisional?.(response.status);
          },
        },
      );
    const answered = (options.digest ? withDigest(options.digest, uri, send) : send({})).then(
      (dialog) => ({ dialog: new SrfBackedDialog(dialog, this.#options, handlers), answer: sdpOf(dialog.res) ?? '' }),
      (error: unknown) => {
        throw callRefusal(error);
      },
    );
    return { answered, cancel };
  }

  /** Sends a request outside any dialog; resolves to its final response. Rejects without one, or without a connection. */
  send(request: OutsideRequest): Promise<OutsideResponse> {
    return sendOutside(this.#srf, request, this.#options.clock);
  }

  /** Closes the connection to the server; dialogs are not touched. Idempotent. */
  close(): void {
    this.#connection.close();
  }

  /** OPTIONS outside a confirmed dialog; inside one, the dialog answers. */
  #onOptions(
    request: SrfRequest,
    response: SrfResponse,
    ask: (query: CapabilityQuery) => SipRejection | undefined,
  ): void {
    const { client } = this.#srf._app;
    const isInside = /;\s*tag\s*=/i.test(readNameAddr(request.get('To') ?? '').params);
    const isKnown = isInside && client !== undefined && isInEarlyDialog(client, request);
    const rejection = isKnown ? undefined : isInside ? { status: 481 } : ask(partiesOf(request));
    // RFC 3261 section 11.2.
    const headers = { Allow: ALLOW, Accept: ACCEPT, Supported: 'replaces' };
    if (rejection) sendRejection(response, rejection, this.#options);
    else response.send(200, { headers });
  }

  #onInvite(request: SrfRequest, response: SrfResponse): void {
    try {
      if (isCopy(request.get('Call-ID') ?? '')) response.send(482);
      else this.#handlers.onInvite(new SrfInvite(this.#srf, this.#options, request, response));
    } catch (error) {
      this.#options.logger.error({
        event: 'sip.invite_failed',
        callId: plainCallId(request.get('Call-ID') ?? ''),
        err: error,
      });
      if (!response.finalResponseSent) response.send(500);
    }
  }
}

/** Sends an INVITE, and again with credentials when it is challenged. drachtio-srf's own digest knows MD5 only. */
async function withDigest(
  digest: DigestClient,
  uri: string,
  send: (credentials: Readonly<Record<string, string>>) => Promise<SrfDialog>,
): Promise<SrfDialog> {
  type Attempt = ChallengingResponse & ({ readonly dialog: SrfDialog } | { readonly error: unknown });
  const { response } = await digest.request<Attempt>({ method: 'INVITE', uri }, async (credentials) => {
    try {
      return { status: 200, get: () => undefined, dialog: await send(credentials) };
    } catch (error) {
      const response = finalResponse(error);
      if (!response) throw error;
      return { status: response.status, get: (name) => response.get(name), error };
    }
  });
  if ('dialog' in response) return response.dialog;
  throw response.error;
}

/**
 * drachtio-srf rejects with its SipError for a final response that is not a 2xx, and with other errors for its own
 * faults.
 */
function callRefusal(error: unknown): unknown {
  if (!(error instanceof Error) || !('status' in error) || typeof error.status !== 'number') return error;
  const reason = 'reason' in error && typeof error.reason === 'string' ? error.reason : '';
  const response = finalResponse(error);
  return new CallRefused(error.status, reason, response?.get('Warning'), !response || isFromPeer(response));
}

function finalResponse(error: unknown): SrfResponse | undefined {
  return error instanceof Error && 'res' in error ? (error.res as SrfResponse) : undefined;
}
