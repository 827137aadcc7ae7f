import type { Socket } from 'node:net';
import { readNameAddr } from '../name-addr.js';
import type { SrfClient, SrfRequest } from './srf-types.js';

/** Behind the Call-ID of an INVITE as drachtio-srf sees it. No Call-ID holds a semicolon. */
const MARK = ';from-tag=';
/** Behind that of an INVITE which has come by another way as well and is unanswered there. No tag holds a semicolon either. */
const COPY = ';copy';
/** Methods that drachtio-srf looks for a pending INVITE for, by Call-ID alone. */
const BY_CALL_ID = /^(?:INVITE|CANCEL|UPDATE) /;
/** What it takes a From or To apart by; where this does not hold, the first word is the address to it. */
const READABLE = /^(?:[\w\-.!%*+`'~]+(?:[ \t]+[\w\-.!%*+`'~]+)*[ \t]*|"(?:[^"\\]|\\.)*"[ \t]*)?<|^sips?:|^tel:/i;
const HEADER = /^(from|f|to|t|call-id|i|content-type|c)[ \t]*:[ \t]*(.*)$/i;

/**
 * Stands between drachtio-srf and its server, since three things go wrong in the one that the other may send:
 *
 * - INVITEs and their CANCELs are told apart by Call-ID alone, while a B2BUA may call two numbers under one. So they have
 *   the From tag in it, and one that has come by two ways (RFC 3261 section 8.2.2.2) says so the second time.
 * - Names in From and To that should be quoted and are not are taken for the address. So they are quoted.
 * - A multipart body is taken apart in quadratic time. So its type is written in capitals, which drachtio-srf does not
 *   look for; a type means the same either way (RFC 2045 section 5.1).
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

/** Whether an INVITE is unanswered that a request belongs to: it has come in the early dialog. */
export function isInEarlyDialog({ mapServer }: SrfClient, request: SrfRequest): boolean {
  const key = `${request.get('Call-ID') ?? ''}${MARK}${tagOf(request.get('From') ?? '')}`;
  return mapServer.get(request.socket)?.pendingNetworkInvites.has(key) === true;
}

/** The Call-ID as it is in SIP. */
export function plainCallId(callId: string): string {
  const mark = callId.indexOf(MARK);
  return mark < 0 ? callId : callId.slice(0, mark);
}

/** One message of the server's, as drachtio-srf is given it. `isPending`: whether an INVITE of that Call-ID is unanswered there. */
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

/** Left to itself, drachtio-srf would take the copy of an INVITE for the INVITE: a CANCEL would then miss its call. */
function marked(startLine: string, callId: string, tag: string, isPending: (callId: string) => boolean): string {
  const key = callId + tag;
  if (startLine.startsWith('CANCEL')) return key;
  if (startLine.startsWith('INVITE')) return isPending(key) ? key + COPY : key;
  return isPending(key) ? key : callId;
}

/** Whether an INVITE is a copy of one that is unanswered, by the Call-ID that drachtio-srf has of it. */
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

/** `"name" <uri>;params`, whatever it was. */
function quoted(value: string): string {
  const { name, uri, params } = readNameAddr(value);
  return uri === '' || !value.includes('<') ? value : `"${name.replace(/["\\]/g, '')}" <${uri}>${params}`;
}
