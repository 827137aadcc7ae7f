import { quotable } from './text.js';

/** Characters of the body that are read: only its status line matters. */
const MAX_STATUS_LINE = 256;

const STATUS_LINE = /^SIP\/2\.0 +([1-6]\d\d)(?: +([^\r\n]*))?(?:[\r\n]|$)/;

export interface SipFragment {
  readonly status: number;
  /** Reason phrase, fit for a log line or a quoted-string. */
  readonly reason: string;
}

/** The status line a `message/sipfrag` body (RFC 3420) begins with; undefined when it begins with none. */
export function parseSipFragment(body: string): SipFragment | undefined {
  const match = STATUS_LINE.exec(body.slice(0, MAX_STATUS_LINE));
  return match ? { status: Number(match[1]), reason: quotable(match[2] ?? '').trim() } : undefined;
}
