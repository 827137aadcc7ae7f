import { CODE } from './grammar.js';
import { malformed, parseHead } from './head.js';
import { LIMITS } from './limits.js';
import type { SipRequest, SipResponse } from './message.js';
import { judge, refuse, type ParseResult } from './parse-result.js';

export type { ParseFailure, ParseResult } from './parse-result.js';
export { StreamParser, type StreamItem } from './stream-parser.js';

const LINE_BREAK = Buffer.from('\r\n');
const EMPTY_LINE = Buffer.from('\r\n\r\n');

/**
 * Parses one datagram and makes the checks of every element (RFC 3261 sections 7, 8.1.1, 16.3 and 18.3). Never throws;
 * octets beyond the Content-Length are ignored. A datagram of line breaks only is a keep-alive of some peers and fails
 * without a `partial`, as all noise does.
 */
export function parseDatagram(bytes: Buffer): ParseResult {
  const start = skipLineBreaks(bytes);
  const headEnd = bytes.indexOf(EMPTY_LINE, start);
  const head = parseHead(bytes, start, headEnd < 0 ? bytes.length : headEnd);
  if (bytes.length > LIMITS.messageBytes) return refuse(head, { status: 413, reason: 'Request Entity Too Large' });
  if (headEnd < 0) return refuse(head, head.fault ?? malformed('No empty line after the header'));
  const bodyStart = headEnd + EMPTY_LINE.length;
  const available = bytes.length - bodyStart;
  const wanted = typeof head.contentLength === 'number' ? head.contentLength : available;
  if (wanted > available) return refuse(head, head.fault ?? malformed('Body shorter than Content-Length'));
  return judge(head, Buffer.from(bytes.subarray(bodyStart, bodyStart + wanted)));
}

/** Refuses a datagram beyond `LIMITS.datagramBytes` with a 513 (RFC 3261 section 21.5.7); only its beginning is parsed. */
export function refuseOversized(bytes: Buffer): ParseResult {
  const beginning = bytes.subarray(skipLineBreaks(bytes), LIMITS.oversizedHeadBytes);
  const headEnd = beginning.indexOf(EMPTY_LINE);
  const lastLineEnd = beginning.lastIndexOf(LINE_BREAK);
  const head = parseHead(beginning, 0, headEnd < 0 ? Math.max(0, lastLineEnd) : headEnd);
  return refuse(head, { status: 513, reason: 'Message Too Large' });
}

/**
 * Parses a message of our own client, which lacks the header fields that the agent adds: only its syntax is checked, and
 * everything after the empty line is the body. Undefined when malformed.
 */
export function parseMessage(bytes: Buffer): SipRequest | SipResponse | undefined {
  const headEnd = bytes.indexOf(EMPTY_LINE);
  const { message, fault } = parseHead(bytes, 0, headEnd < 0 ? bytes.length : headEnd);
  if (!message || fault) return undefined;
  if (headEnd >= 0) message.body = Buffer.from(bytes.subarray(headEnd + EMPTY_LINE.length));
  return message;
}

/** RFC 3261 section 7.5: line breaks before the start line are ignored. */
function skipLineBreaks(bytes: Buffer): number {
  let at = 0;
  while (bytes[at] === CODE.cr && bytes[at + 1] === CODE.lf) at += 2;
  return at;
}
