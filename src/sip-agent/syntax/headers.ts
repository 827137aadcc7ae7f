import {
  CODE,
  isBlank,
  isToken,
  paramValueEnd,
  parseDecimal,
  quotedEnd,
  skipBlanks,
  sliceTrimmed,
  tokenEnd,
} from './grammar.js';
import { LIMITS } from './limits.js';
import type { Mutable } from './mutable.js';
import { owned } from './owned.js';
import { isAcceptableUri, parseHostPort } from './uri.js';

/**
 * Header parameters by lower-case name, in order. A parameter without "=" has the value undefined; a quoted string
 * keeps its quotes and escapes.
 */
export type Params = Map<string, string | undefined>;

/** A name-addr or addr-spec with its header parameters (RFC 3261 section 20.10). */
export interface NameAddr {
  /** Display name without its quotes and escapes. */
  readonly display?: string;
  readonly uri: string;
  readonly params: Params;
  /** The tag parameter, when there is one. */
  readonly tag?: string;
}

/** One Via entry (RFC 3261 section 20.42). */
export interface Via {
  /** In lower case: "udp", "tcp", "tls", or any other token. */
  readonly transport: string;
  /** Host name, IPv4 address or IPv6 address without its brackets. */
  readonly host: string;
  readonly port?: number;
  readonly params: Params;
  readonly branch?: string;
  /** "rport" is present (RFC 3581): the sender wants the response at its source port. */
  readonly rport: boolean;
}

export interface CSeq {
  /** 0 to 2^32 - 1. */
  readonly number: number;
  /** Case-sensitive. */
  readonly method: string;
}

/** Which response a PRACK acknowledges (RFC 3262 section 7.2): its RSeq and its CSeq. */
export interface RAck {
  readonly rseq: number;
  readonly sequence: number;
  /** Case-sensitive. */
  readonly method: string;
}

/**
 * The entries of a comma-separated header value, trimmed; commas within quotes and angle brackets do not separate. Empty
 * entries are left out.
 */
export function splitHeaderList(value: string): string[] {
  return splitAtCommas(value).filter((entry) => entry !== '');
}

/** The same with its empty entries, which no list of name-addr or Via may have. */
export function splitAtCommas(value: string): string[] {
  const entries: string[] = [];
  let start = 0;
  let inBrackets = false;
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if (code === CODE.less) inBrackets = true;
    else if (code === CODE.greater) inBrackets = false;
    else if (inBrackets) continue;
    else if (code === CODE.quote) at = closingQuote(value, at);
    else if (code === CODE.comma) {
      entries.push(sliceTrimmed(value, start, at));
      start = at + 1;
    }
  }
  entries.push(sliceTrimmed(value, start));
  return entries;
}

/** Parses one name-addr or addr-spec with its parameters; undefined when malformed. */
export function parseNameAddr(text: string): NameAddr | undefined {
  const start = skipBlanks(text, 0);
  const quoted = text.charCodeAt(start) === CODE.quote;
  const nameEnd = quoted ? quotedEnd(text, start) : unquotedNameEnd(text, start);
  if (nameEnd < 0) return parseMisquoted(text);
  const bracket = skipBlanks(text, nameEnd);
  if (text.charCodeAt(bracket) !== CODE.less) {
    return (quoted ? undefined : parseAddrSpec(text, start, nameEnd)) ?? parseMisquoted(text);
  }
  const close = text.indexOf('>', bracket);
  if (close < 0) return undefined;
  const display = quoted ? unquote(text.slice(start, nameEnd)) : sliceTrimmed(text, start, nameEnd);
  return nameAddr(display, text.slice(bracket + 1, close), text.slice(close + 1));
}

/**
 * A display name that is quoted wrongly or not at all: `""unknown"" <sip:…>`, `Bell, Alexander <sip:…>`. With exactly
 * one pair of brackets the address is clear (RFC 4475 section 3.1.2.15); an unclosed quote is refused, as it may hide
 * another address.
 */
