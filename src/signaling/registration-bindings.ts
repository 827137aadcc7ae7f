import type { OutsideResponse } from './outside-request.js';

/** Beyond that a registrar is not believed: nobody would notice for days that it has forgotten us. */
const MAX_EXPIRES_SEC = 86_400;

/**
 * How long the binding holds that a 2xx to REGISTER grants (RFC 3261 section 10.2.4): by the `expires` of our Contact among
 * those listed, else by the Expires header, else as asked for. 0 when it lists bindings and ours is not one of them.
 */
export function grantedSec(response: OutsideResponse, contactUser: string, askedSec: number): number {
  const header = wholeSeconds(response.get('Expires')) ?? askedSec;
  const contacts = response.get('Contact');
  if (contacts === undefined) return header;
  const ours = contactsIn(contacts).filter(({ uri }) => userOf(uri) === contactUser);
  // Of several, one is of an earlier run of ours at another address.
  const mine = ours.find(({ uri }) => response.sentContact?.includes(hostPort(uri))) ?? ours[0];
  return mine ? Math.min(MAX_EXPIRES_SEC, mine.expiresSec ?? header) : 0;
}

/** Min-Expires of a 423 (RFC 3261 section 10.2.8); undefined when it makes no sense. */
export function leastExpiresSec(response: OutsideResponse): number | undefined {
  const least = wholeSeconds(response.get('Min-Expires'));
  return least !== undefined && least <= MAX_EXPIRES_SEC ? least : undefined;
}

/** Retry-After (RFC 3261 section 20.33), which may go on with a comment and parameters. */
export function retryAfterSec(response: OutsideResponse): number | undefined {
  return wholeSeconds(response.get('Retry-After'));
}

interface ListedContact {
  readonly uri: string;
  readonly expiresSec: number | undefined;
}

function contactsIn(header: string): ListedContact[] {
  const contacts: ListedContact[] = [];
  // Display names come first and are of no interest; a URI in angle brackets has no bracket in it.
  for (const [, uri = '', params = ''] of header.matchAll(/<([^<>]{1,1024})>([^<]{0,1024})/g)) {
    const expires = /;\s*expires\s*=\s*"?(\d{1,10})/i.exec(params)?.[1];
    contacts.push({ uri, expiresSec: wholeSeconds(expires) });
  }
  return contacts;
}

function userOf(uri: string): string {
  return /^sips?:([^@:;]*)/i.exec(uri)?.[1] ?? '';
}

function hostPort(uri: string): string {
  return /@([^;?>]*)/.exec(uri)?.[0] ?? uri;
}

function wholeSeconds(text: string | undefined): number | undefined {
  const digits = /^\s*(\d{1,10})/.exec(text ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
}
