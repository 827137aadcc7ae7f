import { paramOf, readNameAddr, splitValues } from '../name-addr.js';
import type { OutsideResponse } from '../drachtio/outside-request.js';

/** Longer grants are cut to this: otherwise a registrar that lost our binding would not be noticed for days. */
const MAX_EXPIRES_SEC = 86_400;
/** Room for the bindings of some hundred devices. */
const MAX_HEADER_LENGTH = 65_536;

/**
 * The lifetime in seconds that a 2xx to REGISTER grants (RFC 3261 section 10.2.4): the `expires` of our Contact among those
 * listed, else the Expires header, else what was asked for. 0 when bindings are listed and ours is not one of them.
 */
export function grantedSec(response: OutsideResponse, contactUser: string, askedSec: number): number {
  const header = wholeSeconds(response.get('Expires')) ?? askedSec;
  const contacts = response.get('Contact');
  if (contacts === undefined) return header;
  const ours = contactsIn(contacts).filter(({ uri }) => userOf(uri) === contactUser);
  const [sent] = contactsIn(response.sentContact ?? '');
  const exact = ours.filter(({ uri }) => sent !== undefined && hostPort(uri) === hostPort(sent.uri));
  // Other addresses are other devices, an earlier run of ours, or ours as rewritten by a NAT: the shortest lifetime fits all.
  const granted = (exact.length > 0 ? exact : ours).map(({ expiresSec }) => expiresSec ?? header);
  return granted.length > 0 ? Math.min(MAX_EXPIRES_SEC, ...granted) : 0;
}

/** Min-Expires of a 423 (RFC 3261 section 10.2.8); undefined when it is missing or not usable. */
export function leastExpiresSec(response: OutsideResponse): number | undefined {
  const least = wholeSeconds(response.get('Min-Expires'));
  return least !== undefined && least <= MAX_EXPIRES_SEC ? least : undefined;
}

/** Retry-After in seconds (RFC 3261 section 20.33); a comment and parameters may follow. */
export function retryAfterSec(response: OutsideResponse): number | undefined {
  return wholeSeconds(response.get('Retry-After'));
}

interface ListedContact {
  readonly uri: string;
  readonly expiresSec: number | undefined;
}

function contactsIn(header: string): ListedContact[] {
  return splitValues(header.slice(0, MAX_HEADER_LENGTH)).map((value) => {
    const { uri, params } = readNameAddr(value);
    return { uri, expiresSec: wholeSeconds(paramOf(params, 'expires')) };
  });
}

/** User part of a `sip:` URI; empty when it has none. */
export function userOf(uri: string): string {
  return /^sips?:(?:([^@:;]*)[^@]*@)?/i.exec(uri)?.[1] ?? '';
}

function hostPort(uri: string): string {
  const rest = uri.slice(uri.indexOf('@') + 1).replace(/^sips?:/i, '');
  return (/^[^;?]*/.exec(rest)?.[0] ?? '').toLowerCase().replace(/:5060$/, '');
}

function wholeSeconds(text: string | undefined): number | undefined {
  const digits = /^\s*(\d{1,10})/.exec(text ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
}
