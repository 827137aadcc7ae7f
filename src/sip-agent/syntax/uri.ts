import { isIPv6 } from 'node:net';
import { CODE, hasSoundEscapes, isHostName, isScheme, parseDecimal, sliceTrimmed } from './grammar.js';
import { LIMITS } from './limits.js';
import type { Mutable } from './mutable.js';

const METHOD_PARAM = /;method(?:=[^;]*)?(?=;|$)/gi;

/** A SIP, SIPS or tel URI (RFC 3261 section 19.1, RFC 3966). Every part is unchanged, with its escapes. */
export interface SipUri {
  readonly scheme: 'sip' | 'sips' | 'tel';
  /** The user part; of a tel URI, the number. */
  readonly user?: string;
  readonly password?: string;
  /** Host name, IPv4 address or IPv6 address without its brackets; empty in a tel URI. */
  readonly host: string;
  readonly port?: number;
  /** URI parameters by lower-case name. */
  readonly params: ReadonlyMap<string, string | undefined>;
  /** The text after "?", unchanged. */
  readonly headers?: string;
}

export interface HostPort {
  /** An IPv6 address stands without its brackets. */
  readonly host: string;
  readonly port?: number;
}

/** The scheme of an absolute URI in lower case; undefined when it does not begin with one. */
export function uriScheme(uri: string): string | undefined {
  const colon = uri.indexOf(':');
  if (colon <= 0 || colon > 32) return undefined;
  const scheme = uri.slice(0, colon);
  return isScheme(scheme) ? scheme.toLowerCase() : undefined;
}

/** Parses a SIP, SIPS or tel URI; undefined for any other scheme and for anything malformed. */
export function parseSipUri(text: string): SipUri | undefined {
  const scheme = uriScheme(text);
  if (scheme === undefined || !isUriText(text) || !hasSoundEscapes(text)) return undefined;
  const rest = text.slice(scheme.length + 1);
  if (scheme === 'sip' || scheme === 'sips') return parseAfterScheme(scheme, rest);
  return scheme === 'tel' ? parseTelNumber(rest) : undefined;
}

/** Whether a URI of any scheme may stand in a From, To or Contact: well-formed and, if it is a SIP URI, valid. */
export function isAcceptableUri(text: string): boolean {
  const scheme = uriScheme(text);
  if (scheme === undefined) return false;
  if (scheme === 'sip' || scheme === 'sips') return parseSipUri(text) !== undefined;
  return text.length > scheme.length + 1 && isUriText(text);
}

/**
 * Parses the hostport of RFC 3261 section 25.1, with blanks allowed around the colon as in a Via. A port is 0 to 65535.
 */
export function parseHostPort(text: string): HostPort | undefined {
  const bracketed = text.charCodeAt(0) === CODE.bracket;
  const hostEnd = bracketed ? text.indexOf(']') + 1 : text.indexOf(':');
  const host = hostEnd < 0 ? text : text.slice(0, hostEnd);
  const bare = bracketed ? parseIpv6Reference(host) : parseHostName(sliceTrimmed(host));
  if (bare === undefined) return undefined;
  const afterHost = sliceTrimmed(text, host.length);
  if (afterHost === '') return { host: bare };
  if (afterHost.charCodeAt(0) !== CODE.colon) return undefined;
  const port = parseDecimal(sliceTrimmed(afterHost, 1), LIMITS.port);
  return port === undefined ? undefined : { host: bare, port };
}

function parseHostName(host: string): string | undefined {
  return isHostName(host) ? host : undefined;
}

function parseIpv6Reference(reference: string): string | undefined {
  const address = reference.slice(1, -1);
  return isIPv6(address) && !address.includes('%') ? address : undefined;
}

function parseAfterScheme(scheme: 'sip' | 'sips', rest: string): SipUri | undefined {
  // An "@" elsewhere has to be escaped, so the only one ends the user part, which may itself hold ";" and "?".
  const at = rest.indexOf('@');
  if (at >= 0 && rest.includes('@', at + 1)) return undefined;
  const question = rest.indexOf('?', at + 1);
  const beforeHeaders = question < 0 ? rest.length : question;
  const semicolon = rest.indexOf(';', at + 1);
  const hostEnd = semicolon < 0 || semicolon > beforeHeaders ? beforeHeaders : semicolon;
  const hostPort = parseHostPort(rest.slice(at + 1, hostEnd));
  const params = parseUriParams(rest.slice(hostEnd, beforeHeaders));
  if (!hostPort || !params) return undefined;
  const uri: Mutable<SipUri> = { scheme, host: hostPort.host, params };
  if (at >= 0) takeUserInfo(uri, rest.slice(0, at));
  if (hostPort.port !== undefined) uri.port = hostPort.port;
  if (question >= 0) uri.headers = rest.slice(question + 1);
  return uri;
}

function takeUserInfo(uri: Mutable<SipUri>, userInfo: string): void {
  const colon = userInfo.indexOf(':');
  uri.user = colon < 0 ? userInfo : userInfo.slice(0, colon);
  if (colon >= 0) uri.password = userInfo.slice(colon + 1);
}

function parseTelNumber(rest: string): SipUri | undefined {
  const semicolon = rest.indexOf(';');
  const user = semicolon < 0 ? rest : rest.slice(0, semicolon);
  const params = parseUriParams(semicolon < 0 ? '' : rest.slice(semicolon));
  return isTelNumber(user) && params ? { scheme: 'tel', user, host: '', params } : undefined;
}

/** global-number or local-number digits of RFC 3966 section 3, with their visual separators. */
function isTelNumber(number: string): boolean {
  return /^\+?[0-9A-Fa-f*#().-]+$/.test(number);
}

/** Parameters that begin with their ";"; a name given twice is malformed (RFC 3261 section 19.1.1). */
function parseUriParams(text: string): Map<string, string | undefined> | undefined {
  const params = new Map<string, string | undefined>();
  if (text === '') return params;
  for (const param of text.slice(1).split(';')) {
    const equals = param.indexOf('=');
    const name = (equals < 0 ? param : param.slice(0, equals)).toLowerCase();
    if (name === '' || params.has(name)) return undefined;
    params.set(name, equals < 0 ? undefined : param.slice(equals + 1));
  }
  return params;
}

/** Whether a text has no blank, control character, quote, backslash, angle bracket or bar, which could end a URI early. */
export function isUriText(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code <= CODE.space || code === CODE.delete || code === CODE.bar) return false;
    if (code === CODE.quote || code === CODE.less || code === CODE.greater || code === CODE.backslash) return false;
  }
  return true;
}

/**
 * Makes a URI valid as a Request-URI: removes its headers and its "method" parameter, which the table of RFC 3261 section
 * 19.1.1 forbids there. Other than SIP URIs stay unchanged.
 */
export function asRequestUri(uri: string): string {
  const parsed = parseSipUri(uri);
  if (!parsed || parsed.scheme === 'tel' || (parsed.headers === undefined && !parsed.params.has('method'))) return uri;
  const end = parsed.headers === undefined ? uri.length : uri.length - parsed.headers.length - 1;
  // A ";method=" before the "@" is part of the user.
  const host = uri.indexOf('@') + 1;
  return uri.slice(0, host) + uri.slice(host, end).replace(METHOD_PARAM, '');
}
