import type { Envelope, SipRequest, SipResponse } from './message.js';

/** A message that is refused, and how to say so. */
export interface ParseFailure {
  readonly kind: 'malformed';
  /** The status to refuse a request with. */
  readonly status: 400 | 413 | 414 | 416 | 505;
  /** For the log and the reason phrase: plain ASCII, nothing of the peer's text in it. */
  readonly reason: string;
  /**
   * Enough of a malformed request to answer it: method, and its Via (the topmost parses), From, To, Call-ID and CSeq
   * as far as present. Absent when there is no way to answer: a response, or no usable Via.
   */
  readonly partial?: SipRequest;
}

export type ParseResult =
  | { readonly ok: true; readonly message: SipRequest | SipResponse; readonly envelope: Envelope }
  | { readonly ok: false; readonly failure: ParseFailure };

/** A double CRLF between messages: the peer wants a single CRLF back (RFC 5626 section 3.5.1). */
export interface StreamPing {
  readonly kind: 'ping';
}

/** The stream cannot be framed any more: close the connection. */
export interface StreamFatal {
  readonly kind: 'fatal';
  readonly reason: string;
}

export type StreamItem = ParseResult | StreamPing | StreamFatal;
