import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, isIPv6, type AddressInfo, type Server, type Socket } from 'node:net';
import { connect as connectSecurely, createServer as createSecureServer } from 'node:tls';
import { identityFault } from '../../src/sip-agent/transport/tls-sockets.js';

/** How long a test waits for a message that should be there in a moment. */
const PATIENCE_MS = 15_000;

/** A SIP message as a peer sees it: text, read without the product's own parser. */
export class SipText {
  readonly startLine: string;
  readonly body: string;
  readonly #lines: readonly string[];

  constructor(readonly raw: string) {
    const end = raw.indexOf('\r\n\r\n');
    const [startLine = '', ...lines] = raw.slice(0, end).split('\r\n');
    this.startLine = startLine;
    this.#lines = lines;
    this.body = raw.slice(end + 4);
  }

  /** 0 for a request. */
  get status(): number {
    return this.startLine.startsWith('SIP/2.0 ') ? Number(this.startLine.slice(8, 11)) : 0;
  }

  /** Of a request its own, of a response that of its CSeq. */
  get method(): string {
    return this.status > 0 ? (this.header('CSeq').split(' ')[1] ?? '') : (this.startLine.split(' ')[0] ?? '');
  }

  get uri(): string {
    return this.startLine.split(' ')[1] ?? '';
  }

  /** The first header of that name; empty when there is none. */
  header(name: string): string {
    return this.headers(name)[0] ?? '';
  }

  headers(name: string): string[] {
    const prefix = `${name.toLowerCase()}:`;
    return this.#lines
      .filter((line) => line.toLowerCase().startsWith(prefix))
      .map((line) => line.slice(prefix.length).trim());
  }

  tag(name: 'From' | 'To'): string {
    return /;tag=([^;>]+)$/.exec(this.header(name))?.[1] ?? '';
  }
}

/** Writes a message: lines and a body, with Content-Length added. */
export function sipText(lines: readonly string[], body = ''): string {
  return [...lines, `Content-Length: ${Buffer.byteLength(body)}`, '', body].join('\r\n');
}

/** Who a message says it is: the wanted response status, or the wanted request method, perhaps `status method`. */
export type Wanted = number | string;

function isWanted(message: SipText, wanted: Wanted): boolean {
  if (typeof wanted === 'number') return message.status === wanted;
  const [first = '', method] = wanted.split(' ');
  if (/^\d+$/.test(first)) return message.status === Number(first) && message.method === method;
  return message.status === 0 && message.method === wanted;
}

/** A SIP element for tests, on a socket of its own: sends text, collects what comes. It retransmits nothing. */
export abstract class SipPeer {
  abstract readonly protocol: 'UDP' | 'TCP' | 'TLS';
  abstract readonly port: number;
  readonly address: string = '127.0.0.1';
  /** Everything that came, in order. */
  readonly received: SipText[] = [];
  readonly #unread: SipText[] = [];
  /** Requests that `next` has returned. */
  readonly #returned = new Set<string>();
  #arrived: (() => void) | undefined;

  /** "UDP 127.0.0.1:5071", as a Via has it. */
  get sentBy(): string {
    return `${this.protocol} ${hostOf(this.address)}:${this.port}`;
  }

  get contact(): string {
    const transport = this.protocol === 'UDP' ? '' : `;transport=${this.protocol.toLowerCase()}`;
    return `<sip:peer@${hostOf(this.address)}:${this.port}${transport}>`;
  }

  abstract send(text: string): void;

  abstract close(): Promise<void>;

  /**
   * The first message of that kind that no call has returned yet. Earlier ones of other kinds stay unread. A request
   * that is sent again is one message, but for an ACK: nobody sends one again unless he is asked to.
   */
  async next(wanted: Wanted): Promise<SipText> {
    const deadlineMs = performance.now() + PATIENCE_MS;
    for (;;) {
      const at = this.#unread.findIndex((message) => isWanted(message, wanted));
      const [found] = at < 0 ? [] : this.#unread.splice(at, 1);
      if (found && this.#isNew(found)) return found;
      if (found) continue;
      if (!(await this.#arrival(deadlineMs - performance.now()))) throw this.#missing(wanted);
    }
  }

  count(wanted: Wanted): number {
    return this.received.filter((message) => isWanted(message, wanted)).length;
  }

  protected take(raw: string): void {
    const message = new SipText(raw);
    this.received.push(message);
    this.#unread.push(message);
    this.#arrived?.();
  }

  #isNew({ status, method, raw }: SipText): boolean {
    if (status > 0 || method === 'ACK') return true;
    const before = this.#returned.size;
    return this.#returned.add(raw).size > before;
  }

  #arrival(patienceMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), Math.max(0, patienceMs));
      this.#arrived = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  #missing(wanted: Wanted): Error {
    const came = this.received.map((message) => `  ${message.startLine} (${message.header('CSeq')})`);
    return new Error(`No ${wanted} came; what did:\n${came.join('\n')}`);
  }
}

export class UdpPeer extends SipPeer {
  readonly protocol = 'UDP';
  override readonly address: string;
  readonly #socket: UdpSocket;
  /** Where messages go. */
  readonly #target: { readonly address: string; readonly port: number };

