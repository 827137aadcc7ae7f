/** A name-addr or addr-spec with its parameters: `"Bond, James" <sip:007@example.com>;tag=1` (RFC 3261 section 20.10). */
export interface NamedAddress {
  /** Display name, unquoted, printable characters only; '' when there is none. */
  readonly name: string;
  /** Without angle brackets; '' when there is none. */
  readonly uri: string;
  /** The parameters after the address, beginning with `;`. */
  readonly params: string;
}

/** Characters; longer than any name a telephone shows. */
const MAX_NAME_LENGTH = 128;

/** The values of a header, separated by commas outside quotes and angle brackets. In linear time. */
export function splitValues(header: string): string[] {
  return splitOutside(header, ',').filter((value) => value !== '');
}

/** Splits at a separator outside quotes and angle brackets; the parts are trimmed. */
function splitOutside(text: string, separator: string): string[] {
  const parts: string[] = [];
  let quoted = false;
  let bracketed = false;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (quoted && character === '\\') i += 1;
    else if (character === '"' && !bracketed) quoted = !quoted;
    else if (quoted) continue;
    else if (character === '<') bracketed = true;
    else if (character === '>') bracketed = false;
    else if (character === separator && !bracketed) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts.map((part) => part.trim());
}

/** Reads a name-addr leniently: a display name may lack its quotes. In linear time; never throws. */
export function readNameAddr(value: string): NamedAddress {
  const text = value.trim();
  const quotedEnd = text.startsWith('"') ? endOfQuoted(text) : 0;
  // A quoted parameter of a bare address may hold brackets, as +sip.instance does.
  const open = /^(?:sips?|tel):/i.test(text) ? -1 : text.indexOf('<', quotedEnd);
  if (open < 0) {
    // An address without brackets: what follows its semicolon belongs to the header (RFC 3261 section 20).
    const semicolon = text.indexOf(';', quotedEnd);
    const end = semicolon < 0 ? text.length : semicolon;
    return { name: '', uri: text.slice(quotedEnd, end).trim(), params: text.slice(end) };
  }
  const close = text.indexOf('>', open);
  const end = close < 0 ? text.length : close;
  const quoted = quotedEnd > 0 ? text.slice(1, quotedEnd - 1).replace(/\\(.)/g, '$1') : '';
  const name = quoted === '' ? text.slice(quotedEnd, open).replaceAll('"', '') : quoted;
  return { name: presentable(name), uri: text.slice(open + 1, end).trim(), params: text.slice(end + 1).trim() };
}

/** The value of a parameter, unquoted; '' when it has no value, undefined when there is no such parameter. */
export function paramOf(params: string, name: string): string | undefined {
  for (const param of splitOutside(params, ';')) {
    const [key = '', value = ''] = param.split('=', 2);
    if (key.trim().toLowerCase() === name) return value.trim().replace(/^"|"$/g, '');
  }
  return undefined;
}

/** The index after the closing quote; the end of the text when there is none. */
function endOfQuoted(text: string): number {
  for (let i = 1; i < text.length; i++) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === '"') return i + 1;
  }
  return text.length;
}

function presentable(name: string): string {
  return name
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim()
    .slice(0, MAX_NAME_LENGTH);
}
