/**
 * Framing of drachtio's wire protocol: `<octets>#<id>|<type>|…[\r\n<payload>]`. The length counts everything after the
 * "#". Only the first line is split at "|"; the payload, a SIP message, is left as it is.
 */

/** One frame as received. */
export interface WireFrame {
  readonly tokens: readonly string[];
  /** What follows the first line; empty when there is nothing. */
  readonly payload: Buffer;
}

/** The client does not speak the protocol: its connection is to be closed. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

const MAX_LENGTH_DIGITS = 8;
const HASH = 0x23;
const CRLF = '\r\n';
const NOTHING = Buffer.alloc(0);

/** Splits a byte stream into frames. */
export class WireDecoder {
  #buffered: Buffer = NOTHING;
  /** Octets of one frame, without its length prefix; may be raised after authentication. */
  maxFrameBytes: number;

  constructor(maxFrameBytes: number) {
    this.maxFrameBytes = maxFrameBytes;
  }

  /** Takes the next octets. Yields the frames they complete; throws a WireError when the framing is broken. */
  *push(chunk: Buffer): Generator<WireFrame> {
    this.#buffered = this.#buffered.length > 0 ? Buffer.concat([this.#buffered, chunk]) : chunk;
    for (let frame = this.#take(); frame; frame = this.#take()) yield parseFrame(frame);
  }

  #take(): Buffer | undefined {
    const hash = this.#buffered.indexOf(HASH);
    const digits = hash < 0 ? this.#buffered.length : hash;
    if (digits > MAX_LENGTH_DIGITS) throw new WireError('frame without a length');
    if (hash < 0) return undefined;
    const length = this.#readLength(hash);
    const end = hash + 1 + length;
    if (this.#buffered.length < end) return undefined;
    const frame = this.#buffered.subarray(hash + 1, end);
    this.#buffered = this.#buffered.subarray(end);
    return frame;
  }

  #readLength(hash: number): number {
    const text = this.#buffered.toString('latin1', 0, hash);
    const length = /^\d+$/.test(text) ? Number(text) : 0;
    if (length === 0) throw new WireError('frame without a length');
    if (length > this.maxFrameBytes) throw new WireError('frame too long');
    return length;
  }
}

/** One frame for the wire. `head` is the first line, without its line break. */
export function encodeFrame(head: string, payload?: Buffer): Buffer {
  const line = Buffer.from(payload ? head + CRLF : head, 'utf8');
  const length = line.length + (payload?.length ?? 0);
  const prefix = Buffer.from(`${length}#`, 'latin1');
  return Buffer.concat(payload ? [prefix, line, payload] : [prefix, line]);
}

function parseFrame(frame: Buffer): WireFrame {
  const lineEnd = frame.indexOf(CRLF);
  const head = frame.toString('utf8', 0, lineEnd < 0 ? frame.length : lineEnd);
  return { tokens: head.split('|'), payload: lineEnd < 0 ? NOTHING : frame.subarray(lineEnd + CRLF.length) };
}
