import { AnswerRetransmission } from '../dialog/answer-retransmission.js';
import { endCall, reportEnded } from './call-ending.js';
import { composeResponse, type Answerable, type ComposedResponse } from './compose-response.js';
import type { Core } from './core.js';
import { isInitial, type IncomingRequest } from '../transaction/incoming-request.js';
import type { InviteUsage } from '../dialog/invite-usage.js';
import type { SipRequest, SipResponse } from '../syntax/message.js';
import { refreshesSession, refreshesTarget } from '../syntax/methods.js';
import { hasOptionTag, RELIABLE } from '../syntax/option-tags.js';
import { deriveRequest } from '../transaction/outgoing-request.js';
import { ReliableProvisionals } from '../dialog/reliable-provisionals.js';
import { agreeOnSession } from './session-refresh.js';
import type { WireClient } from '../wire/client.js';
import type { SipCommand } from '../wire/server.js';

/** A request that a client has been given and not yet finally answered. */
export interface Pending extends Answerable {
  readonly client: WireClient;
}

interface PendingEntry extends Pending {
  /** Its 2xx waits for a PRACK: nothing can be changed about it any more, but the peer may still cancel. */
  held: boolean;
}

/** The requests that clients have been given, and what becomes of their answers. */
export class UasAnswers {
  readonly #core: Core;
  /** By transaction id. */
  readonly #pending = new Map<string, PendingEntry>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** A client is about to be given the request. */
  expect(pending: Pending): void {
    this.#pending.set(pending.incoming.id, { ...pending, held: false });
  }

  /** A client's response. */
  answer(client: WireClient, command: SipCommand, given: SipResponse): void {
    const pending = this.#pending.get(command.transactionId);
    if (pending?.client !== client) {
      client.failed(command.id, 'Response not sent due to unknown transaction');
      return;
    }
    if (pending.held) {
      client.failed(command.id, 'Response not sent as a final response was given before');
      return;
    }
    const { incoming } = pending;
    const composed = composeResponse(pending, given, this.#core);
    const refusal = this.#deliver(pending, composed);
    if (refusal !== undefined) {
      client.failed(command.id, refusal);
      return;
    }
    const bytes = composed.response.toBuffer();
    const dialogId = this.#dialogIdOf(pending, composed.response);
    client.sent(command.id, { flow: incoming.back, bytes, transactionId: incoming.id, dialogId });
  }

  /** The peer takes an INVITE back: the client hears of it as a CANCEL, which `why` is shown as. */
  withdraw(usage: InviteUsage, invite: IncomingRequest, why = cancelOf(invite.message), status = 487): void {
    const { flow, id: transactionId } = invite;
    const answered = this.#pending.get(transactionId)?.held === true;
    this.refuse(usage, invite, status);
    // A client that has answered no longer listens for a CANCEL.
    if (answered && isInitial(invite)) reportEnded(usage, 'CANCEL after 200 OK');
    else usage.client.fromNetwork({ flow, bytes: why.toBuffer(), transactionId, dialogId: usage.id });
    if (isInitial(invite)) this.#core.usages.remove(usage);
  }

  /** Refuses an INVITE without asking its client any more. */
  refuse(usage: InviteUsage, invite: IncomingRequest, status: number): void {
    usage.reliable?.stop();
    invite.reply(status);
    this.#pending.delete(invite.id);
    usage.endInvite();
  }

  /** The peer takes back an INVITE by a CANCEL. */
  cancel(invite: IncomingRequest, cancel: SipRequest): void {
    const usage = this.#pending.get(invite.id)?.usage;
    if (usage) this.withdraw(usage, invite, cancel);
  }

  /** Nobody has answered in time. */
  abandoned(incoming: IncomingRequest): void {
    const pending = this.#pending.get(incoming.id);
    if (!pending) return;
    const { method, envelope } = incoming;
    this.#core.logger.warn({ event: 'sip.unanswered', method, callId: envelope.callId });
    this.#settle(pending);
  }

  /** Nobody is left to answer what this client has been given. */
  clientGone(client: WireClient): void {
    for (const pending of this.#pending.values()) {
      if (pending.client !== client) continue;
      const { incoming, usage } = pending;
      this.#settle(pending);
      if (incoming.method === 'INVITE') usage?.reliable?.stop();
      incoming.reply(incoming.method === 'BYE' ? 200 : 503);
      if (usage?.dialog.state === 'early') this.#core.usages.remove(usage);
    }
  }

  /** Of the dialog the request belongs to, or made with this response; else empty. */
  #dialogIdOf({ incoming, client, usage }: Pending, response: SipResponse): string {
    if (usage) return usage.id;
    const subscribes = incoming.method === 'SUBSCRIBE' && response.status >= 200 && response.status < 300;
    return subscribes ? this.#core.subscriptions.add(incoming, response, client) : '';
  }

