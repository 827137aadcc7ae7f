import { randomUUID } from 'node:crypto';
import { flowInside } from './call-ending.js';
import { composeInside } from './compose-request.js';
import type { Core } from './core.js';
import { errorText } from '../environment.js';
import type { Dialog } from '../dialog/dialog.js';
import { parseRAck } from '../syntax/headers.js';
import type { InviteUsage } from '../dialog/invite-usage.js';
import { Failover, type Attempt } from './failover.js';
import type { SipRequest, SipResponse } from '../syntax/message.js';
import { refreshesSession } from '../syntax/methods.js';
import { UacInvites } from './uac-invites.js';
import { isSuccess } from '../syntax/responses.js';
import {
  newSent,
  NO_DIALOG,
  reportSent,
  statusOf,
  forwardResponse,
  reportStatus,
  type SentRequest,
} from './sent-request.js';
import { termsOfResponse } from '../dialog/session-expires.js';
import { agreeOnSession, mentionSession } from './session-refresh.js';
import { targetOf } from '../transport/target.js';
import type { ResponseHandlers } from '../transaction/layer.js';
import type { WireClient } from '../wire/client.js';
import type { SipCommand } from '../wire/server.js';

/** Called with the final status of a request, and with the response unless the agent generated it. */
type EndListener = (status: number, response?: SipResponse) => void;

/** User agent client (RFC 3261 section 8.1): sends the requests of SIP clients and reports their responses. */
export class UserAgentClient {
  readonly #core: Core;
  readonly #invites: UacInvites;

  constructor(core: Core) {
    this.#core = core;
    this.#invites = new UacInvites(core);
  }

  /** Carries out a command. Rejects with an Error that says why it failed. */
  async command(client: WireClient, command: SipCommand, given: SipRequest): Promise<void> {
    if (command.dialogId !== '') await this.#sendInside(client, command, given);
    else if (command.transactionId !== '') this.#invites.cancel(client, command, given);
    else await this.#sendOutside(client, command, given);
  }

  /** Cancels the INVITEs of a client whose connection is lost. */
  clientGone(client: WireClient): void {
    this.#invites.clientGone(client);
  }

