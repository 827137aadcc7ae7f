import { randomInt, randomUUID } from 'node:crypto';
import { refusalOfExtensions, refusalOutsideDialog } from './admission.js';
import { AnswerRetransmission } from './answer-retransmission.js';
import { endCall } from './call-ending.js';
import { ownContact, takeFromClient } from './client-headers.js';
import type { Core } from './core.js';
import { Dialog } from './dialog.js';
import type { Flow } from './flow.js';
import type { IncomingRequest } from './incoming-request.js';
import { InviteUsage } from './invite-usage.js';
import type { Envelope, SipRequest, SipResponse } from './message.js';
import { ALLOW, isInDialogOnly, refreshesTarget, refusalOfMethod, statusWithoutClient } from './methods.js';
import { deriveRequest } from './outgoing-request.js';
import type { TransactionUser } from './transaction-layer.js';
import type { WireClient } from './wire-client.js';
import type { SipCommand } from './wire-server.js';

/** A request that a client has been given and not yet finally answered. */
interface Pending {
  readonly incoming: IncomingRequest;
  readonly client: WireClient;
  readonly usage: InviteUsage | undefined;
}

/** Requests from the network: which are refused, to which client the others go, and how its answers go back. */
export class InboundRequests implements TransactionUser {
  readonly #core: Core;
  /** By transaction id. */
  readonly #pending = new Map<string, Pending>();

  constructor(core: Core) {
    this.#core = core;
  }

  request(incoming: IncomingRequest): void {
    if (incoming.envelope.to.tag === undefined) this.#receiveOutside(incoming);
    else this.#receiveInside(incoming);
  }

  acknowledge(ack: SipRequest, envelope: Envelope, flow: Flow): void {
    const usage = this.#core.usages.match(envelope);
    if (!usage?.acknowledge(envelope.cseq.number)) return;
    usage.client.fromNetwork({ flow, bytes: ack.toBuffer(), transactionId: randomUUID(), dialogId: usage.id });
  }

  cancel(invite: IncomingRequest, cancel: SipRequest): void {
    const pending = this.#pending.get(invite.id);
    if (pending?.usage) this.#withdraw(pending.usage, invite, cancel);
  }

