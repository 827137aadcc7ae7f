import { createServer, type Server, type Socket } from 'node:net';
import type { AgentLogger, StopTimer, AgentClock } from '../environment.js';
import { formatHostPort, type Endpoint, type Flow } from './flow.js';
import { logOnce, LogThrottle } from './log-throttle.js';
import { SourceCounts } from './source-counts.js';
import { StreamConnection } from './stream-connection.js';
import type { StreamSockets } from './stream-sockets.js';
import { DEFAULT_PORTS } from './target.js';
import {
  isWildcard,
  type AdvertisedHost,
  type BoundAddress,
  type ListenerConfig,
  type MessageSink,
  type Transport,
} from './transport.js';

/** An idle connection that no call depends on is closed after this. */
const IDLE_MS = 15 * 60_000;
/** The same for an unknown source: time to read its 403. */
const UNKNOWN_IDLE_MS = 10_000;
/** Share of all connections that unknown sources may have, so that they cannot block the allowed ones. */
const UNKNOWN_SHARE = 0.25;
/** Share of all connections that one source may have. */
const SOURCE_SHARE = 0.25;
const SWEEP_INTERVAL_MS = 1_000;

export interface StreamTransportOptions {
  readonly listen: ListenerConfig;
  readonly sockets: StreamSockets;
  readonly sink: MessageSink;
  readonly logger: AgentLogger;
  readonly clock: AgentClock;
  /** The address Via and Contact give a peer, whatever the interface. */
  readonly advertise: AdvertisedHost | undefined;
  /** Connections, made or accepted, beyond which further ones are closed at once. */
  readonly maxConnections: number;
  readonly allow: (address: string) => boolean;
  /** Called when a connection could not be opened, or was lost to an error. */
  readonly failed: (remote: Endpoint, error: Error) => void;
}

/** SIP over TCP or TLS: a listener, and its accepted and outgoing connections (RFC 3261 section 18). */
export class StreamTransport implements Transport {
  readonly #options: StreamTransportOptions;
  readonly #server: Server;
  readonly bound: BoundAddress;
  /** Accepted connections by the peer's address and port; outgoing TLS ones also by the name they were opened for. */
  readonly #connections = new Map<string, StreamConnection>();
  /** Accepted connections by the address and port their peer listens on (RFC 5923). */
  readonly #aliases = new Map<string, StreamConnection>();
  /** Accepted connections per source. */
  readonly #accepted = new SourceCounts();
  readonly #throttle: LogThrottle;
  /** Accepted connections of unknown sources. */
  readonly #unknown = new Set<StreamConnection>();
  #sweep: StopTimer | undefined;
  #closed: Promise<void> | undefined;

  private constructor(options: StreamTransportOptions, server: Server, bound: BoundAddress) {
    const warnOnce = logOnce((reason) => options.logger.warn({ event: `sip.${bound.protocol}_error`, reason }));
    this.#options = options;
    this.#throttle = new LogThrottle(options.clock);
    this.#server = server;
    this.bound = bound;
    // No descriptor left, or the interface is gone: open connections stay.
    server.on('error', (error) => warnOnce(error.message));
    server.on('connection', (socket) => this.#accept(socket));
  }

  /** Binds the listener. Rejects when the address cannot be bound. */
  static async open(options: StreamTransportOptions): Promise<StreamTransport> {
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
    if (address === null || typeof address === 'string') throw new Error('The listener has no address');
    const { protocol } = options.sockets;
    return new StreamTransport(options, server, { protocol, address: address.address, port: address.port });
  }

  get connections(): number {
    return this.#connections.size + this.#options.sockets.pending;
  }

  /** The connection to that peer; opens one when there is none. */
  flowTo(remote: Endpoint, localAddress: string, name: string): Flow {
    const key = this.#keyFor(remote, name);
    const existing = this.#connections.get(key);
    const usable = existing?.usable ? existing : this.#acceptedFrom(remote, name);
    if (usable) return usable;
    const { sockets } = this.#options;
    const from = isWildcard(this.bound.address) ? undefined : this.bound.address;
    const socket = sockets.connect({ remote, name, localAddress: from });
    return this.#add(key, socket, { remote, localAddress, openEvent: sockets.openEvent });
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#sweep?.();
      this.#options.sockets.close();
      for (const connection of this.#connections.values()) connection.destroy('agent stopped');
      this.#connections.clear();
      this.#aliases.clear();
      this.#server.close(() => resolve());
    });
    return this.#closed;
  }

