/** Characters; a body that carries one digit is much shorter. */
const MAX_BODY_LENGTH = 256;

/** The duration of a digit whose message does not give one: what most phones send. */
const DEFAULT_DURATION_MS = 160;
const MAX_DURATION_MS = 10_000;

/** The media types of a digit; an INFO of another type is answered 415 with these in its Accept. */
export const DTMF_TYPES = ['application/dtmf-relay', 'application/dtmf'] as const;

/** Digits by their RFC 4733 event number, as some phones write them; 16 is a flash, which is not a digit. */
const DIGIT_BY_NUMBER: Readonly<Record<string, string>> = { 10: '*', 11: '#', 12: 'A', 13: 'B', 14: 'C', 15: 'D' };
const FLASH = new Set(['16', '!', 'HF', 'FLASH']);

/** The meaning of an INFO: a digit, a status to refuse it with, or nothing. */
export type DtmfInfo =
  | { readonly kind: 'digit'; readonly digit: string; readonly durationMs: number }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'refused'; readonly status: 400 | 415 };

/**
 * Reads the body of an INFO (RFC 2976; the two body types are Cisco's and have no RFC):
 *
 *     application/dtmf-relay    Signal=5 CRLF Duration=160
 *     application/dtmf          5
 */
export function readDtmfInfo(contentType: string | undefined, body: string): DtmfInfo {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const text = body.slice(0, MAX_BODY_LENGTH + 1).trim();
  // An empty INFO is a keep-alive of the session.
  if (text === '' && type === '') return { kind: 'nothing' };
  if (!DTMF_TYPES.some((known) => known === type)) return { kind: 'refused', status: 415 };
  if (body.length > MAX_BODY_LENGTH) return { kind: 'refused', status: 400 };
  if (text === '') return { kind: 'nothing' };
  const fields = fieldsOf(text);
  const signal = fields.get('signal') ?? (type === 'application/dtmf' && fields.size === 0 ? text : '');
  return digitOf(signal.toUpperCase(), fields.get('duration'));
}

function digitOf(signal: string, duration: string | undefined): DtmfInfo {
  if (FLASH.has(signal)) return { kind: 'nothing' };
  const digit = DIGIT_BY_NUMBER[signal] ?? signal;
  if (!/^[0-9*#A-D]$/.test(digit)) return { kind: 'refused', status: 400 };
  const given = duration === undefined || !/^\d{1,6}$/.test(duration) ? DEFAULT_DURATION_MS : Number(duration);
  return { kind: 'digit', digit, durationMs: Math.min(given, MAX_DURATION_MS) };
}

/** `Name = value` lines, by name in lower case; the first of a name counts. */
function fieldsOf(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split(/[\r\n]+/)) {
    const equals = line.indexOf('=');
    if (equals < 0) continue;
    const name = line.slice(0, equals).trim().toLowerCase();
    if (!fields.has(name)) fields.set(name, line.slice(equals + 1).trim());
  }
  return fields;
}
