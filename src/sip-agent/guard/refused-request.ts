import type { Envelope, SipRequest } from '../syntax/message.js';
import type { RefusedRequest } from './unknown-sources.js';
import { parseSipUri } from '../syntax/uri.js';

const MAX_URI_LENGTH = 128;
const MAX_USER_LENGTH = 64;
const MAX_AGENT_LENGTH = 64;

/** The log fields of a refused request: who sent it to whom, without the password in a URI. */
export function aboutRefused(request: SipRequest, { from }: Envelope, why: RefusedRequest): RefusedRequest {
  const userAgent = request.get('user-agent')?.slice(0, MAX_AGENT_LENGTH);
  const did = parseSipUri(request.uri)?.user?.slice(0, MAX_USER_LENGTH);
  return {
    method: request.method,
    from: withoutPassword(from.uri),
    ...(did === undefined ? undefined : { did }),
    ...(userAgent === undefined ? undefined : { userAgent }),
    ...why,
  };
}

function withoutPassword(uri: string): string {
  const parsed = parseSipUri(uri);
  if (!parsed) return uri.slice(0, MAX_URI_LENGTH);
  const { scheme, user, host } = parsed;
  const address = [user, host].filter((part) => part !== undefined && part !== '').join('@');
  return `${scheme}:${address}`.slice(0, MAX_URI_LENGTH);
}
