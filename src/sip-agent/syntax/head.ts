import { isAscii, isUtf8 } from 'node:buffer';
import { CODE, isBlank, parseDecimal, skipBlanks, sliceTrimmed, tokenEnd } from './grammar.js';
import { canonicalHeaderName } from './header-names.js';
import { LIMITS } from './limits.js';
import { SipRequest, SipResponse, type SipMessage } from './message.js';
import type { Mutable } from './mutable.js';
import { owned } from './owned.js';
import { isUriText, parseSipUri, uriScheme } from './uri.js';

/** Why a message is refused, and the status that says so. */
export interface ParseFault {
  readonly status: 400 | 413 | 414 | 416 | 505 | 513;
  readonly reason: string;
}

/** Start line and header fields of a message: all that could be parsed, and the first fault. */
export interface MessageHead {
  /** Absent when the start line is not one of a SIP message. */
  readonly message?: SipRequest | SipResponse;
  readonly fault?: ParseFault;
  /** The valid Content-Length; "unknown" when there are several or it is not a number. */
  readonly contentLength: number | 'absent' | 'unknown';
  /** The head holds control characters that must never be sent on. */
  readonly unsafe: boolean;
}

/** Parses `bytes` from `start` up to, not including, the empty line at `end` (RFC 3261 section 7). */
export function parseHead(bytes: Buffer, start: number, end: number): MessageHead {
  const unsafe = hasUnsafeControl(bytes, start, end);
  const text = decode(bytes.subarray(start, end));
  const lineEnd = endOfLine(text, 0);
  const startLine = parseStartLine(text.slice(0, lineEnd));
  const headerFault = startLine.message ? readHeaders(text, lineEnd + 2, startLine.message) : undefined;
  const contentLength = startLine.message ? readContentLength(startLine.message) : 'unknown';
  const fault =
    (unsafe ? malformed('Control character in header') : undefined) ??
    startLine.fault ??
    headerFault ??
    contentLengthFault(contentLength);
  const head: Mutable<MessageHead> = { contentLength, unsafe };
  if (startLine.message) head.message = startLine.message;
  if (fault) head.fault = fault;
  return head;
}

export function malformed(reason: string): ParseFault {
  return { status: 400, reason };
}

type StartLine = Pick<MessageHead, 'message' | 'fault'>;

function parseStartLine(line: string): StartLine {
  return /^SIP\//i.test(line) ? parseStatusLine(line) : parseRequestLine(line);
}

/** "SIP/2.0 200 OK"; without a reason phrase, the space before it may be missing too. */
function parseStatusLine(line: string): StartLine {
  const status = parseDecimal(line.slice(8, 11), 699);
  const reason = line.slice(12);
  if (line.slice(0, 8).toUpperCase() !== 'SIP/2.0 ' || status === undefined || status < 100) {
    return { fault: malformed('Malformed status line') };
  }
  if (line.length > 11 && line[11] !== ' ') return { fault: malformed('Malformed status line') };
  if (reason.length > LIMITS.startLineLength) return { fault: malformed('Reason phrase too long') };
  return { message: new SipResponse(status, owned(reason)) };
}

/** "INVITE sip:… SIP/2.0", with single spaces and nothing after the version. */
function parseRequestLine(line: string): StartLine {
  const methodEnd = tokenEnd(line, 0);
  if (methodEnd === 0 || methodEnd > LIMITS.startLineLength || line[methodEnd] !== ' ') {
    return { fault: malformed('Malformed start line') };
  }
  const method = owned(line.slice(0, methodEnd));
  const uriEnd = line.indexOf(' ', methodEnd + 1);
  const uri = line.slice(methodEnd + 1, uriEnd < 0 ? line.length : uriEnd);
  const fault =
    uriEnd < 0 ? malformed('Malformed request line') : requestLineFault(method, uri, line.slice(uriEnd + 1));
  // A malformed request is only answered; its Request-URI is not kept, as it may not be safe to send.
  return fault ? { message: new SipRequest(method, ''), fault } : { message: new SipRequest(method, owned(uri)) };
}

function requestLineFault(method: string, uri: string, version: string): ParseFault | undefined {
  if (version.toUpperCase() !== 'SIP/2.0') {
    const isOtherVersion = version.length < 16 && /^SIP\/\d+\.\d+$/i.test(version);
    return isOtherVersion ? { status: 505, reason: 'Version Not Supported' } : malformed('Malformed request line');
  }
  if (uri.length > LIMITS.requestUriLength) return { status: 414, reason: 'Request-URI Too Long' };
  // RFC 3261 section 13.2.2.4: an ACK is matched by its dialog. A wrong Request-URI in it must not end a call.
  return method === 'ACK' && isUriText(uri) ? undefined : requestUriFault(uri);
}

