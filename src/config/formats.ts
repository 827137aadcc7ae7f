import { isIP } from 'node:net';
import { parseCidr } from '../addresses/cidr.js';
import { MAX_NUMBER_LENGTH } from '../addresses/number.js';
import { patternFault } from './sections/pattern.js';
import { parseSipUri } from '../addresses/sip-uri.js';
import type { Codec, LogLevel, NumberPlace, PortRange } from './types.js';

/**
 * One kind of value. `parse` takes the text of a file or of the environment, or what it once returned itself, and
 * gives undefined for anything that is not of this kind.
 */
export interface Format<T> {
  /** Reads after "expected": "an IP address". */
  readonly what: string;
  /** What is accepted, for the operator who was refused. */
  readonly allowed: string;
  parse(value: unknown): T | undefined;
}

function textFormat(what: string, allowed: string, accepts: (text: string) => boolean): Format<string> {
  return {
    what,
    allowed,
    parse(value) {
      if (typeof value !== 'string') return undefined;
      const text = value.trim();
      return text !== '' && accepts(text) ? text : undefined;
    },
  };
}

/** A decimal integer. Not `1e3`, not `0x10`, not `12 apples`. */
export function wholeNumber(min: number, max: number): Format<number> {
  return {
    what: 'a whole number',
    allowed: `${min} to ${max}`,
    parse(value) {
      const number = typeof value === 'string' && /^\s*\d{1,15}\s*$/.test(value) ? Number(value) : value;
      return typeof number === 'number' && number >= min && number <= max ? number : undefined;
    },
  };
}

export function oneOf<const T extends string>(...options: readonly T[]): Format<T> {
  return {
    what: 'one of the known values',
    allowed: options.join(', '),
    parse: (value) => options.find((option) => option === (typeof value === 'string' ? value.trim() : value)),
  };
}

/** Items in a list, or in one text separated by commas. At least one, no two alike. */
export function listOf<T>(item: Format<T>): Format<readonly T[]> {
  return {
    what: `a list, without repetition, each ${item.what}`,
    allowed: item.allowed,
    parse(value) {
      const raw: unknown = typeof value === 'string' ? value.split(',') : value;
      if (!Array.isArray(raw)) return undefined;
      const items = raw.map((entry) => item.parse(entry)).filter((entry) => entry !== undefined);
      const complete = items.length === raw.length && items.length > 0;
      return complete && new Set(items).size === items.length ? items : undefined;
    },
  };
}

/** Likewise, and `[]` is none. */
export function listOrNone<T>(item: Format<T>): Format<readonly T[]> {
  const list = listOf(item);
  return { ...list, parse: (value) => (Array.isArray(value) && value.length === 0 ? [] : list.parse(value)) };
}

/** A list whose items are checked elsewhere, each with a path of its own. */
export const anyList: Format<readonly unknown[]> = {
  what: 'a list',
  allowed: 'a list in a configuration file',
  parse: (value) => (Array.isArray(value) ? (value as unknown[]) : undefined),
};

/** One value, or a list whose items are checked elsewhere, each with a path of its own. */
export function orRules(single: Format<string>): Format<string | readonly unknown[]> {
  return {
    what: `${single.what}, or a list of rules {peers, address}`,
    allowed: single.allowed,
    parse: (value) => anyList.parse(value) ?? single.parse(value),
  };
}

export const flag: Format<boolean> = {
  what: 'a yes or a no',
  allowed: 'true, false',
  parse(value) {
    const text = typeof value === 'string' ? value.trim().toLowerCase() : value;
    if (text === true || text === 'true' || text === '1') return true;
    return text === false || text === 'false' || text === '0' ? false : undefined;
  },
};

export const logLevel: Format<LogLevel> = oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent');
export const codecs: Format<readonly Codec[]> = listOf(oneOf('G722', 'PCMU', 'PCMA', 'L16'));
export const numberPlaces: Format<readonly NumberPlace[]> = listOf(
  oneOf('requestUri', 'to', 'pCalledPartyId', 'diversion', 'historyInfo'),
);
/** Places, or rules that are checked elsewhere, each with a path of its own. */
export const placesOrRules: Format<readonly unknown[]> = {
  what: 'a list of places, or of rules {peers, from}',
  allowed: numberPlaces.allowed,
  parse: (value) => anyList.parse(value) ?? numberPlaces.parse(value),
};