  abandoned(incoming: IncomingRequest): void {
    const pending = this.#pending.get(incoming.id);
    if (!pending) return;
    this.#core.logger.warn({
      event: 'sip.unanswered',
      method: incoming.method,
      callId: incoming.envelope.callId,
    });
    this.#settle(pending);
  }

  /** A client's response. */
  answer(client: WireClient, command: SipCommand, given: SipResponse): void {
    const pending = this.#pending.get(command.transactionId);
    if (pending?.client !== client) {
      client.failed(command.id, 'Response not sent due to unknown transaction');
      return;
    }
    const { incoming, usage } = pending;
    const response = composeResponse(pending, given);
    const bytes = response.toBuffer();
    incoming.send(response);
    if (response.status >= 200) this.#answered(pending, response.status, bytes);
    const dialogId = usage?.id ?? '';
    client.sent(command.id, { flow: incoming.back, bytes, transactionId: incoming.id, dialogId });
  }

  /** Nobody is left to answer what this client has been given. */
  clientGone(client: WireClient): void {
    for (const pending of this.#pending.values()) {
      if (pending.client !== client) continue;
      this.#settle(pending);
      pending.incoming.reply(pending.incoming.method === 'BYE' ? 200 : 503);
      if (pending.usage?.dialog.state === 'early') this.#core.usages.remove(pending.usage);
    }
  }

  #receiveOutside(incoming: IncomingRequest): void {
    const { message, envelope, method } = incoming;
    const refusal = refusalOutsideDialog(message, envelope);
    if (isInDialogOnly(method)) incoming.reply(481);
    else if (refusal) incoming.reply(refusal.status, refusal.header);
    else this.#offer(incoming);
  }

  #offer(incoming: IncomingRequest): void {
    const client = this.#core.pickClient(incoming.method);
    if (!client) this.#answerWithoutClient(incoming);
    else if (incoming.method === 'INVITE') this.#receiveInvite(incoming, client);
    else this.#forward({ incoming, client, usage: undefined });
  }

  #answerWithoutClient(incoming: IncomingRequest): void {
    const response = incoming.response(statusWithoutClient(incoming.method));
    if (response.status !== 503) response.add('allow', ALLOW);
    if (response.status === 200) response.add('accept', 'application/sdp');
    incoming.send(response);
  }

  #receiveInvite(incoming: IncomingRequest, client: WireClient): void {
    const usage = new InviteUsage(Dialog.fromInvite(incoming, ownContact(incoming.flow)), client);
    if (!this.#core.usages.add(usage)) {
      usage.end();
      incoming.reply(482);
      return;
    }
    usage.incomingInvite = incoming;
    this.#forward({ incoming, client, usage });
  }

  #receiveInside(incoming: IncomingRequest): void {
    const { message, envelope, method } = incoming;
    const usage = this.#core.usages.match(envelope);
    const refusedMethod = refusalOfMethod(method);
    const refusal = refusalOfExtensions(message);
    if (!usage || method === 'PRACK') incoming.reply(481);
    else if (usage.dialog.state === 'ending') incoming.reply(method === 'BYE' ? 200 : 481);
    else if (refusedMethod) incoming.reply(refusedMethod, ['allow', ALLOW]);
    else if (refusal) incoming.reply(refusal.status, refusal.header);
    else if (!usage.dialog.acceptSequence(envelope.cseq.number)) incoming.reply(500);
    else this.#receiveInOrder(incoming, usage);
  }

  #receiveInOrder(incoming: IncomingRequest, usage: InviteUsage): void {
    if (incoming.method === 'INVITE') this.#receiveReinvite(incoming, usage);
    else if (incoming.method === 'UPDATE') this.#receiveUpdate(incoming, usage);
    else if (incoming.method === 'BYE') this.#receiveBye(incoming, usage);
    else this.#forward({ incoming, client: usage.client, usage });
  }

  /** RFC 3261 section 14.2. */
  #receiveReinvite(incoming: IncomingRequest, usage: InviteUsage): void {
    if (usage.incomingInvite) {
      incoming.reply(500, retryLater());
    } else if (usage.sentInvite?.pending) {
      incoming.reply(491);
    } else {
      usage.incomingInvite = incoming;
      this.#forward({ incoming, client: usage.client, usage });
    }
  }

  /** RFC 3311 section 5.2. */
  #receiveUpdate(incoming: IncomingRequest, usage: InviteUsage): void {
    const hasOffer = incoming.message.body.length > 0;
    if (usage.incomingUpdate) {
      incoming.reply(500, retryLater());
    } else if (hasOffer && (usage.sentInvite?.pending || usage.sentUpdates > 0)) {
      incoming.reply(491);
    } else {
      usage.incomingUpdate = incoming;
      this.#forward({ incoming, client: usage.client, usage });
    }
  }

  /** RFC 3261 section 15.1.2. */
  #receiveBye(incoming: IncomingRequest, usage: InviteUsage): void {
    const { incomingInvite } = usage;
    if (usage.dialog.state === 'early') {
      // Only the caller may end a call that has not been answered.
      incoming.reply(incomingInvite ? 200 : 481);
      if (incomingInvite) this.#withdraw(usage, incomingInvite, cancelOf(incomingInvite.message));
      return;
    }
    if (incomingInvite) this.#terminateInvite(usage, incomingInvite);
    this.#forward({ incoming, client: usage.client, usage });
    this.#core.usages.remove(usage);
  }

  #forward(pending: Pending): void {
    const { incoming, client, usage } = pending;
    const { message, flow, id: transactionId } = incoming;
    this.#pending.set(transactionId, pending);
    if (incoming.method === 'INVITE') incoming.reply(100);
    const dialogId = isInitial(incoming) ? '' : (usage?.id ?? '');
    client.fromNetwork({ flow, bytes: message.toBuffer(), transactionId, dialogId });
  }

  /** The peer takes an INVITE back: the client hears of it as a CANCEL. */
  #withdraw(usage: InviteUsage, invite: IncomingRequest, cancel: SipRequest): void {
    const { flow, id: transactionId } = invite;
    this.#terminateInvite(usage, invite);
    usage.client.fromNetwork({ flow, bytes: cancel.toBuffer(), transactionId, dialogId: usage.id });
    if (isInitial(invite)) this.#core.usages.remove(usage);
  }

  #terminateInvite(usage: InviteUsage, invite: IncomingRequest): void {
    invite.reply(487);
    this.#pending.delete(invite.id);
    usage.incomingInvite = undefined;
  }

  /** Forgets a request that needs nothing more from the client. */
  #settle({ incoming, usage }: Pending): void {
    this.#pending.delete(incoming.id);
    if (usage?.incomingInvite === incoming) usage.incomingInvite = undefined;
    if (usage?.incomingUpdate === incoming) usage.incomingUpdate = undefined;
  }

  #answered(pending: Pending, status: number, bytes: Buffer): void {
    const { incoming, usage } = pending;
    this.#settle(pending);
    if (!usage || usage.dialog.state === 'ended') return;
    if (status >= 300) {
      if (isInitial(incoming)) this.#core.usages.remove(usage);
      return;
    }
    if (!isInitial(incoming) && refreshesTarget(incoming.method)) {
      usage.dialog.refreshTarget(incoming.message, incoming.flow);
      usage.holdFlow();
    }
    if (incoming.method === 'INVITE') this.#confirm(usage, incoming, bytes);
  }

  /** Our 2xx stands: it is repeated until the ACK, and without one the call ends (RFC 3261 section 13.3.1.4). */
  #confirm(usage: InviteUsage, { envelope, back }: IncomingRequest, bytes: Buffer): void {
    const { clock, timers, logger } = this.#core;
    const sequence = envelope.cseq.number;
    usage.dialog.state = 'confirmed';
    const retransmission = new AnswerRetransmission({
      clock,
      timers,
      send: () => {
        back.send(bytes);
      },
      gaveUp: () => {
        logger.warn({ event: 'sip.ack_timeout', callId: envelope.callId });
        if (!usage.giveUpOnAck(sequence)) endCall(this.#core, usage, 'ACK timeout');
      },
    });
    usage.answered(sequence, retransmission);
  }
}

