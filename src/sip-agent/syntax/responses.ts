import { SipResponse, type SipRequest } from './message.js';

/** Reason phrases of the statuses that the agent sends itself. */
const REASONS: Readonly<Record<number, string>> = {
  100: 'Trying',
  200: 'OK',
  400: 'Bad Request',
  403: 'Forbidden',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Request Entity Too Large',
  414: 'Request-URI Too Long',
  416: 'Unsupported URI Scheme',
  420: 'Bad Extension',
  422: 'Session Interval Too Small',
  481: 'Call/Transaction Does Not Exist',
  482: 'Loop Detected',
  483: 'Too Many Hops',
  487: 'Request Terminated',
  491: 'Request Pending',
  500: 'Server Internal Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
  504: 'Server Time-out',
  505: 'Version Not Supported',
  513: 'Message Too Large',
};

/** Whether a status is a 2xx. */
export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/** The header fields a response copies from its request, in this order (RFC 3261 section 8.2.6.2). */
const COPIED = ['via', 'from', 'to', 'call-id', 'cseq'] as const;

/**
 * The minimal response to a request. `toTag` is added to a To that has none (every response but 100 needs it). A header
 * field that a malformed request lacks is missing here too.
 */
export function responseTo(request: SipRequest, status: number, toTag?: string, reason?: string): SipResponse {
  const response = new SipResponse(status, reason ?? REASONS[status] ?? 'Unknown');
  for (const name of COPIED) for (const value of request.getAll(name)) response.add(name, value);
  // RFC 3261 section 8.2.6.1.
  const timestamp = status === 100 ? request.get('timestamp') : undefined;
  if (timestamp !== undefined) response.add('timestamp', timestamp);
  if (toTag !== undefined) addToTag(response, toTag);
  return response;
}

function addToTag(response: SipResponse, toTag: string): void {
  const to = response.get('to');
  if (to !== undefined && !hasTag(to)) response.set('to', `${to};tag=${toTag}`);
}

/** Whether a From or To value has a tag: a header parameter after the address, not a URI parameter or a display name. */
function hasTag(value: string): boolean {
  return /;\s*tag\s*=/i.test(value.slice(value.lastIndexOf('>') + 1));
}
