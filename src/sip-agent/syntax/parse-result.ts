import { checkEnvelope, topVia } from './envelope.js';
import { malformed, type ParseFault, type MessageHead } from './head.js';
import { SipRequest, type Envelope, type SipMessage, type SipResponse } from './message.js';

/** A message that is refused, and how to say so. */
export interface ParseFailure {
  readonly kind: 'malformed';
  /** The status to refuse a request with. */
  readonly status: 400 | 413 | 414 | 416 | 505 | 513;
  /** For the log and the reason phrase: plain ASCII, nothing of the peer's text in it. */
  readonly reason: string;
  /**
   * Enough of a malformed request to answer it: its method, every Via (the topmost one parses), and From, To, Call-ID
   * and CSeq as far as present; its `uri` may be empty. Absent when there is nothing to answer: a response, no usable
   * Via, or control characters that an answer would carry back. An ACK is never answered, whatever stands here.
   */
  readonly partial?: SipRequest;
}

export type ParseResult =
  | { readonly ok: true; readonly message: SipRequest | SipResponse; readonly envelope: Envelope }
  | { readonly ok: false; readonly failure: ParseFailure };

/** The verdict on a message of which all is there: its head as parsed and its body. */
export function judge(head: MessageHead, body: Buffer): ParseResult {
  const { message, fault } = head;
  if (!message || fault) return refuse(head, fault ?? malformed('Malformed start line'));
  const envelope = checkEnvelope(message);
  if (typeof envelope === 'string') return refuse(head, malformed(envelope));
  message.body = body;
  return { ok: true, message, envelope };
}

export function refuse(head: MessageHead, fault: ParseFault): ParseResult {
  const partial = head.unsafe ? undefined : answerable(head.message);
  return { ok: false, failure: { kind: 'malformed', ...fault, ...(partial ? { partial } : undefined) } };
}

const ECHOED_ONCE = ['from', 'to', 'call-id', 'cseq'] as const;

/** What RFC 3261 section 8.2.6.2 copies from a request into its response. */
function answerable(message: SipMessage | undefined): SipRequest | undefined {
  if (!(message instanceof SipRequest) || !topVia(message)) return undefined;
  const partial = new SipRequest(message.method, message.uri);
  for (const via of message.getAll('via')) partial.add('via', via);
  for (const name of ECHOED_ONCE) {
    const value = message.get(name);
    if (value !== undefined) partial.add(name, value);
  }
  return partial;
}
