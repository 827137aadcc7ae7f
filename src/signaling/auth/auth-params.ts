import { owned } from '../text.js';

/** One challenge, or one set of credentials: `Digest realm="a", nonce="b"`. */
export interface AuthElement {
  /** In lower case. */
  readonly scheme: string;
  /** By lower-case name; quoted values without their quotes and escapes. */
  readonly params: ReadonlyMap<string, string>;
}

/** The longest header field of the SIP agent; a value joined from several fields may be longer. */
const MAX_LENGTH = 8_192;
const MAX_ELEMENTS = 8;
const MAX_PARAMS = 24;

// Sticky, and no two alternatives of one begin alike: each scans its text once, without backtracking.
const SEPARATORS = /[ \t\r\n,]*/y;
const BLANKS = /[ \t\r\n]*/y;
const TOKEN = /[\w!#$%&'*+.^`|~-]+/y;
const QUOTED = /"(?:[^"\\]|\\[^])*"/y;
/** Wider than a token: some peers leave out the quotes around base64 and URIs. */
const UNQUOTED = /[^\s,"]+/y;

/**
 * The elements of a WWW-Authenticate, Proxy-Authenticate, Authorization or Proxy-Authorization header (RFC 3261 section
 * 25.1, RFC 7235). Several header fields may have been joined by commas. Parsing stops at the first malformed element.
 */
export function parseAuthElements(value: string): AuthElement[] {
  const scanner = new Scanner(owned(value.slice(0, MAX_LENGTH)));
  const elements: { scheme: string; params: Map<string, string> }[] = [];
  for (;;) {
    scanner.take(SEPARATORS);
    const name = scanner.take(TOKEN).toLowerCase();
    scanner.take(BLANKS);
    if (name === '') return elements;
    if (!scanner.skip('=')) {
      if (elements.length === MAX_ELEMENTS) return elements;
      elements.push({ scheme: name, params: new Map() });
      continue;
    }
    scanner.take(BLANKS);
    const params = elements.at(-1)?.params;
    const text = scanner.take(QUOTED) || scanner.take(UNQUOTED);
    if (text === '' || !params || params.has(name) || params.size === MAX_PARAMS) return elements;
    params.set(name, unquoted(text));
  }
}

/** A quoted-string (RFC 3261 section 25.1). */
export function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

function unquoted(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1).replace(/\\([^])/g, '$1') : text;
}

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Returns what a sticky pattern matches at this place and moves past it; '' when it does not match. */
  take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += found.length;
    return found;
  }

  skip(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }
}
