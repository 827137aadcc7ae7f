import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AgentLogger, CancelTimer, Clock } from './environment.js';
import { formatHostPort, type Endpoint, type Flow } from './flow.js';
import { TcpConnection } from './tcp-connection.js';
import {
  isWildcard,
  type Advertise,
  type BoundAddress,
  type ListenAddress,
  type MessageSink,
  type Transport,
} from './transport.js';

/** A connection nothing goes over and no call depends on is closed after this. */
const IDLE_MS = 15 * 60_000;
/** The same for a source that is not allowed to call: time to read its 403. */
const STRANGER_IDLE_MS = 10_000;
/** A message that has begun has to be complete within this. */
const MESSAGE_TIMEOUT_MS = 10_000;
const SWEEP_INTERVAL_MS = 1_000;

export interface TcpTransportOptions {
  readonly listen: ListenAddress;
  readonly sink: MessageSink;
  readonly logger: AgentLogger;
  readonly clock: Clock;
  /** The address Via and Contact give a peer, whatever the interface. */
  readonly advertise: Advertise | undefined;
  /** Connections, made or accepted, beyond which further ones are closed at once. */
  readonly maxConnections: number;
  readonly allow: (address: string) => boolean;
}

/** SIP over TCP: a listener and the connections that came in or were opened (RFC 3261 section 18). */
export class TcpTransport implements Transport {
  readonly #options: TcpTransportOptions;
  readonly #server: Server;
  readonly bound: BoundAddress;
  /** By remote address and port. */
  readonly #connections = new Map<string, TcpConnection>();
  #sweep: CancelTimer | undefined;
  #closed: Promise<void> | undefined;

  private constructor(options: TcpTransportOptions, server: Server, bound: BoundAddress) {
    this.#options = options;
    this.#server = server;
    this.bound = bound;
    server.on('error', (error) => {
      options.logger.warn({ event: 'sip.tcp_error', reason: error.message });
    });
    server.on('connection', (socket) => {
      this.#accept(socket);
    });
  }

  /** Binds the listener. Rejects when the address cannot be bound. */
  static async open(options: TcpTransportOptions): Promise<TcpTransport> {
    const { address: host, port } = options.listen;
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, ipv6Only: true }, () => {
        server.removeListener('error', reject);
        resolve();
      });
    });
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('The TCP listener has no address');
    return new TcpTransport(options, server, { protocol: 'tcp', address: address.address, port: address.port });
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** The connection to that peer, opened when there is none. */
  flowTo(address: string, port: number, localAddress: string): Flow {
    const remote = { address, port };
    const existing = this.#connections.get(formatHostPort(remote));
    if (existing?.usable) return existing;
    const from = isWildcard(this.bound.address) ? undefined : { localAddress: this.bound.address };
    return this.#add(connect({ host: address, port, ...from }), remote, localAddress);
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#sweep?.();
      for (const connection of this.#connections.values()) connection.destroy('agent stopped');
      this.#connections.clear();
      this.#server.close(() => {
        resolve();
      });
    });
    return this.#closed;
  }

  #accept(socket: Socket): void {
    const { remoteAddress: address, remotePort: port, localAddress } = socket;
    const known = address !== undefined && port !== undefined && localAddress !== undefined;
    if (!known || this.#closed || this.#connections.size >= this.#options.maxConnections) {
      socket.destroy();
      return;
    }
    this.#add(socket, { address, port }, this.#options.advertise?.(address) ?? localAddress);
  }

  #add(socket: Socket, remote: Endpoint, localAddress: string): TcpConnection {
    const { sink, clock } = this.#options;
    const key = formatHostPort(remote);
    this.#connections.get(key)?.destroy('replaced');
    const connection = new TcpConnection({
      socket,
      remote,
      local: { address: localAddress, port: this.bound.port },
      sink,
      nowMs: () => clock.nowMs(),
      closed: () => {
        if (this.#connections.get(key) === connection) this.#connections.delete(key);
      },
    });
    this.#connections.set(key, connection);
    this.#scheduleSweep();
    return connection;
  }

  /** One timer for all connections, running only while there are any. */
  #scheduleSweep(): void {
    if (this.#sweep || this.#closed || this.#connections.size === 0) return;
    this.#sweep = this.#options.clock.after(SWEEP_INTERVAL_MS, () => {
      this.#sweep = undefined;
      this.#closeOverdue();
      this.#scheduleSweep();
    });
  }

  #closeOverdue(): void {
    const nowMs = this.#options.clock.nowMs();
    for (const connection of this.#connections.values()) {
      const idleLimitMs = this.#options.allow(connection.remote.address) ? IDLE_MS : STRANGER_IDLE_MS;
      if (connection.stalledMs(nowMs) > MESSAGE_TIMEOUT_MS) connection.destroy('message not completed in time');
      else if (connection.idleMs(nowMs) > idleLimitMs) connection.destroy('idle');
    }
  }
}
