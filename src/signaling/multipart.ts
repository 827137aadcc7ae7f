/** What a message says of its body, each header as it stands. */
export interface BodyHeaders {
  readonly contentType: string | undefined;
  readonly contentDisposition: string | undefined;
  readonly contentEncoding: string | undefined;
}

/** One part of a multipart body. */
export interface BodyPart {
  readonly headers: BodyHeaders;
  /** In angle brackets, as it stands. */
  readonly contentId: string | undefined;
  /** Without its transfer encoding. */
  readonly body: string;
}

/** RFC 2046 section 5.1.1 has 70 characters; some generate more. */
const MAX_BOUNDARY_LENGTH = 200;
/** More than any call has: SDP, ISUP, location, recording metadata. */
const MAX_PARTS = 32;
/** Octets of a part's headers. */
const MAX_HEAD_LENGTH = 4_096;

/**
 * Takes a multipart body apart (RFC 2046 section 5.1.1); undefined when it is none: without a usable boundary, without a
 * part, with too many of them. What stands before the first and after the last is ignored, and the line that should end the
 * last may be missing. In linear time; never throws.
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

/** A value with its parameters, such as Content-Type and Content-Disposition have them; all but values of parameters in lower case. */
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
  /** Where the part before it ends: the line break in front belongs to the delimiter. */
  readonly start: number;
  /** Where the part after it begins. */
  readonly end: number;
  readonly isLast: boolean;
}

/** The next line of two hyphens and the boundary, and nothing else but blanks. */
function nextDelimiter(body: string, boundary: string, from: number): Delimiter | undefined {
  const line = `--${boundary}`;
  for (let at = body.indexOf(line, from); at >= 0; at = body.indexOf(line, at + 1)) {
    if (at > 0 && body[at - 1] !== '\n') continue;
    const isLast = body.startsWith('--', at + line.length);
    const end = lineEnd(body, at + line.length + (isLast ? 2 : 0));
    if (end === undefined) continue;
    // The line break of the delimiter before, where a part is empty, is not this one's.
    const start = Math.max(from, at - (body[at - 2] === '\r' ? 2 : 1));
    return { start, end, isLast };
  }
  return undefined;
}

/** Behind the line break, when only blanks stand before it. */
function lineEnd(body: string, from: number): number | undefined {
  let at = from;
  while (body[at] === ' ' || body[at] === '\t') at += 1;
  if (body[at] === '\r') at += 1;
  return at >= body.length ? body.length : body[at] === '\n' ? at + 1 : undefined;
}

function parsePart(text: string): BodyPart {
  const { head, body } = splitHead(text);
  const fields = new Map<string, string>();
  // A line that begins with a blank goes on with the one before it.
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
      // To who cannot read it, it is encoded either way.
      contentEncoding: fields.get('content-encoding') ?? (TRANSFER_ENCODINGS.has(encoding) ? undefined : encoding),
    },
    contentId: fields.get('content-id'),
    body: encoding === 'base64' ? Buffer.from(body, 'base64').toString() : body,
  };
}

/** Those that are read (RFC 2045 section 6.1). */
const TRANSFER_ENCODINGS = new Set(['', '7bit', '8bit', 'binary', 'base64']);

/** At the empty line. Without headers a part begins with it. */
function splitHead(text: string): { readonly head: string; readonly body: string } {
  const first = /^\r?\n/.exec(text)?.[0];
  if (first !== undefined) return { head: '', body: text.slice(first.length) };
  const bounded = text.slice(0, MAX_HEAD_LENGTH);
  const empty = /\n\r?\n/.exec(bounded);
  if (!empty) return { head: bounded, body: '' };
  const end = empty.index + empty[0].length;
  return { head: text.slice(0, empty.index), body: text.slice(end) };
}

/** At semicolons outside quotes; what follows a comma outside them is another value, and none of this one. */
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
