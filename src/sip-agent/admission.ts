import { contactUri } from './dialog.js';
import { splitHeaderList } from './headers.js';
import { isToken } from './grammar.js';
import type { Envelope, SipRequest } from './message.js';
import { uriScheme } from './uri.js';

/** Option tags a request may require of us. */
const SUPPORTED_EXTENSIONS: ReadonlySet<string> = new Set();

/** Why a request is refused before anybody is asked. */
export interface Refusal {
  readonly status: number;
  readonly header?: readonly [name: string, value: string];
}

/** The checks of RFC 3261 section 8.2 on a request outside a dialog; undefined when it may go on. */
export function refusalOutsideDialog(request: SipRequest, envelope: Envelope): Refusal | undefined {
  // Behind us calls can be forwarded, so that they may come round again (RFC 7332); a probe may end here.
  if (envelope.maxForwards === 0 && request.method !== 'OPTIONS') return { status: 483 };
  if (request.method === 'INVITE' && !canFormDialog(request, envelope)) return { status: 400 };
  return refusalOfExtensions(request);
}

/** RFC 3261 section 8.2.2.3. */
export function refusalOfExtensions(request: SipRequest): Refusal | undefined {
  const unsupported = request
    .getAll('require')
    .flatMap(splitHeaderList)
    .filter((tag) => !SUPPORTED_EXTENSIONS.has(tag.toLowerCase()));
  if (unsupported.length === 0) return undefined;
  return { status: 420, header: ['unsupported', unsupported.join(', ')] };
}

/** A From tag that can be part of a dialog's name, and one SIP Contact to reach the caller at (RFC 3261 section 8.1.1.8). */
function canFormDialog(request: SipRequest, { from }: Envelope): boolean {
  const contact = contactUri(request);
  const scheme = contact === undefined ? undefined : uriScheme(contact);
  return from.tag !== undefined && isToken(from.tag) && (scheme === 'sip' || scheme === 'sips');
}
