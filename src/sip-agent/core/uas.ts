import { randomInt, randomUUID } from 'node:crypto';
import { refusalOfExtensions, refusalOutsideDialog } from '../guard/admission.js';
import { isSips, ownContact } from '../wire/client-headers.js';
import type { Core } from './core.js';
import { contactUri, Dialog } from '../dialog/dialog.js';
import type { Flow } from '../transport/flow.js';
import { parseNameAddr, parseRAck, splitHeaderList } from '../syntax/headers.js';
import { UasAnswers, type Pending } from './uas-answers.js';
import { isInitial, type IncomingRequest } from '../transaction/incoming-request.js';
import { InviteUsage } from '../dialog/invite-usage.js';
import type { Envelope, SipRequest, SipResponse } from '../syntax/message.js';
import { ACCEPT, isInDialogOnly, SUPPORTED } from '../syntax/methods.js';
import { waitsForTrying, type TransactionUser } from '../transaction/layer.js';
import type { WireClient } from '../wire/client.js';
import type { SipCommand } from '../wire/server.js';

/** OPTIONS that may wait for clients at once. */
const MAX_ASKED = 256;

/** User agent server (RFC 3261 section 8.2): refuses requests from the network, or gives them to a client. */
export class UserAgentServer implements TransactionUser {
  readonly #core: Core;
  readonly #answers: UasAnswers;
  /** OPTIONS given to clients; answered ones are removed when the set is full. */
  readonly #asked = new Set<IncomingRequest>();

  constructor(core: Core) {
    this.#core = core;
    this.#answers = new UasAnswers(core);
  }

  request(incoming: IncomingRequest): void {
    if (isInitial(incoming)) this.#receiveOutside(incoming);
    else this.#receiveInside(incoming);
  }

  acknowledge(ack: SipRequest, envelope: Envelope, flow: Flow): void {
    const usage = this.#core.usages.match(envelope);
    this.#hear(usage, flow);
    if (!usage?.acknowledge(envelope.cseq.number)) return;
    usage.client.fromNetwork({ flow, bytes: ack.toBuffer(), transactionId: randomUUID(), dialogId: usage.id });
  }

  cancel(invite: IncomingRequest, cancel: SipRequest): void {
    this.#answers.cancel(invite, cancel);
  }

  abandoned(incoming: IncomingRequest): void {
    this.#answers.abandoned(incoming);
  }

  /** A client's response. */
  answer(client: WireClient, command: SipCommand, given: SipResponse): void {
    this.#answers.answer(client, command, given);
  }

  /** Answers the pending requests of a client whose connection is lost. */
  clientGone(client: WireClient): void {
    this.#answers.clientGone(client);
  }

