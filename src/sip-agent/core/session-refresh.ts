import { randomInt } from 'node:crypto';
import { endCall, flowInside } from './call-ending.js';
import type { ClientFailure } from '../transaction/client.js';
import type { Core } from './core.js';
import { errorText } from '../environment.js';
import type { Dialog } from '../dialog/dialog.js';
import type { Flow } from '../transport/flow.js';
import type { InviteUsage } from '../dialog/invite-usage.js';
import type { SipRequest } from '../syntax/message.js';
import { addOptionTag, TIMER } from '../syntax/option-tags.js';
import type { ReceivedResponse } from '../transaction/outgoing-request.js';
import { isSuccess } from '../syntax/responses.js';
import { SentInvite } from '../dialog/sent-invite.js';
import { statusOf } from './sent-request.js';
import {
  askForSession,
  minSeOf,
  termsOfResponse,
  type Refresher,
  type SessionTerms,
} from '../dialog/session-expires.js';
import { SessionTimer } from '../dialog/session-timer.js';

/** drachtio-server's reason for the end of such a call; clients may compare it. */
const EXPIRED = 'Session timer expired';

/** The outcome of a refresh. */
type RefreshOutcome = ReceivedResponse | ClientFailure;

/**
 * Applies the session timer of a 2xx to a session refresh request of either side; without terms the timer is stopped.
 * `role` is our role in that request.
 */
export function agreeOnSession(core: Core, usage: InviteUsage, terms: SessionTerms | undefined, role: Refresher): void {
  if (usage.dialog.state !== 'confirmed') return;
  if (terms) {
    usage.session ??= newSession(core, usage);
    usage.session.agree(terms.intervalS, terms.refresher === role ? 'local' : 'remote');
  } else {
    usage.session?.stop();
    usage.session = undefined;
  }
}

/**
 * Adds the session timer to a session refresh request of ours, unless the client has set one: Supported, and the
 * Session-Expires of the present session, or of the wanted one (RFC 4028 section 7.1).
 */
export function mentionSession({ session: policy }: Core, request: SipRequest, session?: SessionTimer): void {
  addOptionTag(request, 'supported', TIMER);
  if (request.has('session-expires')) return;
  const minSeS = Math.max(policy.minimumS, session?.minSeS ?? 0);
  const intervalS = session?.intervalS ?? policy.wantedS;
  if (intervalS === undefined) return;
  const refresher = session && (session.refresher === 'local' ? 'uac' : 'uas');
  askForSession(request, { intervalS: Math.max(intervalS, minSeS), ...(refresher && { refresher }) }, minSeS);
}

function newSession(core: Core, usage: InviteUsage): SessionTimer {
  const { callId } = usage.dialog;
  const session = new SessionTimer({
    clock: core.clock,
    refresh: () => {
      usage.refreshing = refresh(core, usage, session)
        .catch((error: unknown) => {
          core.logger.warn({ event: 'sip.session_not_refreshed', callId, reason: errorText(error) });
          session.retry();
        })
        .finally(() => {
          usage.refreshing = undefined;
        });
    },
    expired: () => {
      core.logger.warn({ event: 'sip.session_expired', callId });
      endCall(core, usage, EXPIRED);
    },
  });
  return session;
}

/** Sends one refresh. Settles when another INVITE may be sent. */
async function refresh(core: Core, usage: InviteUsage, session: SessionTimer): Promise<void> {
  const { dialog } = usage;
  const flow = await flowInside(core, dialog);
  if (dialog.state !== 'confirmed') return;
  if (usage.inviteUnderWay || usage.sentInvite?.awaitsAck) {
    session.retry(glareDelayMs(dialog));
    return;
  }
  // RFC 4028 section 7.4: an UPDATE needs no offer.
  const byUpdate = usage.peerAllowsUpdate || !usage.localDescription;
  const request = composeRefresh(core, usage, session, byUpdate ? 'UPDATE' : 'INVITE');
  const outcome = byUpdate ? await sendUpdate(core, request, flow) : await sendReinvite(core, usage, request, flow);
  conclude(core, usage, session, request, outcome);
}