function requestUriFault(uri: string): ParseFault | undefined {
  const scheme = uriScheme(uri);
  if (scheme === undefined) return malformed('Malformed Request-URI');
  if (scheme !== 'sip' && scheme !== 'sips' && scheme !== 'tel') {
    return { status: 416, reason: 'Unsupported URI Scheme' };
  }
  const parsed = parseSipUri(uri);
  // RFC 3261 section 19.1.1: headers are not allowed in a Request-URI.
  return parsed && parsed.headers === undefined ? undefined : malformed('Malformed Request-URI');
}

/** Adds every well-formed header field to the message; returns the fault of the first one that is malformed. */
function readHeaders(text: string, start: number, message: SipMessage): ParseFault | undefined {
  let fault: ParseFault | undefined;
  let count = 0;
  let lineStart = start;
  while (lineStart < text.length) {
    if (++count > LIMITS.headerCount) return fault ?? malformed('Too many header fields');
    const firstEnd = endOfLine(text, lineStart);
    const end = endOfFolding(text, firstEnd);
    const reason = readHeader(text, lineStart, firstEnd, end, message);
    if (reason !== undefined) fault ??= malformed(reason);
    lineStart = end + 2;
  }
  return fault;
}

/** Reads one header field whose first line ends at `firstEnd` and whose last, folded or not, ends at `end`. */
function readHeader(
  text: string,
  start: number,
  firstEnd: number,
  end: number,
  message: SipMessage,
): string | undefined {
  const nameEnd = tokenEnd(text, start);
  const colon = skipBlanks(text, nameEnd);
  if (nameEnd === start || text.charCodeAt(colon) !== CODE.colon) return 'Malformed header field';
  const value = firstEnd === end ? sliceTrimmed(text, colon + 1, end) : unfold(text.slice(colon + 1, end));
  if (nameEnd - start + value.length > LIMITS.headerLength) return 'Header field too long';
  // Own strings: one that is kept does not keep the whole message alive.
  message.headers.push([owned(canonicalHeaderName(text.slice(start, nameEnd))), owned(value)]);
  return undefined;
}

/** Unfolding (RFC 3261 section 7.3.1): every fold, with the blanks around it, becomes one space. */
function unfold(folded: string): string {
  return sliceTrimmed(
    folded
      .split('\r\n')
      .map((line) => sliceTrimmed(line))
      .join(' '),
  );
}

function endOfLine(text: string, start: number): number {
  const end = text.indexOf('\r\n', start);
  return end < 0 ? text.length : end;
}

/** The end of the last continuation line after the line that ends at `lineEnd`. */
function endOfFolding(text: string, lineEnd: number): number {
  let end = lineEnd;
  while (end + 2 < text.length && isBlank(text.charCodeAt(end + 2))) end = endOfLine(text, end + 2);
  return end;
}

function readContentLength(message: SipMessage): MessageHead['contentLength'] {
  const values = message.getAll('content-length');
  const [value] = values;
  if (value === undefined) return 'absent';
  return (values.length === 1 ? parseDecimal(value, Number.MAX_SAFE_INTEGER) : undefined) ?? 'unknown';
}

function contentLengthFault(contentLength: MessageHead['contentLength']): ParseFault | undefined {
  if (contentLength === 'unknown') return malformed('Malformed Content-Length');
  if (contentLength === 'absent' || contentLength <= LIMITS.messageBytes) return undefined;
  return { status: 413, reason: 'Request Entity Too Large' };
}

/**
 * SIP text is UTF-8. Some peers send Latin-1 in a display name: text that is not valid UTF-8 is read as Latin-1, and sent on
 * as UTF-8, so that their calls do not fail.
 */
function decode(bytes: Buffer): string {
  return isAscii(bytes) || !isUtf8(bytes) ? bytes.toString('latin1') : bytes.toString('utf8');
}

/**
 * True when a line break is not a CRLF, or when a control character other than a tab stands outside a quoted-pair: one
 * element could read it as text and the next one as the end of a line.
 */
function hasUnsafeControl(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const code = bytes[at] ?? 0;
    if (code > CODE.space && code < CODE.delete && code !== CODE.backslash) continue;
    if (code === CODE.cr) {
      if (at + 1 >= end || bytes[++at] !== CODE.lf) return true;
    } else if (code === CODE.backslash) {
      const next = bytes[at + 1];
      if (next !== CODE.cr && next !== CODE.lf) at++;
    } else if ((code < CODE.space && code !== CODE.tab) || code === CODE.delete) {
      return true;
    }
  }
  return false;
}
