import { contactUri } from '../dialog/dialog.js';
import { isToken } from '../syntax/grammar.js';
import type { Envelope, SipRequest } from '../syntax/message.js';
import { isSupported, refreshesSession } from '../syntax/methods.js';
import { optionTags } from '../syntax/option-tags.js';
import { isSessionTooShort, type SessionPolicy } from '../dialog/session-expires.js';
import { uriScheme } from '../syntax/uri.js';

/** The response that refuses a request before it is given to a client. */
export interface Refusal {
  readonly status: number;
  readonly header?: readonly [name: string, value: string];
}

/** The checks of RFC 3261 section 8.2 on a request outside a dialog; undefined when it is accepted. */
export function refusalOutsideDialog(
  request: SipRequest,
  envelope: Envelope,
  policy: SessionPolicy,
): Refusal | undefined {
  // We may forward the call, which could loop (RFC 7332); an OPTIONS ends here.
  if (envelope.maxForwards === 0 && request.method !== 'OPTIONS') return { status: 483 };
  if (request.method === 'INVITE' && !canFormDialog(request, envelope)) return { status: 400 };
  return refusalOfExtensions(request, policy);
}

/** The checks on extensions, inside a dialog and outside. */
export function refusalOfExtensions(request: SipRequest, policy: SessionPolicy): Refusal | undefined {
  // RFC 3261 section 8.2.2.3.
  const unsupported = optionTags(request, 'require').filter((tag) => !isSupported(tag));
  if (unsupported.length > 0) return { status: 420, header: ['unsupported', unsupported.join(', ')] };
  // RFC 3891 section 3.
  if (request.method !== 'INVITE' && request.has('replaces')) return { status: 400 };
  // RFC 4028 section 9.
  if (!refreshesSession(request.method) || !isSessionTooShort(request, policy)) return undefined;
  return { status: 422, header: ['min-se', String(policy.minimumS)] };
}

/**
 * Whether an INVITE can form a dialog: its From tag is a token, or missing as in RFC 2543 (RFC 3261 section 12.1.1),
 * and it has a SIP Contact (section 8.1.1.8).
 */
function canFormDialog(request: SipRequest, { from }: Envelope): boolean {
  const contact = contactUri(request);
  const scheme = contact === undefined ? undefined : uriScheme(contact);
  return (from.tag === undefined || isToken(from.tag)) && (scheme === 'sip' || scheme === 'sips');
}
