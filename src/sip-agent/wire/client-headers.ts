import { formatHostPort, type Endpoint, type Flow, type TransportProtocol } from '../transport/flow.js';
import { formatNameAddr, parseNameAddr } from '../syntax/headers.js';
import { SipRequest, type SipMessage } from '../syntax/message.js';
import { parseSipUri, uriScheme } from '../syntax/uri.js';

/** Header fields that only the agent writes: routing, dialog id, framing. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  ...['via', 'route', 'record-route', 'max-forwards', 'content-length', 'rseq'],
  ...['from', 'to', 'call-id', 'cseq'],
]);

/** A client writes `@localhost` for our own address. */
const PLACEHOLDER = /@localhost(?=[;>:\s]|$)/g;

/**
 * Copies the header fields and the body that a client gave into a message of ours. Throws an Error when the body has no
 * Content-Type and is not SDP.
 */
export function takeFromClient(message: SipMessage, given: SipMessage, flow: Flow): void {
  const secure = message instanceof SipRequest && isSips(message.uri);
  for (const [name, value] of given.headers) {
    if (!OWN_HEADERS.has(name)) message.add(name, takeHeader(name, value, flow, secure));
  }
  message.body = given.body;
  if (given.body.length === 0 || given.has('content-type')) return;
  if (given.body.toString('latin1', 0, 3) !== 'v=0') throw new Error('missing content-type');
  message.add('content-type', 'application/sdp');
}

/** Replaces `@localhost` by our address. */
export function replacePlaceholder(value: string, local: Endpoint): string {
  return value.includes('@localhost') ? value.replace(PLACEHOLDER, `@${formatHostPort(local)}`) : value;
}

function takeHeader(name: string, value: string, { local, protocol }: Flow, secure: boolean): string {
  const ours = replacePlaceholder(value, local);
  if (name !== 'contact') return ours;
  return bracketed(ours === value ? ours : ownAddress(ours, protocol, secure));
}

/** Puts a bare address in angle brackets, as drachtio-server does: some peers require them. */
function bracketed(contact: string): string {
  const address = contact.includes('<') ? undefined : parseNameAddr(contact);
  return address ? formatNameAddr(address) : contact;
}

function ownAddress(contact: string, protocol: TransportProtocol, secure: boolean): string {
  if (protocol === 'udp') return contact;
  return secure ? contact.replace(/(?<=^|<)sip:/i, 'sips:') : withTransport(contact, protocol);
}

/** A Contact of ours on a connection needs a transport parameter, or requests to it are sent by UDP. */
function withTransport(contact: string, protocol: TransportProtocol): string {
  const address = parseNameAddr(contact);
  if (!address || parseSipUri(address.uri)?.params.has('transport') !== false) return contact;
  return formatNameAddr({ ...address, uri: `${address.uri};transport=${protocol}` });
}

/** Whether a URI requires TLS on every hop. */
export function isSips(uri: string): boolean {
  return uriScheme(uri) === 'sips';
}

/** Our Contact for the peers on a flow; `secure`: a SIPS URI. */
export function ownContact({ local, protocol }: Flow, secure = false): string {
  if (secure) return `<sips:${formatHostPort(local)}>`;
  return `<sip:${formatHostPort(local)}${protocol === 'udp' ? '' : `;transport=${protocol}`}>`;
}