  /** A TLS connection may be used only for the name that its certificate was verified for. */
  #keyFor(remote: Endpoint, name: string): string {
    return this.bound.protocol === 'tls' ? `${formatHostPort(remote)} ${name.toLowerCase()}` : formatHostPort(remote);
  }

  /** A connection that the peer opened and that may be used for requests to `name`. */
  #acceptedFrom(remote: Endpoint, name: string): StreamConnection | undefined {
    const key = formatHostPort(remote);
    const { sockets } = this.#options;
    return [this.#connections.get(key), this.#aliases.get(key)].find(
      (connection) => connection?.usable && sockets.isFor(connection.socket, name),
    );
  }

  #accept(socket: Socket): void {
    const { remoteAddress: address, remotePort: port, localAddress } = socket;
    const known = address !== undefined && port !== undefined && localAddress !== undefined;
    const isUnknown = known && !this.#options.allow(address);
    if (!known || this.#closed || !this.#hasRoomFor(address, isUnknown)) {
      socket.destroy();
      return;
    }
    const remote = { address, port };
    const { sockets, advertise } = this.#options;
    const options = { remote, localAddress: advertise?.(address) ?? localAddress };
    sockets.accept(socket, remote, (ready) => {
      const connection = this.#add(formatHostPort(remote), ready, options);
      this.#accepted.add(address);
      ready.once('close', () => this.#accepted.add(address, -1));
      if (isUnknown) this.#unknown.add(connection);
    });
    this.#scheduleSweep();
  }

  #hasRoomFor(address: string, isUnknown: boolean): boolean {
    const { maxConnections, sockets, logger } = this.#options;
    const ofSource = this.#accepted.of(address) + sockets.pendingFrom(address);
    const isOver = ofSource >= maxConnections * SOURCE_SHARE;
    if (isUnknown && (isOver || this.#unknown.size >= maxConnections * UNKNOWN_SHARE)) return false;
    if (!isOver && (this.connections < maxConnections || (!isUnknown && this.#makeRoom(ofSource)))) return true;
    if (!isUnknown && this.#throttle.passes(address)) {
      logger.warn({ event: 'sip.connection_refused', address, connections: ofSource });
    }
    return false;
  }

  /** Closes the longest idle connection that no call depends on, of a source with more connections than the new one. */
  #makeRoom(ofNewSource: number): boolean {
    let longest: StreamConnection | undefined;
    for (const each of this.#connections.values()) {
      if (each.held || !each.usable || this.#accepted.of(each.remote.address) <= ofNewSource) continue;
      if (!longest || each.activeMs < longest.activeMs) longest = each;
    }
    longest?.destroy('room needed for another peer');
    return longest !== undefined;
  }

  #add(
    key: string,
    socket: Socket,
    options: { remote: Endpoint; localAddress: string; openEvent?: StreamSockets['openEvent'] },
  ): StreamConnection {
    const { sink, clock, sockets } = this.#options;
    const { remote, localAddress, ...opening } = options;
    this.#connections.get(key)?.destroy('replaced');
    const connection = new StreamConnection({
      socket,
      protocol: sockets.protocol,
      remote,
      local: { address: localAddress, port: this.bound.port },
      sink,
      nowMs: () => clock.nowMs(),
      ...opening,
      alias: (port) => this.#takeAlias(connection, port),
      closed: (error) => this.#forget(key, connection, error),
    });
    this.#connections.set(key, connection);
    this.#scheduleSweep();
    return connection;
  }

  /**
   * RFC 5923 section 9: only an authenticated peer may register an alias; otherwise another program on its machine could
   * take over the requests for its listening port.
   */
  #takeAlias(connection: StreamConnection, port = DEFAULT_PORTS[this.bound.protocol]): void {
    if (!this.#options.sockets.isAuthenticated(connection.socket)) return;
    const alias = formatHostPort({ address: connection.remote.address, port });
    if (this.#aliases.get(alias) === connection) return;
    this.#dropAlias(connection);
    this.#aliases.set(alias, connection);
  }

  #forget(key: string, connection: StreamConnection, error: Error | undefined): void {
    if (this.#connections.get(key) === connection) this.#connections.delete(key);
    this.#unknown.delete(connection);
    this.#dropAlias(connection);
    if (error && !this.#closed) this.#options.failed(connection.remote, error);
  }

  /** A connection has one alias at most. */
  #dropAlias(connection: StreamConnection): void {
    for (const [alias, owner] of this.#aliases) if (owner === connection) this.#aliases.delete(alias);
  }

  /** One timer for all connections, running only while there are any. */
  #scheduleSweep(): void {
    if (this.#sweep || this.#closed || this.connections === 0) return;
    this.#sweep = this.#options.clock.after(SWEEP_INTERVAL_MS, () => {
      this.#sweep = undefined;
      this.#closeOverdue();
      this.#scheduleSweep();
    });
  }

  #closeOverdue(): void {
    const { clock, sockets, allow } = this.#options;
    const nowMs = clock.nowMs();
    sockets.closeOverdue(nowMs);
    for (const connection of this.#connections.values()) {
      const reason = connection.overdue(nowMs, allow(connection.remote.address) ? IDLE_MS : UNKNOWN_IDLE_MS);
      if (reason !== undefined) connection.destroy(reason);
    }
  }
}