function composeRefresh(
  core: Core,
  { dialog, localDescription }: InviteUsage,
  session: SessionTimer,
  method: 'INVITE' | 'UPDATE',
): SipRequest {
  const request = dialog.request(method).add('contact', dialog.contact).add('allow', core.methods.allow);
  mentionSession(core, request, session);
  if (method === 'INVITE' && localDescription) {
    request.add('content-type', localDescription.contentType);
    request.body = localDescription.body;
  }
  return request;
}

function sendUpdate(core: Core, request: SipRequest, flow: Flow): Promise<RefreshOutcome> {
  return new Promise((resolve) =>
    core.layer.send(request, flow, {
      response: (response) => {
        if (response.status >= 200) resolve(response);
      },
      failed: resolve,
    }),
  );
}

function sendReinvite(core: Core, usage: InviteUsage, request: SipRequest, flow: Flow): Promise<RefreshOutcome> {
  const invite = new SentInvite(Number.parseInt(request.get('cseq') ?? '', 10), true);
  usage.sentInvite = invite;
  return new Promise((resolve) => {
    const settle = (outcome: RefreshOutcome, accepted: boolean): void => {
      invite.pending = false;
      if (!accepted && usage.sentInvite === invite) usage.sentInvite = undefined;
      resolve(outcome);
    };
    invite.invite = core.layer.sendInvite(request, flow, {
      response: (response) => {
        const accepted = isSuccess(response.status);
        if (!invite.pending) {
          invite.repeatAck();
        } else if (response.status >= 200) {
          if (accepted) acknowledge(core, usage.dialog, invite, response);
          settle(response, accepted);
        }
      },
      failed: (failure) => settle(failure, false),
    });
  });
}

function acknowledge(core: Core, dialog: Dialog, invite: SentInvite, { message }: ReceivedResponse): void {
  dialog.refreshTarget(message, dialog.flow);
  const ack = dialog.request('ACK', invite.sequence);
  flowInside(core, dialog)
    .then((flow) => invite.acknowledged(core.layer.sendAck(ack, flow), flow))
    .catch((error: unknown) =>
      core.logger.warn({ event: 'sip.ack_not_sent', callId: dialog.callId, reason: errorText(error) }),
    );
}

/** Handles the outcome of a refresh (RFC 4028 section 10). */
function conclude(
  core: Core,
  usage: InviteUsage,
  session: SessionTimer,
  request: SipRequest,
  outcome: RefreshOutcome,
): void {
  const response = typeof outcome === 'string' ? undefined : outcome.message;
  const status = typeof outcome === 'string' ? statusOf(outcome) : outcome.status;
  if (usage.dialog.state !== 'confirmed') return;
  if (response && status < 300) {
    usage.noteAllow(response);
    usage.dialog.refreshTarget(response, usage.dialog.flow);
    agreeOnSession(core, usage, termsOfResponse(request, response, core.session), 'uac');
  } else if (status === 408 || status === 481) {
    endCall(core, usage, EXPIRED);
  } else if (status === 422 && response) {
    // The first 422 is retried at once; a peer that raises its minimum again waits as after any refusal.
    const again = session.minSeS === 0 ? 0 : undefined;
    session.minSeS = Math.max(session.minSeS, minSeOf(response));
    session.retry(again);
  } else if (status === 491) {
    session.retry(glareDelayMs(usage.dialog));
  } else if ((status === 405 || status === 501) && request.method === 'UPDATE') {
    usage.peerAllowsUpdate = false;
    session.retry(0);
  } else {
    session.retry();
  }
}

/** RFC 3261 section 14.1: the side that chose the Call-ID waits longer, in steps of 10 ms. */
function glareDelayMs({ role }: Dialog): number {
  return 10 * (role === 'uac' ? randomInt(210, 401) : randomInt(0, 201));
}
