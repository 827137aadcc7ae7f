/**
 * Character classes and scanners of RFC 3261 section 25.1. Each function scans its input once, forwards: text from the
 * network is never given to a regular expression that could backtrack.
 */

const TOKEN = 1;
const ALPHA = 2;
const DIGIT = 4;
const HEX = 8;
const HOSTNAME = 16;
const PARAM_VALUE = 32;

const classes = new Uint8Array(128);
function mark(characterClass: number, characters: string): void {
  for (const character of characters) {
    const code = character.charCodeAt(0);
    classes[code] = (classes[code] ?? 0) | characterClass;
  }
}

const DIGITS = '0123456789';
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const TOKEN_MARKS = "-.!%*_+`'~";
mark(ALPHA, LETTERS);
mark(DIGIT, DIGITS);
mark(HEX, `${DIGITS}abcdefABCDEF`);
mark(TOKEN, DIGITS + LETTERS + TOKEN_MARKS);
mark(HOSTNAME, `${DIGITS}${LETTERS}-._`);
// token / host, and further characters of base64 and careless peers; no separator, quote or bracket pair of a name-addr.
mark(PARAM_VALUE, `${DIGITS}${LETTERS}${TOKEN_MARKS}[]:=/@&$?#^()`);

export const CODE = {
  tab: 0x09,
  lf: 0x0a,
  cr: 0x0d,
  space: 0x20,
  quote: 0x22,
  percent: 0x25,
  comma: 0x2c,
  slash: 0x2f,
  colon: 0x3a,
  semicolon: 0x3b,
  less: 0x3c,
  equals: 0x3d,
  greater: 0x3e,
  at: 0x40,
  bracket: 0x5b,
  backslash: 0x5c,
  bar: 0x7c,
  delete: 0x7f,
} as const;

function inClass(code: number, characterClass: number): boolean {
  return code < 128 && ((classes[code] ?? 0) & characterClass) !== 0;
}

function classEnd(text: string, start: number, characterClass: number): number {
  let at = start;
  while (at < text.length && inClass(text.charCodeAt(at), characterClass)) at++;
  return at;
}

export function isBlank(code: number): boolean {
  return code === CODE.space || code === CODE.tab;
}

/** The index of the first character at or after `start` that is neither space nor tab. */
export function skipBlanks(text: string, start: number): number {
  let at = start;
  while (at < text.length && isBlank(text.charCodeAt(at))) at++;
  return at;
}

/** `text` between two indexes without the blanks around it; String.trim() would remove Unicode spaces too. */
export function sliceTrimmed(text: string, start = 0, end = text.length): string {
  let from = start;
  let to = end;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

/** The index after the token that starts at `start`; `start` itself when there is none. */
export function tokenEnd(text: string, start: number): number {
  return classEnd(text, start, TOKEN);
}

/** The same for an unquoted parameter value. */
export function paramValueEnd(text: string, start: number): number {
  return classEnd(text, start, PARAM_VALUE);
}

/** The index after the closing quote of the quoted string that opens at `start`; -1 when it never closes. */
export function quotedEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === CODE.backslash) at++;
    else if (code === CODE.quote) return at + 1;
  }
  return -1;
}

export function isToken(text: string): boolean {
  return text.length > 0 && tokenEnd(text, 0) === text.length;
}

export function isHostName(text: string): boolean {
  return text.length > 0 && text.length <= 255 && classEnd(text, 0, HOSTNAME) === text.length;
}

/** scheme of RFC 3986 section 3.1. */
export function isScheme(text: string): boolean {
  if (!inClass(text.charCodeAt(0), ALPHA)) return false;
  for (let at = 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (!inClass(code, ALPHA | DIGIT) && code !== 0x2b && code !== 0x2d && code !== 0x2e) return false;
  }
  return true;
}

/** Every "%" begins an escape of two hexadecimal digits, so that unescaping cannot fail later. */
export function hasSoundEscapes(text: string): boolean {
  for (let at = text.indexOf('%'); at >= 0; at = text.indexOf('%', at + 3)) {
    if (!inClass(text.charCodeAt(at + 1), HEX) || !inClass(text.charCodeAt(at + 2), HEX)) return false;
  }
  return true;
}

/** A decimal number of digits only, leading zeros allowed; undefined when it is malformed or beyond `max`. */
export function parseDecimal(text: string, max: number): number | undefined {
  if (text.length === 0) return undefined;
  let value = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (!inClass(code, DIGIT)) return undefined;
    value = value * 10 + (code - 0x30);
    if (value > max) return undefined;
  }
  return value;
}
