const ESCAPED = '%[\\dA-Fa-f]{2}';
const UNRESERVED = "\\w.!~*'()\\-";
const some = (characters: string): string => `(?:[${UNRESERVED}${characters}]|${ESCAPED})+`;

const PARAMETERS = `(?:;${some('[\\]/:&+$')}(?:=${some('[\\]/:&+$')})?)*`;
const HEADER = `${some('[\\]/?:+$')}=(?:${some('[\\]/?:+$')})?`;

/** RFC 3261 section 25.1. No password: it has no business in a URI others are shown. */
const SIP = new RegExp(
  `^sips?:(?:${some('&=+$,;?/')}@)?(\\[[\\da-f:.]{2,45}\\]|[a-z\\d.-]{1,253})(?::(\\d{1,5}))?${PARAMETERS}(?:\\?${HEADER}(?:&${HEADER})*)?$`,
  'i',
);

/** RFC 3966 section 3. */
const TEL = new RegExp(`^tel:\\+?[\\dA-F*#().-]*\\d[\\dA-F*#().-]*${PARAMETERS}$`, 'i');

const MAX_LENGTH = 256;

/**
 * The host and the port of a SIP URI, `host` being empty for a tel URI; undefined for what is neither. Everything in it is
 * as it may stand in a header between angle brackets.
 */
export function parseSipUri(text: string): { readonly host: string; readonly port: number } | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  if (TEL.test(text)) return { host: '', port: 5060 };
  const match = SIP.exec(text);
  if (!match) return undefined;
  return { host: (match[1] ?? '').replace(/^\[|\]$/g, ''), port: Number(match[2] ?? 5060) };
}