/** Whether a request came before there was a dialog. */
function isInitial(incoming: IncomingRequest): boolean {
  return incoming.envelope.to.tag === undefined;
}

/** Throws an Error when the client's response cannot be sent as it is. */
function composeResponse({ incoming, usage }: Pending, given: SipResponse): SipResponse {
  const { method, message, flow } = incoming;
  const { status } = given;
  const response = incoming.response(status, given.reason);
  const accepts = status > 100 && status < 300;
  // RFC 3261 section 12.1.1: the route set of the dialog to be.
  if (accepts && method === 'INVITE' && isInitial(incoming)) {
    for (const route of message.getAll('record-route')) response.add('record-route', route);
  }
  takeFromClient(response, given, flow);
  if (accepts && refreshesTarget(method) && !response.has('contact')) {
    response.add('contact', usage?.dialog.contact ?? ownContact(flow));
  }
  const announces = accepts && status >= 200 && (method === 'INVITE' || method === 'OPTIONS');
  if (announces && !response.has('allow')) response.add('allow', ALLOW);
  return response;
}

/** What a client is shown for an INVITE that was ended by a BYE. */
function cancelOf(invite: SipRequest): SipRequest {
  return deriveRequest(invite, 'CANCEL', invite.get('to') ?? '');
}

/** RFC 3261 section 14.2: between 0 and 10 seconds. */
function retryLater(): readonly [string, string] {
  return ['retry-after', String(randomInt(0, 11))];
}
