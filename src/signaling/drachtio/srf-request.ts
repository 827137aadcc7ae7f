import { readNameAddr } from '../name-addr.js';
import type { CapabilityQuery, SipAddress, SipRejection } from '../sip-endpoint.js';
import { warningOf, type SrfDialogOptions } from './srf-dialog.js';
import type { SrfRequest, SrfResponse } from './srf-types.js';
import { owned } from '../text.js';

/** The parties, source and header fields of a request outside a dialog. */
export function partiesOf(request: SrfRequest): CapabilityQuery {
  return {
    // drachtio-srf's own parser takes an unquoted display name for the address.
    from: sipAddress(readNameAddr(request.get('From') ?? '').uri),
    to: sipAddress(readNameAddr(request.get('To') ?? '').uri),
    requestUri: sipAddress(request.uri),
    source: { address: request.source_address, port: request.source_port, protocol: request.protocol },
    header: (name) => headerOf(request, name),
  };
}

/** A header, any case; the values of several fields of that name stand in one, separated by commas. */
export function headerOf(request: SrfRequest, name: string): string | undefined {
  // drachtio-srf looks names up in plain objects, which have members of their own: `constructor`, `__proto__`.
  if (percentDecoded(name).toLowerCase() in Object.prototype) return undefined;
  const value = request.get(name);
  return value === undefined ? undefined : owned(value);
}

/** Refuses a request. Only its own response is used, so that it needs no dialog. */
export function sendRejection(response: SrfResponse, rejection: SipRejection, shown: SrfDialogOptions): void {
  const { status, warning, retryAfterSec, contact, challenges } = rejection;
  const headers: Record<string, string> = { ...rejection.headers };
  if (warning !== undefined) headers['Warning'] = warningOf(warning, shown);
  if (retryAfterSec !== undefined) headers['Retry-After'] = String(retryAfterSec);
  if (contact !== undefined) headers['Contact'] = `<${contact}>`;
  // drachtio-srf writes one field of a name, and challenges must not share one (RFC 3261 section 20.44).
  if (challenges) headers['WWW-Authenticate'] = challenges.join('\r\nWWW-Authenticate: ');
  try {
    response.send(status, { headers });
  } catch {
    // drachtio-srf knows only a list of statuses; any other one means its class's x00 (RFC 3261 8.1.3.2).
    response.send(status - (status % 100), { headers });
  }
}

/** `sip:`, `sips:` or `tel:` URI → its user part, without parameters or password. */
function sipAddress(text: string): SipAddress {
  const uri = owned(text);
  const match = /^(?:sips?:(?:([^@]*)@)?|tel:([^;]*))/i.exec(uri);
  const user = (match?.[1] ?? match?.[2] ?? '').split(/[;:]/, 1)[0] ?? '';
  return { uri, user: percentDecoded(user) };
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
