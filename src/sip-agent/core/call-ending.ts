import type { Core } from './core.js';
import { errorText } from '../environment.js';
import type { Dialog } from '../dialog/dialog.js';
import type { Flow } from '../transport/flow.js';
import type { InviteUsage } from '../dialog/invite-usage.js';
import type { SipRequest } from '../syntax/message.js';
import type { ResponseHandlers } from '../transaction/layer.js';
import { targetOf } from '../transport/target.js';

/** The flow for requests inside a dialog. Rejects when the next hop cannot be reached. */
export async function flowInside(core: Core, dialog: Dialog): Promise<Flow> {
  const next = dialog.nextHop();
  if ('flow' in next) return next.flow;
  const flow = await core.flowTo(targetOf(next.uri));
  dialog.peers.add(flow.remote.address);
  return flow;
}

/**
 * Ends a confirmed call with a BYE of the agent's own and reports it to the client, which did not ask for it. Does nothing in
 * other states.
 */
export function endCall(core: Core, usage: InviteUsage, reason: string): void {
  const { dialog } = usage;
  if (dialog.state !== 'confirmed') return;
  const bye = byeFor(dialog, reason);
  dialog.state = 'ending';
  reportBye(usage, bye);
  void sendBye(core, usage, bye, () => core.usages.remove(usage));
}

/** Reports to the client that an unconfirmed call has ended, as if by a BYE. */
export function reportEnded(usage: InviteUsage, reason: string): void {
  reportBye(usage, byeFor(usage.dialog, reason));
}

/**
 * Acknowledges a 2xx and at once ends its call: that of a second fork, or one whose client has gone. Returns a function that
 * retransmits the ACK, for a retransmitted 2xx.
 */
export async function acceptAndEnd(core: Core, dialog: Dialog, sequence: number, reason: string): Promise<() => void> {
  const ack = dialog.request('ACK', sequence);
  const bye = byeFor(dialog, reason);
  const flow = await flowInside(core, dialog);
  const bytes = core.layer.sendAck(ack, flow);
  core.layer.send(bye, flow, { response: () => undefined, failed: () => undefined });
  return () => flow.send(bytes);
}

function reportBye({ dialog, client, id }: InviteUsage, bye: SipRequest): void {
  client.unsolicited({ flow: dialog.flow, bytes: bye.toBuffer(), dialogId: id });
}

function byeFor(dialog: Dialog, reason: string): SipRequest {
  return dialog.request('BYE').add('reason', `SIP ;cause=200 ;text="${reason}"`);
}

async function sendBye(core: Core, usage: InviteUsage, bye: SipRequest, done: () => void): Promise<void> {
  const { dialog, heard } = usage;
  const handlers: ResponseHandlers = {
    response: ({ status }) => {
      if (status >= 200) done();
    },
    failed: done,
  };
  try {
    core.layer.send(bye, await flowInside(core, dialog), handlers, { once: !heard });
  } catch (error) {
    core.logger.warn({ event: 'sip.bye_not_sent', callId: dialog.callId, reason: errorText(error) });
    done();
  }
}
