import { checkEnvelope, topVia } from './envelope.js';
import { malformed, type ParseFault, type MessageHead } from './head.js';
import { SipRequest, type Envelope, type SipMessage, type SipResponse } from './message.js';

/** A refused message, and how to answer it. */
export interface ParseFailure {
  readonly kind: 'malformed';
  /** The status to refuse a request with. */
  readonly status: 400 | 413 | 414 | 416 | 505 | 513;
  /** For the log and the reason phrase: plain ASCII, with no text of the peer's. */
  readonly reason: string;
  /**
   * The part of a malformed request that its response needs: method, every Via (the topmost one is valid), and From, To,
   * Call-ID and CSeq as far as present; `uri` may be empty. Absent when it cannot be answered: a response, no usable Via, or
   * control characters that a response would send back. An ACK is never answered, even when this is present.
   */
  readonly partial?: SipRequest;
}

export type ParseResult =
  | { readonly ok: true; readonly message: SipRequest | SipResponse; readonly envelope: Envelope }
  | { readonly ok: false; readonly failure: ParseFailure };

/** Checks a complete message: its parsed head and its body. */
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

/** The fields that RFC 3261 section 8.2.6.2 copies from a request into its response; undefined without a usable Via. */
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
