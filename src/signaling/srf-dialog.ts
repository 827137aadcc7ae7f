import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';
import { CallRefused, RenegotiationRefused, type Dialog, type DialogHandlers } from './sip-endpoint.js';
import type { SrfDialog, SrfRequest, SrfResponse } from './srf-types.js';
import { describe, quotable } from './text.js';

/** A BYE nobody answers must not hold a call's record: the SIP agent goes on retransmitting it by itself. */
const BYE_TIMEOUT_MS = 4_000;

/** A caller that takes longer to be moved to other media hears nothing meanwhile. */
const REINVITE_TIMEOUT_MS = 4_000;

export interface SrfDialogOptions {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A dialog of drachtio-srf. */
export class SrfBackedDialog implements Dialog {
  readonly #dialog: SrfDialog;
  readonly #options: SrfDialogOptions;
  readonly #handlers: DialogHandlers;
  #bye: Promise<void> | undefined;
  #over = false;

  constructor(dialog: SrfDialog, options: SrfDialogOptions, handlers: DialogHandlers) {
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

function within<T>(timeoutMs: number, failure: string, pending: Promise<T>, clock: Clock): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancelTimer = clock.after(timeoutMs, () => {
      reject(new Error(`${failure} within ${timeoutMs} ms`));
    });
    pending.then(resolve, reject).finally(cancelTimer);
  });
}
