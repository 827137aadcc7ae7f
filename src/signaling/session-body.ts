import { parseMultipart, readField, type BodyHeaders, type BodyPart } from './multipart.js';

/** The refusal of a body, or of a part, that must be understood and is not; `headers` says what is accepted. */
interface BodyRefusal {
  readonly status: 400 | 415;
  readonly warning: string;
  readonly headers: Readonly<Record<string, string>>;
}

export type SessionBody =
  | { readonly kind: 'session'; readonly sdp: string }
  /** No body, or none that concerns the session. */
  | { readonly kind: 'none' }
  | { readonly kind: 'refused'; readonly refusal: BodyRefusal };

/** The value of an Accept header: what is understood. */
export const ACCEPT = 'application/sdp, multipart/mixed, multipart/alternative, multipart/related';

const NONE: SessionBody = { kind: 'none' };
/** Levels of nested multiparts. */
const MAX_DEPTH = 4;
/** Dispositions that do not concern the session: locations (RFC 6442) and recordings (RFC 7866). */
const ABOUT_OTHERS = new Set(['by-reference', 'recording-session']);
/** Dispositions of a session description; `early-session` (RFC 3959) is not supported. */
const SESSION_DISPOSITIONS = new Set(['', 'session', 'render']);

/** The body headers of a message of drachtio-srf. */
export function bodyHeadersOf(message: { get(name: string): string | undefined }): BodyHeaders {
  return {
    contentType: message.get('Content-Type'),
    contentDisposition: message.get('Content-Disposition'),
    contentEncoding: message.get('Content-Encoding'),
  };
}

/**
 * Finds the session description in the body of a message by media type (RFC 3261 sections 7.4 and 8.2.3, RFC 5621), also
 * inside a multipart. An optional body or part that is not understood is ignored. Of those not marked optional, a whole body
 * is refused, and a part beside a session description only when it is marked `required`. In linear time; never throws.
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
    if (!parts) return refuse(400, 'multipart body cannot be parsed', {});
    const inside =
      type === 'multipart/alternative' ? ofAlternatives(parts, depth) : ofParts(inOrder(parts, params), depth);
    return inside.kind === 'refused' && isOptional ? NONE : inside;
  }
  // Some peers leave out the type of a session description.
  const isSdp = type === 'application/sdp' || (type === '' && /^\s{0,4}v=0\r?\n/.test(body));
  if (isSdp && SESSION_DISPOSITIONS.has(disposition.value)) return { kind: 'session', sdp: body };
  if (type === '' && body.trim() === '') return NONE;
  if (ABOUT_OTHERS.has(disposition.value) && disposition.params.get('handling') === undefined) return NONE;
  const what = isSdp ? `a session description for ${disposition.value}` : type === '' ? 'no Content-Type' : type;
  return refuse(415, `body not supported: ${what}`, { Accept: ACCEPT });
}

/** The last alternative that is understood is the best one (RFC 2046 section 5.1.4). */
function ofAlternatives(parts: readonly BodyPart[], depth: number): SessionBody {
  let refused: SessionBody | undefined;
  for (const part of parts.toReversed()) {
    const inside = read(part.headers, part.body, depth + 1);
    if (inside.kind === 'session') return inside;
    if (inside.kind === 'refused') refused ??= inside;
  }
  return refused ?? NONE;
}

/** The first session description, unless another part is required and not understood. */
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

/** Puts the root of a multipart/related first (RFC 2387 section 3.2). */
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
