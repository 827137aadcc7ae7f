import type { OutsideResponse } from './outside-request.js';

/** Beyond that a registrar is not believed: nobody would notice for days that it has forgotten us. */
const MAX_EXPIRES_SEC = 86_400;
/** Room for the bindings of some hundred devices. */
const MAX_HEADER_LENGTH = 65_536;

/**
 * How long the binding holds that a 2xx to REGISTER grants (RFC 3261 section 10.2.4): by the `expires` of our Contact among
 * those listed, else by the Expires header, else as asked for. 0 when it lists bindings and ours is not one of them.
 */
export function grantedSec(response: OutsideResponse, contactUser: string, askedSec: number): number {
  const header = wholeSeconds(response.get('Expires')) ?? askedSec;
  const contacts = response.get('Contact');
  if (contacts === undefined) return header;
  const ours = contactsIn(contacts).filter(({ uri }) => userOf(uri) === contactUser);
  const [sent] = contactsIn(response.sentContact ?? '');
  const exact = ours.filter(({ uri }) => sent !== undefined && hostPort(uri) === hostPort(sent.uri));
  // Those elsewhere are other devices, an earlier run of ours, or ours as a NAT has made it: the shortest harms none of them.
  const granted = (exact.length > 0 ? exact : ours).map(({ expiresSec }) => expiresSec ?? header);
  return granted.length > 0 ? Math.min(MAX_EXPIRES_SEC, ...granted) : 0;
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

/**
 * The values of a Contact header (RFC 3261 section 20.10), of which several may have been joined by commas. Without angle
 * brackets all parameters are the header's. `*` is nobody's.
 */
function contactsIn(header: string): ListedContact[] {
  const text = header.slice(0, MAX_HEADER_LENGTH);
  return valuesIn(text, true).map(({ start, open, close, end }) => {
    const bare = open < 0 ? text.slice(start, end).split(';', 1)[0] : undefined;
    const uri = bare ?? text.slice(open + 1, close);
    const params = text.slice(bare === undefined ? close + 1 : start + bare.length, end);
    // What is quoted may look like anything, but some quote their numbers.
    const unquoted = params.replace(/"(?:[^"\\]|\\[^])*"?/g, (quoted) => /^"(\d+)"$/.exec(quoted)?.[1] ?? '""');
    const expires = /;\s{0,8}expires\s{0,8}=\s{0,8}(\d{1,10})/i.exec(unquoted)?.[1];
    return { uri: uri.trim(), expiresSec: wholeSeconds(expires) };
  });
}

/** Where one value is in the header, and its first angle brackets outside quotes: -1 without. */
interface Value {
  start: number;
  open: number;
  close: number;
  end: number;
}

/** Linear. A quote that is never closed is none. */
function valuesIn(text: string, heedsQuotes: boolean): Value[] {
  const values: Value[] = [];
  let [start, open, close, quoted] = [0, -1, -1, false];
  for (let at = 0; at <= text.length; at++) {
    const character = text[at];
    const bracketed = open >= 0 && close < 0;
    if (quoted) {
      if (character === '\\') at += 1;
      else if (character === '"') quoted = false;
    } else if (character === '"' && heedsQuotes && !bracketed) quoted = true;
    else if (character === '<' && open < 0) open = at;
    else if (character === '>' && bracketed) close = at;
    else if (character === undefined || (character === ',' && !bracketed)) {
      if (!bracketed) values.push({ start, open, close, end: at });
      [start, open, close] = [at + 1, -1, -1];
    }
  }
  return quoted ? valuesIn(text, false) : values;
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