  /** A request with our tag proves that its sender receives our messages. */
  #hear(usage: InviteUsage | undefined, flow: Flow): void {
    if (!usage) return;
    usage.heard = true;
    this.#core.layer.peers.note(flow);
  }

  #receiveOutside(incoming: IncomingRequest): void {
    const { message, envelope, method } = incoming;
    const refusal = refusalOutsideDialog(message, envelope, this.#core.session);
    if (isInDialogOnly(method)) incoming.reply(481);
    else if (refusal) incoming.reply(refusal.status, refusal.header);
    else this.#offer(incoming);
  }

  #offer(incoming: IncomingRequest): void {
    const client = this.#core.pickClient(incoming.method);
    if (!client) this.#answerWithoutClient(incoming);
    else if (incoming.method === 'OPTIONS' && !this.#mayAsk(incoming)) incoming.reply(503, ['retry-after', '1']);
    else if (incoming.method === 'INVITE') this.#receiveInvite(incoming, client);
    else this.#forward({ incoming, client, usage: undefined });
  }

  /** Whether one more OPTIONS may wait for a client: peers send many of them, and a slow client has calls to handle. */
  #mayAsk(incoming: IncomingRequest): boolean {
    if (this.#asked.size >= MAX_ASKED) for (const each of this.#asked) if (!each.open) this.#asked.delete(each);
    if (this.#asked.size >= MAX_ASKED) return false;
    this.#asked.add(incoming);
    return true;
  }

  #answerWithoutClient(incoming: IncomingRequest): void {
    const { methods } = this.#core;
    const response = incoming.response(methods.statusWithoutClient(incoming.method));
    if (response.status !== 503) response.add('allow', methods.allow);
    if (response.status === 200) response.add('accept', ACCEPT).add('supported', SUPPORTED);
    incoming.send(response);
  }

  #receiveInvite(incoming: IncomingRequest, client: WireClient): void {
    const { flow } = incoming;
    const heard = this.#core.layer.peers.knows(flow);
    const verdict = this.#core.setups.judge(flow, heard);
    if (verdict === 'refuse') incoming.reply(503, ['retry-after', String(randomInt(5, 16))]);
    else if (verdict === 'ignore') incoming.forget();
    else this.#beginCall(incoming, client, heard);
  }

  #beginCall(incoming: IncomingRequest, client: WireClient, heard: boolean): void {
    const { flow } = incoming;
    const usage = new InviteUsage(Dialog.fromInvite(incoming, ownContact(flow, asksForSips(incoming.message))), client);
    if (!this.#core.usages.add(usage)) {
      usage.end();
      incoming.reply(482);
      return;
    }
    usage.heard = heard;
    usage.setup = this.#core.setups.begin(flow, heard);
    usage.beginInvite(incoming);
    this.#forward({ incoming, client, usage });
  }

  #receiveInside(incoming: IncomingRequest): void {
    const { message, envelope, method } = incoming;
    const usage = this.#core.usages.match(envelope);
    const { methods } = this.#core;
    const refusedMethod = methods.refusalOf(method);
    const refusal = refusalOfExtensions(message, this.#core.session);
    this.#hear(usage, incoming.flow);
    if (!usage) incoming.reply(481);
    else if (usage.dialog.state === 'ending') incoming.reply(method === 'BYE' ? 200 : 481);
    else if (refusedMethod) incoming.reply(refusedMethod, ['allow', methods.allow]);
    else if (refusal) incoming.reply(refusal.status, refusal.header);
    else if (!usage.dialog.acceptSequence(envelope.cseq.number)) incoming.reply(500);
    else this.#receiveInOrder(incoming, usage);
  }

  #receiveInOrder(incoming: IncomingRequest, usage: InviteUsage): void {
    if (incoming.method === 'INVITE') this.#receiveReinvite(incoming, usage);
    else if (incoming.method === 'UPDATE') this.#receiveUpdate(incoming, usage);
    else if (incoming.method === 'PRACK') this.#receivePrack(incoming, usage);
    else if (incoming.method === 'BYE') this.#receiveBye(incoming, usage);
    else if (usage.dialog.state === 'early') this.#receiveEarly(incoming);
    else this.#forward({ incoming, client: usage.client, usage });
  }

  /** RFC 3261 section 14.2. */
  #receiveReinvite(incoming: IncomingRequest, usage: InviteUsage): void {
    if (usage.incomingInvite) {
      incoming.reply(500, retryLater());
    } else if (usage.sentInvite?.pending) {
      incoming.reply(491);
    } else {
      usage.beginInvite(incoming);
      this.#forward({ incoming, client: usage.client, usage });
    }
  }

  /** RFC 3311 section 5.2, in an early dialog as later. */
  #receiveUpdate(incoming: IncomingRequest, usage: InviteUsage): void {
    const hasOffer = incoming.message.body.length > 0;
    if (usage.incomingUpdate || (hasOffer && usage.owesAnswer)) {
      incoming.reply(500, retryLater());
    } else if (hasOffer && usage.awaitsAnswer) {
      incoming.reply(491);
    } else {
      usage.incomingUpdate = incoming;
      usage.noteAllow(incoming.message);
      this.#forward({ incoming, client: usage.client, usage });
    }
  }

  /** RFC 3262 section 3: the client gets the PRACK before the next response is sent. */
  #receivePrack(incoming: IncomingRequest, usage: InviteUsage): void {
    const { message } = incoming;
    const rack = parseRAck(message.get('rack') ?? '');
    const { reliable } = usage;
    if (!rack || !reliable?.acknowledge(rack)) {
      incoming.reply(481);
      return;
    }
    // After its 2xx drachtio-srf would answer 501: its dialogs do not handle PRACK.
    const answered = reliable.holdsSuccess || usage.dialog.state === 'confirmed';
    if (answered && message.body.length === 0) incoming.reply(200);
    else this.#forward({ incoming, client: usage.client, usage });
    reliable.proceed();
  }

  /** In an early dialog the agent answers itself: clients know a dialog only from its 2xx on. */
  #receiveEarly(incoming: IncomingRequest): void {
    const { methods } = this.#core;
    const { method } = incoming;
    // There can be no subscription yet (RFC 6665 section 4.1.3), and no client for other methods.
    const response = incoming.response(method === 'NOTIFY' ? 481 : method === 'REFER' ? 403 : 200);
    if (method === 'OPTIONS') response.add('allow', methods.allow).add('accept', ACCEPT).add('supported', SUPPORTED);
    incoming.send(response);
  }

  /** RFC 3261 section 15.1.2. */
  #receiveBye(incoming: IncomingRequest, usage: InviteUsage): void {
    const { incomingInvite } = usage;
    if (usage.dialog.state === 'early') {
      // Only the caller may end a call that has not been answered.
      incoming.reply(incomingInvite ? 200 : 481);
      if (incomingInvite) this.#answers.withdraw(usage, incomingInvite);
      return;
    }
    if (incomingInvite) this.#answers.refuse(usage, incomingInvite, 487);
    this.#forward({ incoming, client: usage.client, usage });
    this.#core.usages.remove(usage);
  }

  #forward(pending: Pending): void {
    const { incoming, client, usage } = pending;
    const { message, flow, id: transactionId } = incoming;
    this.#answers.expect(pending);
    if (incoming.method === 'INVITE' && !waitsForTrying(incoming.envelope, flow)) incoming.reply(100);
    const dialogId = isInitial(incoming) ? '' : (usage?.id ?? '');
    client.fromNetwork({ flow, bytes: message.toBuffer(), transactionId, dialogId });
  }
}

/** RFC 3261 section 12.1.1: whether our Contact has to be a SIPS URI. */
function asksForSips(invite: SipRequest): boolean {
  const [route] = splitHeaderList(invite.get('record-route') ?? '');
  const next = route === undefined ? contactUri(invite) : parseNameAddr(route)?.uri;
  return isSips(invite.uri) || (next !== undefined && isSips(next));
}

/** Retry-After of RFC 3261 section 14.2: between 0 and 10 seconds. */
function retryLater(): readonly [string, string] {
  return ['retry-after', String(randomInt(0, 11))];
}
