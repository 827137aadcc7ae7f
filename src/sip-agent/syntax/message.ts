import { spellHeaderName, type HeaderName } from './header-names.js';
import type { CSeq, NameAddr, Via } from './headers.js';

export type { HeaderName } from './header-names.js';

/** One header field: its canonical name and its value, unfolded and trimmed. */
export type HeaderField = [name: HeaderName, value: string];

const NO_BODY = Buffer.alloc(0);

/** The common part of requests and responses (RFC 3261 section 7): header fields in their order on the wire, and a body. */
export abstract class SipMessage {
  readonly headers: HeaderField[] = [];
  body: Buffer = NO_BODY;

  /** The start line without its CRLF. */
  protected abstract startLine(): string;

  /** The value of the first header field of that canonical name. */
  get(name: HeaderName): string | undefined {
    for (const field of this.headers) if (field[0] === name) return field[1];
    return undefined;
  }

  /** The value of every header field of that name, in order; lists are not split. */
  getAll(name: HeaderName): string[] {
    const values: string[] = [];
    for (const field of this.headers) if (field[0] === name) values.push(field[1]);
    return values;
  }

  has(name: HeaderName): boolean {
    return this.get(name) !== undefined;
  }

  /**
   * Makes this the only header field of that name, in the place of the first one, else at the end. Throws a TypeError when
   * the value holds a line break, as do all methods that take a value.
   */
  set(name: HeaderName, value: string): this {
    refuseLineBreak(value);
    const at = this.headers.findIndex((field) => field[0] === name);
    if (at < 0) return this.add(name, value);
    this.headers[at] = [name, value];
    this.#removeFrom(at + 1, name);
    return this;
  }

  /** Appends a header field. */
  add(name: HeaderName, value: string): this {
    refuseLineBreak(value);
    this.headers.push([name, value]);
    return this;
  }

  /** Puts a header field before all others, as a new Via or Record-Route has to be. */
  prepend(name: HeaderName, value: string): this {
    refuseLineBreak(value);
    this.headers.unshift([name, value]);
    return this;
  }

  /** Removes every header field of that name. */
  remove(name: HeaderName): this {
    this.#removeFrom(0, name);
    return this;
  }

  /** The memory it holds, approximately: its text and its body, in octets. */
  get octets(): number {
    let octets = this.body.length;
    for (const [name, value] of this.headers) octets += name.length + value.length;
    return octets;
  }

  /** The message as octets. Content-Length comes last and is always written from the body. */
  toBuffer(): Buffer {
    const head = Buffer.from(this.#head(), 'utf8');
    return this.body.length > 0 ? Buffer.concat([head, this.body]) : head;
  }

  /** The message as text, the body read as UTF-8. */
  toString(): string {
    return this.#head() + this.body.toString('utf8');
  }

  #head(): string {
    let head = `${this.startLine()}\r\n`;
    for (const [name, value] of this.headers) {
      if (name !== 'content-length') head += `${spellHeaderName(name)}: ${value}\r\n`;
    }
    return `${head}Content-Length: ${this.body.length}\r\n\r\n`;
  }

  #removeFrom(start: number, name: HeaderName): void {
    let kept = start;
    for (const field of this.headers.slice(start)) if (field[0] !== name) this.headers[kept++] = field;
    this.headers.length = kept;
  }
}

/** A request (RFC 3261 section 7.1). */
export class SipRequest extends SipMessage {
  constructor(
    public method: string,
    public uri: string,
  ) {
    super();
  }

  protected override startLine(): string {
    return `${this.method} ${this.uri} SIP/2.0`;
  }
}

/** A response (RFC 3261 section 7.2). */
export class SipResponse extends SipMessage {
  constructor(
    public status: number,
    public reason: string,
  ) {
    super();
  }

  protected override startLine(): string {
    return `SIP/2.0 ${this.status} ${this.reason}`;
  }
}

/** The mandatory header fields of a received message, checked and parsed once. */
export interface Envelope {
  /** The topmost Via. */
  readonly via: Via;
  readonly from: NameAddr;
  readonly to: NameAddr;
  readonly callId: string;
  /** In a request its method is the request's own. */
  readonly cseq: CSeq;
  /** 0–255; absent in responses and in requests of RFC 2543. */
  readonly maxForwards?: number;
}

function refuseLineBreak(value: string): void {
  if (value.includes('\n') || value.includes('\r')) throw new TypeError('A header value cannot hold a line break');
}
