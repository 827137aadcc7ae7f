/** The header fields that describe a body, each value unchanged. */
export interface BodyHeaders {
  readonly contentType: string | undefined;
  readonly contentDisposition: string | undefined;
  readonly contentEncoding: string | undefined;
}

/** One part of a multipart body. */
export interface BodyPart {
  readonly headers: BodyHeaders;
  /** Unchanged, in its angle brackets. */
  readonly contentId: string | undefined;
  /** With its transfer encoding removed. */
  readonly body: string;
}

/** RFC 2046 section 5.1.1 allows 70 characters; some systems generate more. */
const MAX_BOUNDARY_LENGTH = 200;
/** More parts than any call has: SDP, ISUP, location, recording metadata. */
const MAX_PARTS = 32;
/** Octets of a part's headers. */
const MAX_HEAD_LENGTH = 4_096;

/**
 * Parses a multipart body (RFC 2046 section 5.1.1); undefined when the boundary is unusable, or when there is no part or too
 * many. Text before the first part and after the last is ignored, and the closing delimiter may be missing. In linear time;
 * never throws.
 */
export function parseMultipart(body: string, boundary: string): BodyPart[] | undefined {
  if (boundary === '' || boundary.length > MAX_BOUNDARY_LENGTH) return undefined;
  const parts: BodyPart[] = [];
  let delimiter = nextDelimiter(body, boundary, 0);
  while (delimiter && !delimiter.isLast) {
    const next = nextDelimiter(body, boundary, delimiter.end);
    if (parts.length >= MAX_PARTS) return undefined;
    parts.push(parsePart(body.slice(delimiter.end, next?.start ?? body.length)));
    delimiter = next;
  }
  return parts.length > 0 ? parts : undefined;
}

/** A value with its parameters, as in Content-Type and Content-Disposition; all in lower case but the parameters' values. */
export function readField(text: string): { readonly value: string; readonly params: ReadonlyMap<string, string> } {
  const [first = '', ...rest] = splitUnquoted(text);
  const params = new Map<string, string>();
  for (const param of rest) {
    const equals = param.indexOf('=');
    const name = (equals < 0 ? param : param.slice(0, equals)).trim().toLowerCase();
    if (name !== '' && !params.has(name)) params.set(name, equals < 0 ? '' : unquoted(param.slice(equals + 1).trim()));
  }
  return { value: first.replace(/\s+/g, '').toLowerCase(), params };
}

interface Delimiter {
  /** Where the part before it ends: the line break before the delimiter belongs to the delimiter. */
  readonly start: number;
  /** Where the part after it begins. */
  readonly end: number;
  readonly isLast: boolean;
}

/** The next line that consists of two hyphens, the boundary and blanks. */
function nextDelimiter(body: string, boundary: string, from: number): Delimiter | undefined {
  const line = `--${boundary}`;
  for (let at = body.indexOf(line, from); at >= 0; at = body.indexOf(line, at + 1)) {
    if (at > 0 && body[at - 1] !== '\n') continue;
    const isLast = body.startsWith('--', at + line.length);
    const end = lineEnd(body, at + line.length + (isLast ? 2 : 0));
    if (end === undefined) continue;
    // Before an empty part, the line break belongs to the previous delimiter.
    const start = Math.max(from, at - (body[at - 2] === '\r' ? 2 : 1));
    return { start, end, isLast };
  }
  return undefined;
}

/** The index after the line break; undefined when anything but blanks stands before it. */
function lineEnd(body: string, from: number): number | undefined {
  let at = from;
  while (body[at] === ' ' || body[at] === '\t') at += 1;
  if (body[at] === '\r') at += 1;
  return at >= body.length ? body.length : body[at] === '\n' ? at + 1 : undefined;
}

function parsePart(text: string): BodyPart {
  const { head, body } = splitHead(text);
  const fields = new Map<string, string>();
  // A line that begins with a blank continues the one before it.
  for (const line of head.replace(/\r?\n[ \t]/g, ' ').split('\n')) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon)).trim().toLowerCase();
    if (name !== '' && !fields.has(name)) fields.set(name, line.slice(colon + 1).trim());
  }
  const encoding = fields.get('content-transfer-encoding')?.toLowerCase() ?? '';
  return {
    headers: {
      contentType: fields.get('content-type'),
      contentDisposition: fields.get('content-disposition'),
      // An unknown transfer encoding makes the part as unreadable as an unknown content encoding.
      contentEncoding: fields.get('content-encoding') ?? (TRANSFER_ENCODINGS.has(encoding) ? undefined : encoding),
    },
    contentId: fields.get('content-id'),
    body: encoding === 'base64' ? Buffer.from(body, 'base64').toString() : body,
  };
}

/** The transfer encodings that are understood (RFC 2045 section 6.1). */
const TRANSFER_ENCODINGS = new Set(['', '7bit', '8bit', 'binary', 'base64']);

/** Splits a part at its empty line. A part without headers begins with that line. */
function splitHead(text: string): { readonly head: string; readonly body: string } {
  const first = /^\r?\n/.exec(text)?.[0];
  if (first !== undefined) return { head: '', body: text.slice(first.length) };
  const bounded = text.slice(0, MAX_HEAD_LENGTH);
  const empty = /\n\r?\n/.exec(bounded);
  if (!empty) return { head: bounded, body: '' };
  const end = empty.index + empty[0].length;
  return { head: text.slice(0, empty.index), body: text.slice(end) };
}

/** Splits at semicolons outside quotes, and stops at a comma outside quotes, where another value begins. */
function splitUnquoted(text: string): string[] {
  const pieces: string[] = [];
  let start = 0;
  let quoted = false;
  let at = 0;
  for (; at < text.length; at++) {
    const character = text[at];
    if (quoted && character === '\\') at += 1;
    else if (character === '"') quoted = !quoted;
    else if (quoted) continue;
    else if (character === ',') break;
    else if (character === ';') {
      pieces.push(text.slice(start, at));
      start = at + 1;
    }
  }
  pieces.push(text.slice(start, Math.min(at, text.length)));
  return pieces;
}

function unquoted(text: string): string {
  if (!text.startsWith('"')) return text;
  return text.slice(1, text.endsWith('"') && text.length > 1 ? -1 : undefined).replace(/\\(.)/g, '$1');
}
