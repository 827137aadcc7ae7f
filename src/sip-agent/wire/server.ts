import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import type { AgentLogger, AgentClock } from '../environment.js';
import type { SipRequest, SipResponse } from '../syntax/message.js';
import { parseMessage } from '../syntax/parse.js';
import { WireClient } from './client.js';
import { WireDecoder, WireError, type WireFrame } from './codec.js';

/** The drachtio-server version whose behaviour is kept; clients check it before they ping. */
const PROTOCOL_VERSION = 'v0.9.10';
const HOST = '127.0.0.1';
const MAX_CLIENTS = 16;
const MAX_FRAME_BYTES = 1024 * 1024;
/** The same before authentication. */
const MAX_UNAUTHENTICATED_FRAME_BYTES = 4_096;
const AUTHENTICATION_TIMEOUT_MS = 5_000;
/** How long closing waits for commands that clients have already sent. */
const LEAVE_MS = 250;

/** A client's command to send a message. */
export interface SipCommand {
  readonly id: string;
  /** Of the request to respond to, or to cancel; else empty. */
  readonly transactionId: string;
  /** Of the dialog to send the request in; else empty. */
  readonly dialogId: string;
  /** URI to send an out-of-dialog request to instead of its Request-URI. */
  readonly proxy: string | undefined;
  readonly message: SipRequest | SipResponse;
}

/** Handles the commands of clients. */
interface CommandHandler {
  /** Never throws; every command is answered through `client`. */
  command(client: WireClient, command: SipCommand): void;
  /** The client's connection is lost: no application handles its calls any more. */
  clientGone(client: WireClient): void;
}

export interface WireServerOptions {
  readonly secret: string;
  readonly clock: AgentClock;
  readonly logger: AgentLogger;
  readonly handler: CommandHandler;
  /** The SIP listeners, as `protocol/address:port` separated by commas. */
  readonly hostPorts: string;
}

/** The loopback listener drachtio clients connect to. */
export class WireServer {
  readonly #options: WireServerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Authenticated clients; the first one gets the next request. */
  readonly #clients = new Set<WireClient>();
  #closing = false;

  private constructor(options: WireServerOptions, server: Server) {
    this.#options = options;
    this.#server = server;
    server.on('error', (error) => options.logger.warn({ event: 'sip.wire_error', reason: error.message }));
    server.on('connection', (socket) => this.#accept(socket));
  }

  /** Listens on a port the system chooses. */
  static async open(options: WireServerOptions): Promise<WireServer> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, HOST, () => {
        server.removeListener('error', reject);
        resolve();
      });
    });
    return new WireServer(options, server);
  }

  get endpoint(): { readonly host: typeof HOST; readonly port: number } {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The wire server is closed');
    return { host: HOST, port: address.port };
  }

  get clients(): number {
    return this.#clients.size;
  }

  /** A client that handles requests of this method; several take turns. */
  pick(method: string): WireClient | undefined {
    if (this.#closing) return undefined;
    const verb = method.toLowerCase();
    for (const client of this.#clients) {
      if (!client.connected || !client.verbs.has(verb)) continue;
      this.#clients.delete(client);
      this.#clients.add(client);
      return client;
    }
    return undefined;
  }

  /**
   * Closes every connection after the commands that clients have already sent, such as the response to a BYE. `clientGone` is
   * not called for them. To be called once.
   */
  close(): Promise<void> {
    this.#closing = true;
    for (const socket of this.#sockets) socket.end();
    const cancelTimer = this.#options.clock.after(LEAVE_MS, () => {
      for (const socket of this.#sockets) socket.destroy();
    });
    return new Promise((resolve) => {
      this.#server.close(() => {
        cancelTimer();
        this.#clients.clear();
        resolve();
      });
    });
  }

  #accept(socket: Socket): void {
    if (this.#closing || this.#sockets.size >= MAX_CLIENTS) {
      socket.destroy();
      return;
    }
    const client = new WireClient(socket, this.#options.clock);
    const decoder = new WireDecoder(MAX_UNAUTHENTICATED_FRAME_BYTES);
    const cancelDeadline = this.#options.clock.after(AUTHENTICATION_TIMEOUT_MS, () => {
      if (!this.#clients.has(client)) socket.destroy();
    });
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => this.#receive(socket, client, decoder, chunk));
    socket.on('close', () => {
      cancelDeadline();
      this.#sockets.delete(socket);
      if (this.#clients.delete(client) && !this.#closing) this.#options.handler.clientGone(client);
    });
  }

  #receive(socket: Socket, client: WireClient, decoder: WireDecoder, chunk: Buffer): void {
    try {
      for (const frame of decoder.push(chunk)) {
        if (!this.#clients.has(client)) this.#authenticate(client, decoder, frame);
        else this.#execute(client, frame);
      }
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#options.logger.warn({ event: 'sip.wire_error', reason: error.message });
      socket.destroy();
    }
  }

  #authenticate(client: WireClient, decoder: WireDecoder, { tokens }: WireFrame): void {
    const [id = '', type, secret = ''] = tokens;
    if (type !== 'authenticate') client.dismiss(id, 'not authenticated');
    else if (!sameSecret(secret, this.#options.secret)) client.dismiss(id, 'incorrect secret');
    else {
      const { hostPorts } = this.#options;
      decoder.maxFrameBytes = MAX_FRAME_BYTES;
      this.#clients.add(client);
      client.ok(id, `${hostPorts}|${PROTOCOL_VERSION}|${hostPorts}`);
    }
  }

  #execute(client: WireClient, frame: WireFrame): void {
    const [id = '', type, verb = ''] = frame.tokens;
    switch (type) {
      case 'ping':
        client.ok(id, 'pong');
        break;
      case 'route':
        client.verbs.add(verb.toLowerCase());
        client.ok(id);
        break;
      case 'remove_route':
        client.verbs.delete(verb.toLowerCase());
        client.ok(id);
        break;
      case 'sip':
        this.#executeSip(client, frame);
        break;
      default:
        client.failed(id, 'unknown message type');
    }
  }

  #executeSip(client: WireClient, { tokens, payload }: WireFrame): void {
    const [id = '', , transactionId = '', dialogId = '', proxy] = tokens;
    const message = parseMessage(payload);
    if (message) this.#options.handler.command(client, { id, transactionId, dialogId, proxy, message });
    else client.failed(id, `invalid SIP message: ${firstLine(payload)}`);
  }
}

/** Constant-time comparison. */
function sameSecret(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

function firstLine(payload: Buffer): string {
  return payload.toString('utf8', 0, 200).split('\r\n', 1)[0] ?? '';
}
