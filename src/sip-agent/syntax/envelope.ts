import { CODE, parseDecimal } from './grammar.js';
import { parseCSeq, parseNameAddr, parseVia, splitAtCommas, type CSeq, type NameAddr, type Via } from './headers.js';
import { LIMITS } from './limits.js';
import { SipRequest, type Envelope, type HeaderName, type SipMessage } from './message.js';
import type { Mutable } from './mutable.js';

interface EnvelopeDraft {
  via?: Via;
  from?: NameAddr;
  to?: NameAddr;
  callId?: string;
  cseq?: CSeq;
  maxForwards?: number;
  viaHops: number;
  contacts: number;
  routeHops: number;
  recordRouteHops: number;
}

/** Parses one header value into the draft; returns its fault, if it has one. */
type FieldCheck = (draft: EnvelopeDraft, value: string) => string | undefined;

/**
 * The header fields whose syntax errors make the whole message malformed: those every element needs, and those the agent or
 * the SIP client behind it acts upon. All others stay uninterpreted text.
 */
const FIELD_CHECKS = new Map<HeaderName, FieldCheck>([
  ['via', checkVia],
  ['from', checkFrom],
  ['to', checkTo],
  ['call-id', checkCallId],
  ['cseq', checkCSeq],
  ['max-forwards', checkMaxForwards],
  ['contact', checkContact],
  ['route', checkRoute],
  ['record-route', checkRecordRoute],
  // Only the length of these is checked: the client's parsers of them are quadratic. Some peers leave out the brackets that
  // a "?Replaces=" in a Refer-To requires (RFC 3261 section 20).
  ['refer-to', (_, value) => checkEntryLengths(value, 'Refer-To too long')],
  ['referred-by', (_, value) => checkEntryLengths(value, 'Referred-By too long')],
  ['p-asserted-identity', (_, value) => checkEntryLengths(value, 'P-Asserted-Identity too long')],
  ['remote-party-id', (_, value) => checkEntryLengths(value, 'Remote-Party-ID too long')],
  ['path', (_, value) => checkEntryLengths(value, 'Path too long')],
]);

/**
 * Checks the header fields of a received message and parses the mandatory ones (RFC 3261 section 8.1.1). Returns the fault
 * as a text when the message is malformed.
 */
export function checkEnvelope(message: SipMessage): Envelope | string {
  const draft: EnvelopeDraft = { viaHops: 0, contacts: 0, routeHops: 0, recordRouteHops: 0 };
  for (const [name, value] of message.headers) {
    const fault = FIELD_CHECKS.get(name)?.(draft, value);
    if (fault !== undefined) return fault;
  }
  const envelope = completed(draft);
  if (typeof envelope === 'string') return envelope;
  if (message instanceof SipRequest && message.method !== envelope.cseq.method) return 'CSeq method differs';
  return envelope;
}

/** The topmost Via of a message that may be malformed elsewhere: its response needs it. */
export function topVia(message: SipMessage): Via | undefined {
  const value = message.get('via');
  const entry = value === undefined ? undefined : splitAtCommas(value)[0];
  return entry === undefined || entry.length > LIMITS.viaLength ? undefined : parseVia(entry);
}

function completed(draft: EnvelopeDraft): Envelope | string {
  const { via, from, to, callId, cseq, maxForwards } = draft;
  if (!via) return 'Missing Via';
  if (!from) return 'Missing From';
  if (!to) return 'Missing To';
  if (callId === undefined) return 'Missing Call-ID';
  if (!cseq) return 'Missing CSeq';
  const envelope: Mutable<Envelope> = { via, from, to, callId, cseq };
  if (maxForwards !== undefined) envelope.maxForwards = maxForwards;
  return envelope;
}

function checkVia(draft: EnvelopeDraft, value: string): string | undefined {
  for (const entry of splitAtCommas(value)) {
    const via = entry.length <= LIMITS.viaLength ? parseVia(entry) : undefined;
    if (!via) return 'Malformed Via';
    draft.via ??= via;
    draft.viaHops++;
  }
  return draft.viaHops > LIMITS.viaHops ? 'Too many Via entries' : undefined;
}

function checkFrom(draft: EnvelopeDraft, value: string): string | undefined {
  if (draft.from) return 'More than one From';
  const from = parseBoundedAddress(value);
  if (!from) return 'Malformed From';
  draft.from = from;
  return undefined;
}

function checkTo(draft: EnvelopeDraft, value: string): string | undefined {
  if (draft.to) return 'More than one To';
  const to = parseBoundedAddress(value);
  if (!to) return 'Malformed To';
  draft.to = to;
  return undefined;
}

function checkCallId(draft: EnvelopeDraft, value: string): string | undefined {
  if (draft.callId !== undefined) return 'More than one Call-ID';
  if (!isCallId(value)) return 'Malformed Call-ID';
  draft.callId = value;
  return undefined;
}

function checkCSeq(draft: EnvelopeDraft, value: string): string | undefined {
  if (draft.cseq) return 'More than one CSeq';
  const cseq = parseCSeq(value);
  if (!cseq) return 'Malformed CSeq';
  draft.cseq = cseq;
  return undefined;
}

function checkMaxForwards(draft: EnvelopeDraft, value: string): string | undefined {
  if (draft.maxForwards !== undefined) return 'More than one Max-Forwards';
  const maxForwards = parseDecimal(value, LIMITS.maxForwards);
  if (maxForwards === undefined) return 'Malformed Max-Forwards';
  draft.maxForwards = maxForwards;
  return undefined;
}

function checkContact(draft: EnvelopeDraft, value: string): string | undefined {
  if (value === '*') return undefined;
  const entries = splitAtCommas(value);
  draft.contacts += entries.length;
  if (draft.contacts > LIMITS.contacts) return 'Too many Contact entries';
  return entries.every(parseBoundedAddress) ? undefined : 'Malformed Contact';
}

function checkRoute(draft: EnvelopeDraft, value: string): string | undefined {
  const hops = countRouteHops(value);
  if (hops === undefined) return 'Malformed Route';
  draft.routeHops += hops;
  return draft.routeHops > LIMITS.routeHops ? 'Too many Route entries' : undefined;
}

function checkRecordRoute(draft: EnvelopeDraft, value: string): string | undefined {
  const hops = countRouteHops(value);
  if (hops === undefined) return 'Malformed Record-Route';
  draft.recordRouteHops += hops;
  return draft.recordRouteHops > LIMITS.routeHops ? 'Too many Record-Route entries' : undefined;
}

function checkEntryLengths(value: string, fault: string): string | undefined {
  return splitAtCommas(value).every((entry) => entry.length <= LIMITS.nameAddrLength) ? undefined : fault;
}

/** The number of entries of a Route or Record-Route, each in angle brackets; undefined when malformed. */
function countRouteHops(value: string): number | undefined {
  const entries = splitAtCommas(value);
  return entries.every((entry) => entry.includes('<') && parseBoundedAddress(entry)) ? entries.length : undefined;
}

function parseBoundedAddress(value: string): NameAddr | undefined {
  return value.length <= LIMITS.nameAddrLength ? parseNameAddr(value) : undefined;
}

/**
 * Visible ASCII without comma, semicolon and bar: wider than the callid of RFC 3261 section 25.1, since some peers use
 * base64, and safe inside a dialog id.
 */
function isCallId(value: string): boolean {
  if (value.length === 0 || value.length > LIMITS.callIdLength) return false;
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if (code <= CODE.space || code >= CODE.delete) return false;
    if (code === CODE.comma || code === CODE.semicolon || code === CODE.bar) return false;
  }
  return true;
}
