import type { Socket } from 'node:net';
import { readNameAddr } from '../name-addr.js';
import type { SrfClient, SrfRequest } from './srf-types.js';

/** Appended to the Call-ID of an INVITE for drachtio-srf. No Call-ID holds a semicolon. */
const MARK = ';from-tag=';
/**
 * Appended after the tag for a merged INVITE (RFC 3261 section 8.2.2.2) while the first one is unanswered. No tag holds
 * a semicolon.
 */
const COPY = ';copy';
/** Methods for which drachtio-srf looks up a pending INVITE, by Call-ID alone. */
const BY_CALL_ID = /^(?:INVITE|CANCEL|UPDATE) /;
/** What its parser of From and To accepts; anything else it reads as if the first word were the address. */
const READABLE = /^(?:[\w\-.!%*+`'~]+(?:[ \t]+[\w\-.!%*+`'~]+)*[ \t]*|"(?:[^"\\]|\\.)*"[ \t]*)?<|^sips?:|^tel:/i;
const HEADER = /^(from|f|to|t|call-id|i|content-type|c)[ \t]*:[ \t]*(.*)$/i;

/**
 * Rewrites messages between drachtio-srf and its server, because drachtio-srf mishandles three things it may receive:
 *
 * - It matches INVITEs and their CANCELs by Call-ID alone, but a B2BUA may call two numbers under one Call-ID. So the From
 *   tag is appended to the Call-ID, and a mark to that of a merged INVITE (RFC 3261 section 8.2.2.2).
 * - It takes an unquoted display name in From or To for the address. So the name is quoted.
 * - It parses a multipart body in quadratic time. So the media type is written in capitals, which its parser does not look
 *   for; media types are case-insensitive (RFC 2045 section 5.1).
 */
export function guardWire({ wp, mapServer }: SrfClient): void {
  const deliver = wp.listeners('msg');
  wp.removeAllListeners('msg');
  wp.on('msg', (socket: Socket, message: string) => {
    const pending = mapServer.get(socket)?.pendingNetworkInvites;
    const text = toSrf(message, (callId) => pending?.has(callId) === true);
    for (const each of deliver) each.call(wp, socket, text);
  });
  const send = wp.send.bind(wp);
  wp.send = (socket, message) => send(socket, fromSrf(message));
}

/** Whether a request belongs to an unanswered INVITE, so to an early dialog. */
export function isInEarlyDialog({ mapServer }: SrfClient, request: SrfRequest): boolean {
  const key = `${request.get('Call-ID') ?? ''}${MARK}${tagOf(request.get('From') ?? '')}`;
  return mapServer.get(request.socket)?.pendingNetworkInvites.has(key) === true;
}

/** The Call-ID as it is in SIP. */
export function plainCallId(callId: string): string {
  const mark = callId.indexOf(MARK);
  return mark < 0 ? callId : callId.slice(0, mark);
}

/**
 * One message of the server's, as drachtio-srf is given it. `isPending`: whether an INVITE of that Call-ID is
 * unanswered there.
 */
export function toSrf(message: string, isPending: (callId: string) => boolean): string {
  const start = message.indexOf('\r\n') + 2;
  const headEnd = message.indexOf('\r\n\r\n', start);
  if (start < 2 || headEnd < 0) return message;
  const [startLine = '', ...lines] = message.slice(start, headEnd).split('\r\n');
  const fields = lines.map((line) => HEADER.exec(line));
  const from = fields.find((field) => field !== null && /^f/i.test(field[1] ?? ''))?.[2] ?? '';
  const tag = BY_CALL_ID.test(startLine) ? `${MARK}${tagOf(from)}` : undefined;
  let changed = false;
  for (const [index, field] of fields.entries()) {
    if (!field) continue;
    const [, name = '', value = ''] = field;
    const kind = name[0]?.toLowerCase() ?? '';
    let given = value;
    if (kind === 'f' || kind === 't') given = READABLE.test(value) ? value : quoted(value);
    else if (/^(?:content-type|c)$/i.test(name)) given = value.replaceAll('multipart/', 'MULTIPART/');
    else if (tag !== undefined) given = marked(startLine, value, tag, isPending);
    if (given === value) continue;
    lines[index] = `${name}: ${given}`;
    changed = true;
  }
  if (!changed) return message;
  return message.slice(0, start) + [startLine, ...lines].join('\r\n') + message.slice(headEnd);
}

/** drachtio-srf would confuse a merged INVITE with the first one: a CANCEL would then miss its call. */
function marked(startLine: string, callId: string, tag: string, isPending: (callId: string) => boolean): string {
  const key = callId + tag;
  if (startLine.startsWith('CANCEL')) return key;
  if (startLine.startsWith('INVITE')) return isPending(key) ? key + COPY : key;
  return isPending(key) ? key : callId;
}

/** Whether an INVITE is a merged copy of an unanswered one, by the Call-ID that drachtio-srf has of it. */
export function isCopy(callId: string): boolean {
  return callId.endsWith(COPY);
}

/** One message of drachtio-srf's, as the server is given it. */
export function fromSrf(message: string): string {
  const headEnd = message.indexOf('\r\n\r\n');
  const mark = message.indexOf(MARK);
  if (mark < 0 || (headEnd >= 0 && mark > headEnd)) return message;
  return message.replace(/^((?:call-id|i)[ \t]*:[^;\r\n]*);from-tag=[^\r\n]*/im, '$1');
}

function tagOf(from: string): string {
  const { params } = readNameAddr(from);
  return /;[ \t]*tag[ \t]*=[ \t]*([^;,\s]*)/i.exec(params)?.[1] ?? '';
}

/** The value as `"name" <uri>;params`. */
function quoted(value: string): string {
  const { name, uri, params } = readNameAddr(value);
  return uri === '' || !value.includes('<') ? value : `"${name.replace(/["\\]/g, '')}" <${uri}>${params}`;
}
