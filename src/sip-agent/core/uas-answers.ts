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

/** A request that was given to a client and has no final response yet. */
export interface Pending extends Answerable {
  readonly client: WireClient;
}

interface PendingEntry extends Pending {
  /** Its 2xx waits for a PRACK: the client cannot change it any more, but the peer may still cancel. */
  held: boolean;
}

/** The requests given to clients, and the handling of their responses. */
export class UasAnswers {
  readonly #core: Core;
  /** By transaction id. */
  readonly #pending = new Map<string, PendingEntry>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** Called before a request is given to its client. */
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

  /** The peer withdraws an INVITE: refuses it with `status` and gives the client a CANCEL, `why`. */
  withdraw(usage: InviteUsage, invite: IncomingRequest, why = cancelOf(invite.message), status = 487): void {
    const { flow, id: transactionId } = invite;
    const answered = this.#pending.get(transactionId)?.held === true;
    this.refuse(usage, invite, status);
    // A client that has sent its 2xx no longer handles a CANCEL.
    if (answered && isInitial(invite)) reportEnded(usage, 'CANCEL after 200 OK');
    else usage.client.fromNetwork({ flow, bytes: why.toBuffer(), transactionId, dialogId: usage.id });
    if (isInitial(invite)) this.#core.usages.remove(usage);
  }

  /** Refuses an INVITE in place of its client. */
  refuse(usage: InviteUsage, invite: IncomingRequest, status: number): void {
    usage.reliable?.stop();
    invite.reply(status);
    this.#pending.delete(invite.id);
    usage.endInvite();
  }

  /** The peer's CANCEL of an INVITE. */
  cancel(invite: IncomingRequest, cancel: SipRequest): void {
    const usage = this.#pending.get(invite.id)?.usage;
    if (usage) this.withdraw(usage, invite, cancel);
  }

  /** The client has not answered in time. */
  abandoned(incoming: IncomingRequest): void {
    const pending = this.#pending.get(incoming.id);
    if (!pending) return;
    const { method, envelope } = incoming;
    this.#core.logger.warn({ event: 'sip.unanswered', method, callId: envelope.callId });
    this.#settle(pending);
  }

  /** Answers the pending requests of a client whose connection is lost. */
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

  /** The id of the dialog that the request belongs to or that this response makes; else ''. */
  #dialogIdOf({ incoming, client, usage }: Pending, response: SipResponse): string {
    if (usage) return usage.id;
    const subscribes = incoming.method === 'SUBSCRIBE' && response.status >= 200 && response.status < 300;
    return subscribes ? this.#core.subscriptions.add(incoming, response, client) : '';
  }

  /** Sends a response, at once or after earlier reliable ones. Returns the error when it cannot be sent. */
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

  /** Removes a request that needs no response from the client any more. */
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

  /** Our 2xx was sent: it is retransmitted until the ACK, and without one the call ends (RFC 3261 section 13.3.1.4). */
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

/** Whether a 2xx to the method may hold our session description (RFC 3261 section 13.2.1, RFC 3262 section 5, RFC 3311). */
function describesSession(method: string): boolean {
  return method === 'INVITE' || method === 'PRACK' || method === 'UPDATE';
}

/** The CANCEL for the client when an INVITE ended without a CANCEL of the peer. */
function cancelOf(invite: SipRequest): SipRequest {
  return deriveRequest(invite, 'CANCEL', invite.get('to') ?? '');
}