function parseMisquoted(text: string): NameAddr | undefined {
  const open = text.indexOf('<');
  const close = text.indexOf('>', open);
  // A value that begins with a URI is an addr-spec: its brackets belong to a parameter.
  if (/^[ \t]*(?:sips?|tel):/i.test(text)) return undefined;
  if (open < 0 || close < 0 || text.includes('<', open + 1) || text.includes('>', close + 1)) return undefined;
  const display = text.slice(0, open).split('"');
  const isBalanced = display.length % 2 === 1;
  return isBalanced
    ? nameAddr(sliceTrimmed(display.join('')), text.slice(open + 1, close), text.slice(close + 1))
    : undefined;
}

/** The value of a From, To, Contact or Route: always in angle brackets, the display name always quoted. */
export function formatNameAddr(address: Pick<NameAddr, 'display' | 'uri' | 'params'>): string {
  const display = address.display === undefined ? '' : `${quote(address.display)} `;
  return `${display}<${address.uri}>${formatParams(address.params)}`;
}

function formatParams(params: ReadonlyMap<string, string | undefined>): string {
  let text = '';
  for (const [name, value] of params) text += value === undefined ? `;${name}` : `;${name}=${value}`;
  return text;
}

/**
 * Parses header parameters; `text` begins with the first ";". Undefined when a parameter has no name, has neither token nor
 * quoted string after its "=", or appears twice (RFC 3261 section 7.3.1). In lenient mode these are accepted: a value extends
 * to the next ";", and of a repeated name the first counts.
 */
export function parseParams(text: string, mode: 'strict' | 'lenient' = 'strict'): Params | undefined {
  const lenient = mode === 'lenient';
  const params: Params = new Map();
  let at = skipBlanks(text, 0);
  while (at < text.length) {
    if (text.charCodeAt(at) !== CODE.semicolon) return undefined;
    const start = skipBlanks(text, at + 1);
    const end = tokenEnd(text, start);
    const name = text.slice(start, end).toLowerCase();
    at = skipBlanks(text, end);
    if (name === '') {
      if (!lenient || (at < text.length && text.charCodeAt(at) !== CODE.semicolon)) return undefined;
      continue;
    }
    let value: string | undefined;
    if (text.charCodeAt(at) === CODE.equals) {
      const valueStart = skipBlanks(text, at + 1);
      const valueEnd = paramEnd(text, valueStart);
      at = skipBlanks(text, Math.max(valueStart, valueEnd));
      const isClean = valueEnd > valueStart && (at === text.length || text.charCodeAt(at) === CODE.semicolon);
      if (!isClean) {
        if (!lenient) return undefined;
        at = lenientValueEnd(text, valueStart);
      }
      value = isClean ? text.slice(valueStart, valueEnd) : sliceTrimmed(text, valueStart, at);
    }
    if (!params.has(name)) params.set(name, value);
    else if (!lenient) return undefined;
  }
  return params;
}

/** Parses one Via entry, "SIP/2.0/UDP host:port;branch=…", with blanks wherever RFC 3261 allows them. */
export function parseVia(text: string): Via | undefined {
  const transportStart = afterProtocolVersion(text);
  const transportEnd = tokenEnd(text, transportStart);
  if (transportStart < 0 || transportEnd === transportStart || !isBlank(text.charCodeAt(transportEnd)))
    return undefined;
  const semicolon = text.indexOf(';', transportEnd);
  const sentByEnd = semicolon < 0 ? text.length : semicolon;
  const sentBy = parseHostPort(sliceTrimmed(text, transportEnd, sentByEnd));
  const params = parseParams(text.slice(sentByEnd));
  if (!sentBy || !params) return undefined;
  const via: Mutable<Via> = {
    transport: text.slice(transportStart, transportEnd).toLowerCase(),
    host: sentBy.host,
    params,
    rport: params.has('rport'),
  };
  const branch = params.get('branch');
  if (sentBy.port !== undefined) via.port = sentBy.port;
  if (branch !== undefined) via.branch = branch;
  return via;
}

/** Parses a CSeq value: a number below 2^32 and a method. */
export function parseCSeq(text: string): CSeq | undefined {
  const value = sliceTrimmed(text);
  let digitsEnd = 0;
  while (digitsEnd < value.length && !isBlank(value.charCodeAt(digitsEnd))) digitsEnd++;
  const number = parseDecimal(value.slice(0, digitsEnd), LIMITS.cseqNumber);
  const method = value.slice(skipBlanks(value, digitsEnd));
  return number === undefined || !isToken(method) ? undefined : { number, method };
}