  async #sendOutside(client: WireClient, command: SipCommand, given: SipRequest): Promise<void> {
    const candidates = await this.#core.candidatesFor(targetOf(proxyUri(command.proxy) ?? given.uri));
    const failover = new Failover(candidates, given, (request) => {
      // RFC 3261 section 13.2.1; without it the peer could not refresh a session by UPDATE.
      if (request.method === 'INVITE' && !request.has('allow')) request.add('allow', this.#core.methods.allow);
      if (refreshesSession(request.method)) mentionSession(this.#core, request);
    });
    const attempt = await failover.next();
    if (!attempt || !client.connected) return;
    const transactionId = randomUUID();
    const sent =
      given.method === 'INVITE'
        ? this.#invites.send(client, transactionId, attempt, failover)
        : this.#sendAttempt(client, transactionId, attempt, failover);
    reportSent(command.id, sent);
  }

  /** Sends an attempt of a request other than INVITE; later attempts keep its transaction id. */
  #sendAttempt(
    client: WireClient,
    transactionId: string,
    { composed, flow }: Attempt,
    failover: Failover,
  ): SentRequest {
    const sent = { client, transactionId, dialogId: '', request: composed.request, flow };
    const nextAttemptOr = (giveUp: () => void) => {
      const go = (next: Attempt) => {
        if (client.connected) this.#sendAttempt(client, transactionId, next, failover);
        return client.connected;
      };
      void failover.goOn(go, giveUp);
    };
    this.#core.layer.send(sent.request, flow, {
      response: ({ status, message }) => {
        const pass = () => forwardResponse(sent, message);
        if (status === 503) nextAttemptOr(pass);
        else if (status > 100) pass();
      },
      failed: (failure) => nextAttemptOr(() => reportStatus(sent, statusOf(failure))),
    });
    return sent;
  }

  async #sendInside(client: WireClient, command: SipCommand, given: SipRequest): Promise<void> {
    const usage = this.#core.usages.get(command.dialogId);
    if (given.method === 'ACK') {
      await this.#invites.acknowledge(client, command, given, usage);
      return;
    }
    const subscription = given.method === 'NOTIFY' ? this.#core.subscriptions.get(command.dialogId, client) : undefined;
    if (subscription) {
      await this.#notify(subscription, client, command, given);
      return;
    }
    if (usage?.client !== client || !canCarry(usage, given.method)) throw new Error(NO_DIALOG);
    if (given.method === 'INVITE') await this.#invites.sendAgain(usage, command, given);
    else if (given.method === 'BYE') this.#sendBye(usage, command, given);
    else await this.#sendOther(usage, command, given);
  }

  #sendBye(usage: InviteUsage, command: SipCommand, given: SipRequest): void {
    // The call ends: a pending re-INVITE is cancelled.
    if (usage.sentInvite?.pending) usage.sentInvite.invite?.cancel();
    usage.whenAcknowledged(() => {
      this.#sendByeNow(usage, command, given).catch((error: unknown) => {
        usage.client.failed(command.id, errorText(error));
        this.#core.usages.remove(usage);
      });
    });
  }

  async #sendByeNow(usage: InviteUsage, command: SipCommand, given: SipRequest): Promise<void> {
    const { dialog, client } = usage;
    if (dialog.state !== 'confirmed') throw new Error(NO_DIALOG);
    const bye = composeInside(dialog, given);
    dialog.state = 'ending';
    const flow = await flowInside(this.#core, dialog);
    const ended: EndListener = (status) => {
      // A challenged BYE is sent again with credentials.
      if (status === 401 || status === 407) dialog.state = 'confirmed';
      else this.#core.usages.remove(usage);
    };
    this.#sendPlain(command, newSent(client, usage.id, bye, flow), ended, { once: !usage.heard });
  }

  async #sendOther(usage: InviteUsage, command: SipCommand, given: SipRequest): Promise<void> {
    const { dialog, client } = usage;
    const request = composeInside(dialog, given);
    if (given.method === 'PRACK') checkPrack(usage, request);
    else if (given.method === 'UPDATE' && dialog.state === 'confirmed') {
      mentionSession(this.#core, request, usage.session);
    }
    const flow = await flowInside(this.#core, dialog);
    const sent = newSent(client, usage.id, request, flow);
    this.#sendPlain(command, sent, given.method === 'UPDATE' ? this.#updateUnderWay(usage, request) : undefined);
  }

  /** While an offer in our UPDATE is unanswered, offers of the peer are refused (RFC 3311 section 5.2). */
  #updateUnderWay(usage: InviteUsage, update: SipRequest): EndListener {
    const offers = update.body.length > 0 ? 1 : 0;
    usage.sentOffers += offers;
    return (status, response) => {
      usage.sentOffers -= offers;
      if (!response || !isSuccess(status)) return;
      usage.dialog.refreshTarget(response, usage.dialog.flow);
      usage.noteAllow(response);
      usage.describe(update);
      agreeOnSession(this.#core, usage, termsOfResponse(update, response, this.#core.session), 'uac');
    };
  }

  /** NOTIFY inside a subscription, which ends with "terminated", or with a 481 or 408 (RFC 6665 section 4.2.2). */
  async #notify(dialog: Dialog, client: WireClient, command: SipCommand, given: SipRequest): Promise<void> {
    const isLast = /^terminated\b/i.test(given.get('subscription-state') ?? '');
    const notify = composeInside(dialog, given);
    const flow = await flowInside(this.#core, dialog);
    this.#sendPlain(command, newSent(client, dialog.id, notify, flow), (status) => {
      if (isLast || status === 481 || status === 408) this.#core.subscriptions.remove(dialog.id);
    });
  }

  /** Sends a request other than INVITE. */
  #sendPlain(command: SipCommand, sent: SentRequest, ended?: EndListener, { once = false } = {}): void {
    const handlers: ResponseHandlers = {
      response: ({ status, message }) => {
        if (status >= 200) ended?.(status, message);
        if (status > 100) forwardResponse(sent, message);
      },
      failed: (failure) => {
        ended?.(statusOf(failure));
        reportStatus(sent, statusOf(failure));
      },
    };
    this.#core.layer.send(sent.request, sent.flow, handlers, { once });
    reportSent(command.id, sent);
  }
}

/**
 * Whether a request can be sent in the present state of the dialog. An early dialog has a remote side from the first
 * response with a tag on (RFC 3261 section 12.1); it carries neither another INVITE nor a BYE, in place of which a
 * caller sends CANCEL.
 */
function canCarry({ dialog }: InviteUsage, method: string): boolean {
  if (dialog.state === 'confirmed') return true;
  return dialog.state === 'early' && dialog.remoteTag !== undefined && method !== 'INVITE' && method !== 'BYE';
}

/** Throws an Error when there is nothing a PRACK could acknowledge. */
function checkPrack({ sentInvite }: InviteUsage, prack: SipRequest): void {
  if (!sentInvite?.reliablyAnswered) throw new Error('no reliable provisional response to acknowledge');
  if (!parseRAck(prack.get('rack') ?? '')) throw new Error('missing or malformed RAck');
}

/** The URI of a proxy that is given as "host:port" or as a URI. */
function proxyUri(proxy: string | undefined): string | undefined {
  if (proxy === undefined || proxy === '') return undefined;
  return /^sips?:/i.test(proxy) ? proxy : `sip:${proxy}`;
}
