import type { Socket } from 'node:net';
import { FailureListeners, type Endpoint, type Flow, type FlowFailureListener } from './flow.js';
import { StreamParser, type ParseResult, type StreamItem } from './parse.js';
import type { MessageSink } from './transport.js';

/** Octets a peer may leave unread before its connection is given up. */
const MAX_UNSENT_BYTES = 1024 * 1024;
const KEEP_ALIVE_PROBE_MS = 60_000;
const PONG = Buffer.from('\r\n');

export interface TcpConnectionOptions {
  readonly socket: Socket;
  readonly remote: Endpoint;
  readonly local: Endpoint;
  readonly sink: MessageSink;
  readonly nowMs: () => number;
  readonly closed: () => void;
}

/** One TCP connection: a flow, and the stream of messages that comes out of it (RFC 3261 section 18.3). */
export class TcpConnection implements Flow {
  readonly protocol = 'tcp';
  readonly reliable = true;
  readonly remote: Endpoint;
  readonly local: Endpoint;
  readonly #options: TcpConnectionOptions;
  readonly #parser = new StreamParser();
  readonly #failures = new FailureListeners();
  #holders = 0;
  #closeReason = 'connection closed';
  #activeMs: number;
  /** Since when a message has been incomplete, or the peer has been asked to close. */
  #stalledSinceMs: number | undefined;
  #finishing = false;

  constructor(options: TcpConnectionOptions) {
    this.#options = options;
    this.remote = options.remote;
    this.local = options.local;
    this.#activeMs = options.nowMs();
    const { socket } = options;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_PROBE_MS);
    socket.on('data', (chunk) => {
      this.#receive(chunk);
    });
    socket.on('error', (error) => {
      this.#closeReason = error.message;
    });
    socket.on('close', () => {
      options.closed();
      this.#failures.tell(this.#closeReason);
    });
  }

  get usable(): boolean {
    return this.#options.socket.writable;
  }

  /** How long nothing was received and nothing sent. 0 while somebody depends on the connection. */
  idleMs(nowMs: number): number {
    return this.#holders > 0 ? 0 : nowMs - this.#activeMs;
  }

  /** How long the peer has owed us the rest of a message, or the end of the connection; 0 when it owes nothing. */
  stalledMs(nowMs: number): number {
    return this.#stalledSinceMs === undefined ? 0 : nowMs - this.#stalledSinceMs;
  }

  toPort(): Flow {
    return this;
  }

  send(bytes: Buffer): void {
    const { socket, nowMs } = this.#options;
    this.#activeMs = nowMs();
    if (socket.writableLength > MAX_UNSENT_BYTES) this.destroy('peer does not read');
    if (socket.writable) socket.write(bytes);
    else this.#failLater();
  }

  onFailure(listener: FlowFailureListener): () => void {
    return this.#failures.add(listener);
  }

  hold(): () => void {
    this.#holders++;
    let held = true;
    return () => {
      if (held) this.#holders--;
      held = false;
    };
  }

  destroy(reason: string): void {
    this.#closeReason = reason;
    this.#options.socket.destroy();
  }

  /** For a sender who came after the connection had gone. */
  #failLater(): void {
    queueMicrotask(() => {
      this.#failures.tell(this.#closeReason);
    });
  }

  /** The stream makes no sense any more: what has been answered is still sent, nothing else is read. */
  #finish(reason: string): void {
    this.#closeReason = reason;
    this.#finishing = true;
    this.#stalledSinceMs ??= this.#activeMs;
    this.#options.socket.end();
  }

  #receive(chunk: Buffer): void {
    if (this.#finishing) return;
    this.#activeMs = this.#options.nowMs();
    const items = this.#parser.push(chunk);
    if (items.length > 0 || !this.#parser.midMessage) this.#stalledSinceMs = undefined;
    if (this.#parser.midMessage) this.#stalledSinceMs ??= this.#activeMs;
    for (const item of items) this.#take(item);
  }

  #take(item: StreamItem): void {
    if ('ok' in item) this.#deliver(item);
    else if (item.kind === 'ping') this.send(PONG);
    else this.#finish(item.reason);
  }

  #deliver(result: ParseResult): void {
    const { sink } = this.#options;
    if (result.ok) sink.message(result.message, result.envelope, this);
    else sink.malformed(result.failure, this);
  }
}