/** Parses an RAck value: two numbers and a method. */
export function parseRAck(text: string): RAck | undefined {
  // Some peers append text after the method; it is ignored.
  const [rseqText = '', number = '', method = ''] = sliceTrimmed(text).split(/[ \t]+/, 3);
  const rseq = parseRSeq(rseqText);
  const cseq = parseCSeq(`${number} ${method}`);
  return rseq === undefined || !cseq ? undefined : { rseq, sequence: cseq.number, method: cseq.method };
}

/** Parses an RSeq value. */
export function parseRSeq(text: string): number | undefined {
  return parseDecimal(sliceTrimmed(text), LIMITS.rseqNumber);
}

function closingQuote(value: string, opening: number): number {
  const end = quotedEnd(value, opening);
  return end < 0 ? value.length : end - 1;
}

/** The end of an unquoted display name or of an addr-spec; -1 when it holds a character that must be quoted. */
function unquotedNameEnd(text: string, start: number): number {
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === CODE.less || code === CODE.semicolon) return at;
    if (code === CODE.quote || code === CODE.comma || code === CODE.greater) return -1;
  }
  return text.length;
}

/** Without brackets, a ";" begins header parameters and a "?" is not allowed (RFC 3261 section 20.10). */
function parseAddrSpec(text: string, start: number, end: number): NameAddr | undefined {
  const uri = sliceTrimmed(text, start, end);
  return uri.includes('?') ? undefined : nameAddr('', uri, text.slice(end));
}

function nameAddr(display: string, uriText: string, paramsText: string): NameAddr | undefined {
  const uri = sliceTrimmed(uriText);
  // Many phones append their tag to every To, also to one that has a tag already.
  const params = parseParams(paramsText, 'lenient');
  if (!params || !isAcceptableUri(uri)) return undefined;
  const address: Mutable<NameAddr> = { uri, params };
  const tag = params.get('tag');
  // A tag is part of the dialog id, which has to be the same on both sides: a malformed tag is refused.
  if (params.has('tag') && (tag === undefined || tag === '' || paramEnd(tag, 0) !== tag.length)) return undefined;
  if (display !== '') address.display = display;
  if (tag !== undefined) address.tag = owned(tag);
  return address;
}

/** A quoted-string: quotes, backslashes and control characters become quoted-pairs. */
function quote(text: string): string {
  let quoted = '';
  for (const character of text) {
    const code = character.charCodeAt(0);
    const needsEscape = code === CODE.quote || code === CODE.backslash || code < CODE.space || code === CODE.delete;
    quoted += needsEscape ? `\\${character}` : character;
  }
  return `"${quoted}"`;
}

function unquote(quoted: string): string {
  const inside = quoted.slice(1, -1);
  return inside.includes('\\') ? inside.replace(/\\([^])/gu, '$1') : inside;
}

/** The next ";" outside quotes. */
function lenientValueEnd(text: string, start: number): number {
  let at = start;
  while (at < text.length && text.charCodeAt(at) !== CODE.semicolon) {
    at = text.charCodeAt(at) === CODE.quote ? closingQuote(text, at) + 1 : at + 1;
  }
  return Math.min(at, text.length);
}

function paramEnd(text: string, start: number): number {
  return text.charCodeAt(start) === CODE.quote ? quotedEnd(text, start) : paramValueEnd(text, start);
}

/** The index where the transport begins in "SIP / 2.0 / UDP"; -1 when the text does not begin like that. */
function afterProtocolVersion(text: string): number {
  const name = skipBlanks(text, 0);
  const nameEnd = tokenEnd(text, name);
  if (text.slice(name, nameEnd).toUpperCase() !== 'SIP') return -1;
  const version = afterSlash(text, nameEnd);
  if (version < 0) return -1;
  const versionEnd = tokenEnd(text, version);
  return versionEnd === version ? -1 : afterSlash(text, versionEnd);
}

function afterSlash(text: string, start: number): number {
  const slash = skipBlanks(text, start);
  return text.charCodeAt(slash) === CODE.slash ? skipBlanks(text, slash + 1) : -1;
}