  private constructor(socket: UdpSocket, target: { readonly address: string; readonly port: number }) {
    super();
    this.address = socket.address().address;
    this.#socket = socket;
    this.#target = target;
    this.address = socket.address().address;
    socket.on('message', (bytes) => this.take(bytes.toString('utf8')));
  }

  static async open(
    target: { readonly address: string; readonly port: number },
    address = isIPv6(target.address) ? '::1' : '127.0.0.1',
  ): Promise<UdpPeer> {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    socket.bind(0, address);
    await once(socket, 'listening');
    return new UdpPeer(socket, target);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  send(text: string | Buffer): void {
    this.#socket.send(text, this.#target.port, this.#target.address);
  }

  async close(): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }
}

/** The certificate a peer shows, and whom it believes; `rejectUnauthorized: false`: anybody. */
export interface PeerTls {
  readonly cert?: string;
  readonly key?: string;
  readonly ca?: string;
  readonly rejectUnauthorized?: boolean;
  /** Whether who connects has to show one too. */
  readonly requestCert?: boolean;
}

/** A peer on TCP, or TLS: connects to its target at once, and listens for connections from there. */
export class TcpPeer extends SipPeer {
  readonly protocol: 'TCP' | 'TLS';
  override readonly address: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #current: Socket;

  private constructor(server: Server, socket: Socket, protocol: 'TCP' | 'TLS') {
    super();
    this.protocol = protocol;
    this.address = (server.address() as AddressInfo).address;
    this.#server = server;
    this.#current = socket;
    this.#adopt(socket);
    server.on(protocol === 'TLS' ? 'secureConnection' : 'connection', (accepted: Socket) => this.#adopt(accepted));
    server.on('tlsClientError', () => undefined);
  }

  static async open(
    target: { readonly address: string; readonly port: number },
    tls?: PeerTls,
    port = 0,
  ): Promise<TcpPeer> {
    const server = tls ? createSecureServer(tls) : createServer();
    server.listen(port, isIPv6(target.address) ? '::1' : '127.0.0.1');
    await once(server, 'listening');
    const socket = tls
      ? connectSecurely({
          // Not Node's own, which in some versions refuses IPv6 addresses (22.23).
          checkServerIdentity: identityFault,
          ...tls,
          host: target.address,
          port: target.port,
        })
      : connect(target.port, target.address);
    try {
      await once(socket, tls ? 'secureConnect' : 'connect');
    } catch (error) {
      server.close();
      throw error;
    }
    return new TcpPeer(server, socket, tls ? 'TLS' : 'TCP');
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections the peer has, its own first one included. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Sends on the connection that was last heard from. */
  send(text: string | Buffer): void {
    this.#current.write(text);
  }

  /** Closes the connections but not the listener. */
  async hangUp(): Promise<void> {
    await Promise.all(
      [...this.#sockets].map((socket) => {
        socket.destroy();
        return closed(socket);
      }),
    );
  }

  async close(): Promise<void> {
    await this.hangUp();
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** Resolves when the agent has closed a connection. */
  async closedByAgent(): Promise<void> {
    await closed(this.#current);
  }

  #adopt(socket: Socket): void {
    let text = '';
    this.#sockets.add(socket);
    // One character an octet, as Content-Length counts.
    socket.setEncoding('latin1');
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (chunk) => {
      this.#current = socket;
      text = this.#cut(text + chunk.toString());
    });
  }

  /** Takes the complete messages from the front; returns the rest. */
  #cut(text: string): string {
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) return text;
    const length = Number(/^Content-Length: *(\d+)/im.exec(text)?.[1] ?? 0);
    if (text.length < end + 4 + length) return text;
    this.take(Buffer.from(text.slice(0, end + 4 + length), 'latin1').toString('utf8'));
    return this.#cut(text.slice(end + 4 + length));
  }
}

function hostOf(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

/** Resolves when a connection is over, in whatever way. */
export function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}
