import type { Socket } from 'node:net';
import { FailureListeners, type Endpoint, type Flow, type FlowFailureListener } from './flow.js';
import { SipRequest } from '../syntax/message.js';
import { StreamParser, type ParseResult, type StreamItem } from '../syntax/parse.js';
import type { StreamSockets } from './stream-sockets.js';
import type { MessageSink } from './transport.js';

/** Octets a peer may leave unread before its connection is closed. */
const MAX_UNSENT_BYTES = 1024 * 1024;
const KEEP_ALIVE_PROBE_MS = 60_000;
/** An outgoing connection has to be open within this, TLS handshake included. */
const OPEN_TIMEOUT_MS = 5_000;
/** A message has to be complete within this, from its first octet on. */
const MESSAGE_TIMEOUT_MS = 10_000;
const PONG = Buffer.from('\r\n');

export interface StreamConnectionOptions {
  readonly socket: Socket;
  readonly protocol: 'tcp' | 'tls';
  readonly remote: Endpoint;
  readonly local: Endpoint;
  readonly sink: MessageSink;
  readonly nowMs: () => number;
  /** The socket's event for "open"; absent when it is open already. */
  readonly openEvent?: StreamSockets['openEvent'];
  /** Called for a request with an "alias" parameter: its sender takes requests to that port here (RFC 5923 section 8). */
  readonly alias: (port: number | undefined) => void;
  /** Called once, with the error that closed it, if any. */
  readonly closed: (error: Error | undefined) => void;
}

/** One TCP or TLS connection: a flow, and the messages parsed from its stream (RFC 3261 section 18.3). */
export class StreamConnection implements Flow {
  readonly protocol: 'tcp' | 'tls';
  readonly reliable = true;
  readonly remote: Endpoint;
  readonly local: Endpoint;
  readonly socket: Socket;
  readonly #options: StreamConnectionOptions;
  readonly #parser = new StreamParser();
  readonly #failures = new FailureListeners();
  #holders = 0;
  #open: boolean;
  #error: Error | undefined;
  #closeReason = 'connection closed';
  #activeMs: number;
  /** Since when a message has been incomplete, or our side has been closed. */
  #stalledSinceMs: number | undefined;
  #finishing = false;

  constructor(options: StreamConnectionOptions) {
    const { socket, openEvent } = options;
    this.#options = options;
    this.socket = socket;
    this.protocol = options.protocol;
    this.remote = options.remote;
    this.local = options.local;
    this.#open = openEvent === undefined;
    this.#activeMs = options.nowMs();
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_PROBE_MS);
    if (openEvent !== undefined) {
      socket.once(openEvent, () => {
        this.#open = true;
      });
    }
    this.#listen(socket);
  }

  get usable(): boolean {
    return this.socket.writable;
  }

  /** Whether it was ever open. */
  get open(): boolean {
    return this.#open;
  }

  /** Whether a call depends on it. */
  get held(): boolean {
    return this.#holders > 0;
  }

  /** When it last sent or received something. */
  get activeMs(): number {
    return this.#activeMs;
  }

  /** Why it is to be closed now; undefined when it is not. `idleLimitMs`: how long nothing may be sent or received. */
  overdue(nowMs: number, idleLimitMs: number): string | undefined {
    const quietMs = nowMs - this.#activeMs;
    if (!this.#open) return quietMs > OPEN_TIMEOUT_MS ? 'connection not open in time' : undefined;
    const stalledMs = this.#stalledSinceMs === undefined ? 0 : nowMs - this.#stalledSinceMs;
    if (stalledMs > MESSAGE_TIMEOUT_MS) return 'message not completed in time';
    // A held connection may be idle: a call depends on it.
    return this.#holders === 0 && quietMs > idleLimitMs ? 'idle' : undefined;
  }

  toPort(): Flow {
    return this;
  }

  send(bytes: Buffer): void {
    const { socket } = this;
    if (this.#open) this.#activeMs = this.#options.nowMs();
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
    this.socket.destroy();
  }

  #listen(socket: Socket): void {
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', (error) => {
      this.#error = error;
      this.#closeReason = error.message;
    });
    socket.on('close', () => {
      this.#options.closed(this.#error);
      this.#failures.emit(this.#closeReason);
    });
  }

  /** For a send after the connection was closed: its listeners were added too late for the 'close' event. */
  #failLater(): void {
    queueMicrotask(() => this.#failures.emit(this.#closeReason));
  }

  /** The stream cannot be framed any more: pending responses are still sent, nothing else is read. */
  #finish(reason: string): void {
    this.#closeReason = reason;
    this.#finishing = true;
    this.#stalledSinceMs ??= this.#activeMs;
    this.socket.end();
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
    const { sink, alias } = this.#options;
    if (!result.ok) {
      sink.malformed(result.failure, this);
      return;
    }
    const { message, envelope } = result;
    if (message instanceof SipRequest && envelope.via.params.has('alias')) alias(envelope.via.port);
    sink.message(message, envelope, this);
  }
}