/** A port to bind: 0 lets the system choose. */
export const bindPort = wholeNumber(0, 65_535);
export const remotePort = wholeNumber(1, 65_535);

export const ipAddress = textFormat('an IP address', '192.0.2.1, 2001:db8::1', (text) => isIP(text) !== 0);

export const reachableAddress = textFormat(
  'an IP address others can reach',
  'an address such as 192.0.2.1, not 0.0.0.0 or ::',
  (text) => isIP(text) !== 0 && !isUnspecified(text),
);

export const host = textFormat('a host name or an IP address', 'sip.example.com, 192.0.2.1, 2001:db8::1', isHost);

export const reachableHost = textFormat(
  'a host name or an IP address others can reach',
  'sip.example.com, 192.0.2.1, not 0.0.0.0 or ::',
  (text) => isHost(text) && !isUnspecified(text),
);

export const cidr = textFormat(
  'an IP address or a CIDR range',
  '192.0.2.7, 10.0.0.0/8, fd00::/8',
  (text) => parseCidr(text) !== undefined,
);

export const listenUri = textFormat(
  'a transport, an IP address and a port',
  'udp://0.0.0.0:5060, tcp://192.0.2.1:5060, tls://[::]:5061',
  (text) => parseListen(text) !== undefined,
);

export interface ListenAddress {
  readonly transport: 'udp' | 'tcp' | 'tls';
  /** IPv4 or IPv6, the latter without brackets. */
  readonly address: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

/** One entry of `sip.listen`. */
export function parseListen(text: string): ListenAddress | undefined {
  const match = /^(udp|tcp|tls):\/\/(?:([\d.]{7,15})|\[([\da-f:.]{2,45})\]):(\d{1,5})$/i.exec(text.trim());
  const address = match?.[2] ?? match?.[3] ?? '';
  const port = Number(match?.[4]);
  if (isIP(address) === 0 || port > 65_535) return undefined;
  return { transport: match?.[1]?.toLowerCase() as ListenAddress['transport'], address, port };
}

/** The guide's endpoints, as far as they name no agent: what stands before them is the base. */
const ENDPOINT = /\/api\/call(?:\/(?:web-media-stream|media-stream(?:\/(?:agents|workflows))?))?$/;

export const webSocketUrl: Format<string> = {
  what: 'a WebSocket URL',
  allowed: "ws:// or wss://, a host, what stands before /api/call; no user, query or fragment: ids are a route's",
  parse(value) {
    if (typeof value !== 'string' || !URL.canParse(value.trim())) return undefined;
    const url = new URL(value.trim());
    const plain = url.username + url.password + url.search + url.hash === '';
    const known = url.protocol === 'ws:' || url.protocol === 'wss:';
    const base = url.href.replace(/\/+$/, '').replace(ENDPOINT, '').replace(/\/+$/, '');
    return known && plain && !base.includes('/api/call/') ? base : undefined;
  },
};

/** It is compared with the hosts of URLs, so IPv6 addresses have their brackets and all is in lower case. */
export const hostAndPort: Format<string> = {
  what: 'a host, with or without a port',
  allowed: 'media.example.com, media.example.com:8443, [2001:db8::1]:8443',
  parse(value) {
    const text = typeof value === 'string' ? value.trim().toLowerCase() : '';
    const match = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(text);
    const name = match?.[1] ?? '';
    const isName = name.startsWith('[') ? isIP(name.slice(1, -1)) === 6 : isHost(name);
    return isName && isPort(match?.[2] ?? '1') ? text : undefined;
  },
};

/** Not an address: RFC 6066 knows no server names but these. */
export const hostName = textFormat(
  'a host name',
  'such as api.example.com',
  (text) => isHost(text) && isIP(text) === 0,
);

export const publicKeyPin = textFormat('a pin of a public key', 'the base64 of a SHA-256, 44 characters', (text) =>
  /^[A-Za-z0-9+/]{43}=$/.test(text),
);

/** As the variable of this name is written everywhere, with or without a scheme. */
export const proxyUrl: Format<string> = {
  what: 'the URL of a proxy',
  allowed: 'http:// or https://, with or without user:password@, a host and a port',
  parse(value) {
    const given = typeof value === 'string' ? value.trim() : '';
    const text = /^[a-z][a-z\d+.-]*:\/\//i.test(given) ? given : `http://${given}`;
    if (given === '' || !URL.canParse(text)) return undefined;
    const { protocol, username, password, pathname, search, hash, href } = new URL(text);
    const known = protocol === 'http:' || protocol === 'https:';
    const plain = pathname + search + hash === '/' && isDecodable(username + password);
    return known && plain ? href.replace(/\/$/, '') : undefined;
  },
};

/** What is no host in it does no harm: the variable belongs to all programs of the machine. */
export const noProxy: Format<readonly string[]> = {
  what: 'a list of hosts',
  allowed: 'host, .suffix, host:port, separated by commas; * for all',
  parse(value) {
    const items: unknown[] = typeof value === 'string' ? value.split(/[\s,]+/) : Array.isArray(value) ? value : [7];
    const hosts = items.filter((item) => typeof item === 'string');
    return hosts.length === items.length ? hosts.map((host) => host.trim()).filter((host) => host !== '') : undefined;
  },
};

export const portRange: Format<PortRange> = {
  what: 'a range of ports',
  allowed: 'FIRST-LAST from 1024 to 65535, with room for an even port and the one after it, such as 20000-29999',
  parse(value) {
    const range = typeof value === 'string' ? readRange(value) : value;
    const hasPair = isPortRange(range) && range.min + (range.min % 2) < range.max;
    return hasPair && range.min >= 1024 && range.max <= 65_535 ? range : undefined;
  },
};

export const workers: Format<'auto' | number> = {
  what: 'a number of worker threads',
  allowed: 'auto, or 0 to 64',
  parse: (value) => oneOf('auto').parse(value) ?? wholeNumber(0, 64).parse(value),
};

/** It travels in an HTTP header, so nothing but visible ASCII. */
export const apiKey = textFormat('an API key', 'up to 512 visible ASCII characters, no blanks', (text) =>
  /^[!-~]{1,512}$/.test(text),
);

export const secret = textFormat('a secret', 'up to 256 visible ASCII characters, no blanks', (text) =>
  /^[!-~]{1,256}$/.test(text),
);

export const password = textFormat('a password', 'up to 256 printable characters', (text) =>
  /^[^\p{C}]{1,256}$/u.test(text),
);

export const ha1 = textFormat('an HA1', '32 hexadecimal digits (MD5) or 64 (SHA-256)', (text) =>
  /^(?:[\da-f]{32}|[\da-f]{64})$/i.test(text),
);

export const filePath = textFormat(
  'the path of a file',
  'up to 4096 characters',
  (text) =>
    // A path with a NUL in it makes every function of node:fs throw.
    !text.includes('\0') && text.length <= 4096,
);

/** It travels in a URL's query and path. */
export const pranthoraId = textFormat('an id from Pranthora', 'up to 128 of A-Z a-z 0-9 . _ ~ : -', (text) =>
  /^[\w.~:-]{1,128}$/.test(text),
);

export const environmentName = textFormat(
  'the name of an environment variable',
  'such as SALES_PRANTHORA_KEY',
  (text) => /^[A-Za-z_]\w{0,127}$/.test(text),
);

export const label = textFormat('a name', 'up to 128 printable characters', (text) => /^[^\p{C}]{1,128}$/u.test(text));

export const userAgentName = textFormat(
  'a name in a User-Agent',
  'up to 64 characters from ! to ~ and blanks, such as sipcli, or sipcli/ for the first word alone',
  (text) => /\w/.test(text) && /^[!-~](?:[ -~]{0,62}[!-~])?$/.test(text),
);

/** It travels in SIP headers between angle brackets. */
export const sipUri = textFormat(
  'a SIP URI',
  'sip:, sips: or tel:, up to 256 characters, all others than those of a URI escaped (# is %23)',
  (text) => {
    const uri = parseSipUri(text);
    return uri !== undefined && (uri.host === '' || isHost(uri.host)) && isPort(String(uri.port));
  },
);

/** Where a request goes: no user, and a transport that the SIP engines have. */
export const serverUri = textFormat(
  'the SIP URI of a server',
  'sip:pbx.example.com, sip:192.0.2.1:5080;transport=tcp',
  (text) => {
    const match = /^sip:(?:\[([\da-f:.]{2,45})\]|([^\s@:;?[\]]{1,253}))(?::(\d{1,5}))?(;[\w;=.-]{1,100})?$/i.exec(text);
    return match !== null && isHost(match[1] ?? match[2] ?? '') && isPort(match[3] ?? '5060');
  },
);

/** It stands in a SIP URI, unescaped. */
export const sipUser = textFormat(
  'the user part of a SIP URI',
  "up to 64 of A-Z a-z 0-9 - _ . ! ~ * ' ( ) & = + $",
  (text) => /^[\w.!~*'()&=+$-]{1,64}$/.test(text),
);

/** It stands in a quoted string. */
export const authUser = textFormat('the name of a user', 'up to 128 printable characters', (text) =>
  /^[^\p{C}]{1,128}$/u.test(text),
);

export const phoneNumber = textFormat('a number or a user name', `up to ${MAX_NUMBER_LENGTH} characters`, (text) =>
  new RegExp(`^[^\\p{C}<>"]{1,${MAX_NUMBER_LENGTH}}$`, 'u').test(text),
);

export const numberPrefix = textFormat('the beginning of a number', 'such as +49 or 030', (text) =>
  /^\+?[0-9*#][0-9*# ().-]{0,62}$/.test(text),
);

export const callerMatcher = textFormat(
  'a caller',
  'a number or user (+15551234, alice), a beginning (+1555*), user@host or *@host; up to 256 characters',
  (text) => /^[^\s<>"*\p{C}]{1,250}\*?$|^\*@[^\s<>"*@\p{C}]{1,250}$/u.test(text),
);

export const headerName = textFormat('the name of a SIP header', 'such as X-Tenant', (text) =>
  /^[\w.!%*+`'~-]{1,64}$/.test(text),
);

export const headerValue = textFormat('the value of a SIP header', 'up to 256 printable characters', (text) =>
  /^[^\p{C}]{1,256}$/u.test(text),
);

export const pattern = textFormat(
  'a regular expression',
  'JavaScript syntax, up to 256 characters, no look-around, no back-references, no more than 2,000 repetitions',
  (text) => text.length <= 256 && patternFault(text) === undefined,
);

function isUnspecified(address: string): boolean {
  return isIP(address) !== 0 && /^[0:.]+$/.test(address);
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function isPort(text: string): boolean {
  return Number(text) >= 1 && Number(text) <= 65_535;
}

function isHost(text: string): boolean {
  // All-numeric labels are an IPv4 address gone wrong (`10.0.0.256`), not a name.
  const name = /^(?!.{254})([a-z\d_]([a-z\d_-]{0,62})\.)*[a-z_]([a-z\d_-]{0,62})\.?$/i;
  return isIP(text) !== 0 || name.test(text);
}

function readRange(text: string): PortRange | undefined {
  const match = /^\s*(\d{1,5})\s*-\s*(\d{1,5})\s*$/.exec(text);
  return match ? { min: Number(match[1]), max: Number(match[2]) } : undefined;
}

function isPortRange(value: unknown): value is PortRange {
  if (typeof value !== 'object' || value === null) return false;
  const { min, max } = value as { min?: unknown; max?: unknown };
  return typeof min === 'number' && typeof max === 'number';
}
