import { CODE } from './grammar.js';
import { parseHead, type MessageHead } from './head.js';
import { LIMITS } from './limits.js';
import { judge, refuse, type ParseResult } from './parse-result.js';

/** A double CRLF between messages: a keep-alive ping, to be answered by a single CRLF (RFC 5626 section 3.5.1). */
interface StreamPing {
  readonly kind: 'ping';
}

/** The stream cannot be framed any more: the connection is to be closed. */
interface StreamFatal {
  readonly kind: 'fatal';
  readonly reason: string;
}

export type StreamItem = ParseResult | StreamPing | StreamFatal;

const EMPTY_LINE = Buffer.from('\r\n\r\n');
const NOTHING = Buffer.alloc(0);
const INCOMPLETE = 0;
const FATAL = -1;

/**
 * Splits a byte stream into messages by their Content-Length (RFC 3261 section 18.3). Holds at most one incomplete message of
 * at most `LIMITS.messageBytes`, examines every octet a bounded number of times whatever the chunks, and never throws.
 */
export class StreamParser {
  /** Octets before `#end` are unread. */
  #buffer = NOTHING;
  #end = 0;
  /** How far the current message has been searched for its empty line. */
  #searched = 0;
  /** The head of the current message, once complete, and the length of that with its empty line. */
  #head: { readonly parsed: MessageHead; readonly bytes: number } | undefined;
  /** CRLFs in a row since the last message. */
  #lineBreaks = 0;
  /** The present push has reported a ping. */
  #pinged = false;
  #dead = false;

  /** True while a message has begun and is incomplete: transports put a deadline on this state. */
  get midMessage(): boolean {
    return this.#end > 0;
  }

  /**
   * Takes received octets and returns what they complete, in order: messages, at most one ping, and a fatal fault, which is
   * the last item of the stream. `chunk` is not kept.
   */
  push(chunk: Buffer): StreamItem[] {
    if (this.#dead) return [];
    const items: StreamItem[] = [];
    this.#pinged = false;
    const wasEmpty = this.#end === 0;
    const unread = wasEmpty ? chunk : this.#append(chunk);
    let at = 0;
    let size = 0;
    do {
      at += size;
      at += this.#skipLineBreaks(unread, at, items);
      size = this.#next(unread.subarray(at), items);
    } while (size > 0);
    if (size === FATAL) this.#release();
    else this.#keep(unread, at, wasEmpty);
    return items;
  }

  /** Reads the message that `unread` begins with; returns its length, or INCOMPLETE, or FATAL. */
  #next(unread: Buffer, items: StreamItem[]): number {
    // A lone CR may be the beginning of a keep-alive.
    if (unread.length < 2) return INCOMPLETE;
    this.#head ??= this.#readHead(unread);
    if (!this.#head) {
      return unread.length > LIMITS.messageBytes ? this.#die('Message too large', items) : INCOMPLETE;
    }
    const { parsed, bytes } = this.#head;
    const bodyBytes = parsed.contentLength === 'absent' ? 0 : parsed.contentLength;
    if (bodyBytes === 'unknown' || (parsed.fault && parsed.contentLength === 'absent')) {
      items.push(judge(parsed, NOTHING));
      return this.#die('No usable Content-Length', items);
    }
    if (bytes + bodyBytes > LIMITS.messageBytes) {
      items.push(refuse(parsed, { status: 413, reason: 'Request Entity Too Large' }));
      return this.#die('Message too large', items);
    }
    if (unread.length < bytes + bodyBytes) return INCOMPLETE;
    items.push(judge(parsed, Buffer.from(unread.subarray(bytes, bytes + bodyBytes))));
    this.#searched = 0;
    this.#head = undefined;
    return bytes + bodyBytes;
  }

  #readHead(unread: Buffer): { parsed: MessageHead; bytes: number } | undefined {
    const end = unread.indexOf(EMPTY_LINE, Math.max(0, this.#searched - EMPTY_LINE.length + 1));
    this.#searched = unread.length;
    if (end < 0) return undefined;
    return { parsed: parseHead(unread, 0, end), bytes: end + EMPTY_LINE.length };
  }

  /** Skips the CRLFs between messages; two in a row are a ping, of which one push reports one. */
  #skipLineBreaks(unread: Buffer, start: number, items: StreamItem[]): number {
    if (this.#searched > 0) return 0;
    let at = start;
    while (unread[at] === CODE.cr && unread[at + 1] === CODE.lf) {
      at += 2;
      if (++this.#lineBreaks < 2) continue;
      this.#lineBreaks = 0;
      if (!this.#pinged) items.push({ kind: 'ping' });
      this.#pinged = true;
    }
    if (at < unread.length && unread[at] !== CODE.cr) this.#lineBreaks = 0;
    return at - start;
  }

  #die(reason: string, items: StreamItem[]): typeof FATAL {
    this.#dead = true;
    items.push({ kind: 'fatal', reason });
    return FATAL;
  }

  /** Appends the chunk to the unread octets; returns all of them. */
  #append(chunk: Buffer): Buffer {
    const end = this.#end + chunk.length;
    if (end > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(end, 2 * this.#buffer.length));
      this.#buffer.copy(larger, 0, 0, this.#end);
      this.#buffer = larger;
    }
    chunk.copy(this.#buffer, this.#end);
    return this.#buffer.subarray(0, end);
  }

  /** Keeps the octets from `start` on, an incomplete message: they are in the caller's chunk or already in the buffer. */
  #keep(unread: Buffer, start: number, inChunk: boolean): void {
    if (start === unread.length) {
      this.#release();
      return;
    }
    if (inChunk) this.#buffer = Buffer.from(unread.subarray(start));
    else if (start > 0) this.#buffer.copyWithin(0, start, unread.length);
    this.#end = unread.length - start;
  }

  /** An idle connection holds no buffer. */
  #release(): void {
    this.#buffer = NOTHING;
    this.#head = undefined;
    this.#end = 0;
  }
}
