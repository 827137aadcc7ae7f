import { isIPv4 } from 'node:net';

/**
 * A phone number, or a SIP or tel URI, with all digits but the last two replaced: `sip:*********34@pbx.example`.
 * The host keeps its digits.
 */
export function redactNumber(text: string): string {
  const at = text.lastIndexOf('@');
  const user = at < 0 ? text : text.slice(0, at);
  return maskDigits(user) + text.slice(user.length);
}

/** Five digits or more, with the separators people write between them (RFC 3966 section 3). */
const NUMBER = /\d(?:[-.() ]{0,2}\d){4,}/g;
const DATE = /^\d{4}-\d\d-\d\d/;
const PORT = /[\d\]]:$/;

/** A text in which numbers may be quoted, such as a reason: they are masked; addresses, ports and dates are none. */
export function redactQuotedNumbers(text: string): string {
  return text.replace(NUMBER, (match, index: number) => {
    const isPort = match.length === 5 && PORT.test(text.slice(Math.max(0, index - 2), index));
    return isPort || isIPv4(match) || DATE.test(match) ? match : maskDigits(match);
  });
}

/** Fields that are a number, or a URI made of one. */
const NUMBER_FIELDS = new Set(['from', 'fromName', 'assertedIdentity', 'to', 'did', 'number', 'referTo', 'user']);
/** Fields that are no text about numbers: what correlates lines, and what the configuration or the clock says. */
const OPEN_FIELDS = new Set([
  ...['level', 'time', 'event', 'callId', 'version', 'sip', 'http', 'agentId', 'workflowId', 'agentCallId', 'server'],
  ...['address', 'receivedAt', 'answeredAt', 'endedAt', 'type', 'code'],
]);
/** Shorter ones occur in any text. */
const MIN_NUMBER_LENGTH = 3;

/** A JSON text of ours (a line of the log, an answer of HTTP) with the phone numbers in all of it masked. */
export function redactNumbersInJson(json: string): string {
  const own = new Set<string>();
  const parsed: unknown = JSON.parse(json, (key, value: unknown) => {
    if (typeof value === 'string' && NUMBER_FIELDS.has(key)) noteNumber(value, own);
    return value;
  });
  return JSON.stringify(parsed, (key, value: unknown) => {
    if (key === 'digit') return '[redacted]';
    if (typeof value !== 'string' || OPEN_FIELDS.has(key)) return value;
    if (NUMBER_FIELDS.has(key)) return redactNumber(value);
    return redactQuotedNumbers(withoutNumbers(value, own));
  });
}

/** A short number, an extension, is only known for one where a field says so. */
function noteNumber(text: string, own: Set<string>): void {
  const digits = /^(?:sips?:|tel:)?\+?([\d*#]+)(?:[@;]|$)/i.exec(text)?.[1] ?? '';
  if (digits.length >= MIN_NUMBER_LENGTH) own.add(digits);
}

function withoutNumbers(text: string, numbers: ReadonlySet<string>): string {
  let clean = text;
  for (const number of numbers) {
    if (clean.includes(number)) clean = clean.replaceAll(standingAlone(number), maskDigits);
  }
  return clean;
}

function standingAlone(digits: string): RegExp {
  return new RegExp(`(?<![\\d.])${digits.replace(/[*]/g, '\\*')}(?!\\d|\\.\\d)`, 'g');
}

function maskDigits(text: string): string {
  let left = text.replace(/\D/g, '').length;
  return text.replace(/\d/g, (digit) => (left-- > 2 ? '*' : digit));
}