  /** Sends a response, now or when its turn comes. Returns why it cannot be sent, if it cannot. */
  #deliver(pending: PendingEntry, composed: ComposedResponse): string | undefined {
    const { incoming, usage } = pending;
    const { status } = composed.response;
    if (usage && incoming.method === 'INVITE' && status > 100 && status < 200) {
      return this.#sendProvisional(usage, incoming, composed.response);
    }
    const send = (): void => {
      incoming.send(composed.response);
      if (status >= 200) this.#answered(pending, composed);
    };
    if (!usage?.reliable || incoming !== usage.incomingInvite || status < 200) {
      send();
    } else if (status >= 300) {
      usage.reliable.stop();
      send();
    } else {
      pending.held = usage.reliable.holdsDescription;
      usage.reliable.sendSuccess(send);
    }
    return undefined;
  }

  /** A provisional response is reliable when the client or the INVITE requires it (RFC 3262 section 3). */
  #sendProvisional(usage: InviteUsage, invite: IncomingRequest, response: SipResponse): string | undefined {
    const required = hasOptionTag(invite.message, 'require', RELIABLE);
    if (required || hasOptionTag(response, 'require', RELIABLE)) {
      if (!required && !hasOptionTag(invite.message, 'supported', RELIABLE)) {
        return 'Remote endpoint does not support 100rel';
      }
      usage.reliable ??= this.#reliableProvisionals(usage, invite);
      if (!usage.reliable.send(response)) return 'Too many reliable provisional responses';
    } else {
      invite.send(response);
    }
    usage.describeEarly(response);
    return undefined;
  }

  #reliableProvisionals(usage: InviteUsage, invite: IncomingRequest): ReliableProvisionals {
    const { clock, timers, logger } = this.#core;
    const { callId, cseq } = invite.envelope;
    return new ReliableProvisionals({
      clock,
      timers,
      sequence: cseq.number,
      send: (response) => {
        invite.send(response);
      },
      gaveUp: () => {
        logger.warn({ event: 'sip.prack_timeout', callId });
        this.withdraw(usage, invite, undefined, 504);
      },
    });
  }

  /** Forgets a request that needs nothing more from the client. */
  #settle({ incoming, usage }: Pending): void {
    this.#pending.delete(incoming.id);
    if (usage?.incomingInvite === incoming) usage.endInvite();
    if (usage?.incomingUpdate === incoming) usage.incomingUpdate = undefined;
  }

  #answered(pending: Pending, { response, terms }: ComposedResponse): void {
    const { incoming, usage } = pending;
    this.#settle(pending);
    if (!usage || usage.dialog.state === 'ended') return;
    if (response.status >= 300) {
      if (isInitial(incoming)) this.#core.usages.remove(usage);
      return;
    }
    if (!isInitial(incoming) && refreshesTarget(incoming.method)) {
      usage.dialog.refreshTarget(incoming.message, incoming.flow);
      usage.holdFlow();
    }
    if (describesSession(incoming.method)) usage.describe(response);
    if (incoming.method === 'INVITE') this.#confirm(usage, incoming, response.toBuffer());
    if (refreshesSession(incoming.method)) agreeOnSession(this.#core, usage, terms, 'uas');
  }

  /** Our 2xx stands: it is repeated until the ACK, and without one the call ends (RFC 3261 section 13.3.1.4). */
  #confirm(usage: InviteUsage, { envelope, back }: IncomingRequest, bytes: Buffer): void {
    const { clock, timers, logger } = this.#core;
    const sequence = envelope.cseq.number;
    usage.dialog.state = 'confirmed';
    const retransmission = new AnswerRetransmission({
      clock,
      timers,
      heard: usage.heard,
      send: () => back.send(bytes),
      gaveUp: () => {
        logger.warn({ event: 'sip.ack_timeout', callId: envelope.callId });
        if (!usage.giveUpOnAck(sequence)) endCall(this.#core, usage, 'ACK timeout');
      },
    });
    usage.answered(sequence, retransmission);
  }
}

/** Whether a 2xx to it may hold a session description of ours (RFC 3261 section 13.2.1, RFC 3262 section 5, RFC 3311). */
function describesSession(method: string): boolean {
  return method === 'INVITE' || method === 'PRACK' || method === 'UPDATE';
}

/** What a client is shown for an INVITE that was taken back by other means. */
function cancelOf(invite: SipRequest): SipRequest {
  return deriveRequest(invite, 'CANCEL', invite.get('to') ?? '');
}
