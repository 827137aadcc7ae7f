import { ownContact, takeFromClient } from '../wire/client-headers.js';
import { isInitial, type IncomingRequest } from '../transaction/incoming-request.js';
import type { InviteUsage } from '../dialog/invite-usage.js';
import type { SipResponse } from '../syntax/message.js';
import type { Core } from './core.js';
import { EXTENSIONS, makesDialog, refreshesSession, refreshesTarget } from '../syntax/methods.js';
import { addOptionTag, RELIABLE, removeOptionTag, TIMER } from '../syntax/option-tags.js';
import {
  settleSession,
  termsForRequest,
  termsGiven,
  type SessionPolicy,
  type SessionTerms,
} from '../dialog/session-expires.js';

/** A request from the network and the dialog it belongs to, if any. */
export interface Answerable {
  readonly incoming: IncomingRequest;
  readonly usage: InviteUsage | undefined;
}

/** A response composed from a client's, and the session timer it agrees to. */
export interface ComposedResponse {
  readonly response: SipResponse;
  /** For a 2xx to a session refresh request; undefined: no session timer. */
  readonly terms: SessionTerms | undefined;
}

/** Throws an Error when the client's response cannot be sent as it is. */
export function composeResponse(
  answerable: Answerable,
  given: SipResponse,
  { session: policy, methods }: Pick<Core, 'session' | 'methods'>,
): ComposedResponse {
  const { incoming, usage } = answerable;
  const { method, message, flow } = incoming;
  const { status } = given;
  const response = incoming.response(status, given.reason);
  const accepts = status > 100 && status < 300;
  // RFC 3261 section 12.1.1: the route set of the new dialog.
  if (accepts && makesDialog(method) && isInitial(incoming)) {
    for (const route of message.getAll('record-route')) response.add('record-route', route);
  }
  takeFromClient(response, given, flow);
  if (accepts && refreshesTarget(method) && !response.has('contact')) {
    response.add('contact', usage?.dialog.contact ?? ownContact(flow));
  }
  // drachtio-srf copies the headers of a provisional response into the final one, which never requires 100rel.
  if (status >= 200) removeOptionTag(response, 'require', RELIABLE);
  if (status < 200 || !accepts) return { response, terms: undefined };
  announce(response, method, methods.allow);
  return { response, terms: agreeOnSession(answerable, response, policy) };
}

/** Adds Allow and Supported to a 2xx to INVITE and OPTIONS (RFC 3261 sections 11.2 and 13.3.1.4). */
function announce(response: SipResponse, method: string, allow: string): void {
  if (method !== 'INVITE' && method !== 'OPTIONS') return;
  if (!response.has('allow')) response.add('allow', allow);
  for (const tag of EXTENSIONS) addOptionTag(response, 'supported', tag);
}

function agreeOnSession({ incoming, usage }: Answerable, response: SipResponse, policy: SessionPolicy) {
  const { method, message } = incoming;
  // In an early dialog the 2xx to the INVITE settles the session timer.
  if (!usage || !refreshesSession(method) || (method === 'UPDATE' && usage.dialog.state === 'early')) return undefined;
  const terms = termsGiven(response, policy) ?? termsForRequest(message, policy, usage.session?.refresher);
  if (!terms) return undefined;
  addOptionTag(response, 'supported', TIMER);
  settleSession(response, message, terms);
  return terms;
}
