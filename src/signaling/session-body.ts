import { parseMultipart, readField, type BodyHeaders, type BodyPart } from './multipart.js';

/** A body, or a part of it, that has to be understood and is not; the headers say what would be. */
export interface BodyRefusal {
  readonly status: 400 | 415;
  readonly warning: string;
  readonly headers: Readonly<Record<string, string>>;
}

export type SessionBody =
  | { readonly kind: 'session'; readonly sdp: string }
  /** None, or nothing that matters. */
  | { readonly kind: 'none' }
  | { readonly kind: 'refused'; readonly refusal: BodyRefusal };

/** What we understand, as an Accept header has it. */
export const ACCEPT = 'application/sdp, multipart/mixed, multipart/alternative, multipart/related';

const NONE: SessionBody = { kind: 'none' };
/** Multiparts within multiparts. */
const MAX_DEPTH = 4;
/** Dispositions of what is about something else than the session: of locations (RFC 6442) and recordings (RFC 7866). */
const ABOUT_OTHERS = new Set(['by-reference', 'recording-session']);
/** What a session description may be meant for; of `early-session` (RFC 3959) nothing is known here. */
const SESSION_DISPOSITIONS = new Set(['', 'session', 'render']);

/** Headers of a message by drachtio-srf. */
export function bodyHeadersOf(message: { get(name: string): string | undefined }): BodyHeaders {
  return {
    contentType: message.get('Content-Type'),
    contentDisposition: message.get('Content-Disposition'),
    contentEncoding: message.get('Content-Encoding'),
  };
}

/**
 * The session description in the body of a message, by the types of what is in it (RFC 3261 sections 7.4 and 8.2.3,
 * RFC 5621). It may stand in a multipart beside parts for others. What is optional and not understood is ignored; of what
 * is not said to be optional a whole body is refused, a part beside a session description only if it says `required`.
 * In linear time; never throws.
 */
export function readSessionBody(headers: BodyHeaders, body: string): SessionBody {
  return body === '' ? NONE : read(headers, body, 0);
}

function read(headers: BodyHeaders, body: string, depth: number): SessionBody {
  const { value: type, params } = readField(headers.contentType ?? '');
  const disposition = readField(headers.contentDisposition ?? '');
  const isOptional = disposition.params.get('handling')?.toLowerCase() === 'optional';
  const refuse = (status: 400 | 415, warning: string, accept: Record<string, string>): SessionBody =>
    isOptional ? NONE : { kind: 'refused', refusal: { status, warning, headers: accept } };
  if (!isPlain(headers.contentEncoding)) {
    return refuse(415, 'Content-Encoding not supported', { 'Accept-Encoding': 'identity' });
  }
  if (type.startsWith('multipart/')) {
    const parts = depth < MAX_DEPTH ? parseMultipart(body, params.get('boundary') ?? '') : undefined;
    if (!parts) return refuse(400, 'multipart body cannot be taken apart', {});
    const inside =
      type === 'multipart/alternative' ? ofAlternatives(parts, depth) : ofParts(inOrder(parts, params), depth);
    return inside.kind === 'refused' && isOptional ? NONE : inside;
  }
  // Some leave the type away, and mean the only one there ever is.
  const isSdp = type === 'application/sdp' || (type === '' && /^\s{0,4}v=0\r?\n/.test(body));
  if (isSdp && SESSION_DISPOSITIONS.has(disposition.value)) return { kind: 'session', sdp: body };
  if (type === '' && body.trim() === '') return NONE;
  if (ABOUT_OTHERS.has(disposition.value) && disposition.params.get('handling') === undefined) return NONE;
  const what = isSdp ? `a session description for ${disposition.value}` : type === '' ? 'no Content-Type' : type;
  return refuse(415, `body not supported: ${what}`, { Accept: ACCEPT });
}

/** The last that is understood is the best (RFC 2046 section 5.1.4). */
function ofAlternatives(parts: readonly BodyPart[], depth: number): SessionBody {
  let refused: SessionBody | undefined;
  for (const part of parts.toReversed()) {
    const inside = read(part.headers, part.body, depth + 1);
    if (inside.kind === 'session') return inside;
    if (inside.kind === 'refused') refused ??= inside;
  }
  return refused ?? NONE;
}

/** The first session description, unless something beside it has to be understood as well. */
function ofParts(parts: readonly BodyPart[], depth: number): SessionBody {
  let session: SessionBody | undefined;
  let refused: SessionBody | undefined;
  let required: SessionBody | undefined;
  for (const part of parts) {
    const inside = read(part.headers, part.body, depth + 1);
    if (inside.kind === 'session') session ??= inside;
    else if (inside.kind === 'refused') {
      refused ??= inside;
      if (isRequired(part.headers)) required ??= inside;
    }
  }
  return required ?? session ?? refused ?? NONE;
}

/** The root of a multipart/related, which the others are there for, comes first (RFC 2387 section 3.2). */
function inOrder(parts: readonly BodyPart[], params: ReadonlyMap<string, string>): readonly BodyPart[] {
  const start = params.get('start');
  const root = start === undefined ? undefined : parts.find(({ contentId }) => contentId === start);
  return root ? [root, ...parts.filter((part) => part !== root)] : parts;
}

function isRequired({ contentDisposition = '' }: BodyHeaders): boolean {
  return readField(contentDisposition).params.get('handling')?.toLowerCase() === 'required';
}

function isPlain(contentEncoding = ''): boolean {
  return contentEncoding.split(',').every((coding) => ['', 'identity'].includes(coding.trim().toLowerCase()));
}
