import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { AgentLogger } from '../environment.js';
import { FailureListeners, type Endpoint, type Flow, type FlowFailureListener } from './flow.js';
import { LIMITS } from '../syntax/limits.js';
import type { LocalAddresses } from './local-address.js';
import { logOnce } from './log-throttle.js';
import { parseDatagram, refuseOversized } from '../syntax/parse.js';
import {
  isWildcard,
  type AdvertisedHost,
  type BoundAddress,
  type ListenerConfig,
  type MessageSink,
  type Transport,
} from './transport.js';

/** Enough for a burst of some thousand messages while the event loop is busy. */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
/** Keep-alives: CRLF, double CRLF, four zeroes. No SIP message is as short. */
const MAX_KEEP_ALIVE_BYTES = 4;

export interface UdpTransportOptions {
  readonly listen: ListenerConfig;
  readonly sink: MessageSink;
  readonly logger: AgentLogger;
  readonly localAddresses: LocalAddresses;
  /** Replaces the local address in Via and Contact. */
  readonly advertise: AdvertisedHost | undefined;
  /** Whether a source is allowed: only then is its local address looked up. */
  readonly allow: (address: string) => boolean;
}

/** SIP over one UDP socket (RFC 3261 section 18). */
export class UdpTransport implements Transport {
  readonly #options: UdpTransportOptions;
  readonly #socket: Socket;
  readonly bound: BoundAddress;
  #closed: Promise<void> | undefined;

  private constructor(options: UdpTransportOptions, socket: Socket) {
    this.#options = options;
    this.#socket = socket;
    const { address, port } = socket.address();
    this.bound = { protocol: 'udp', address, port };
    const warnOnce = logOnce((reason) => options.logger.warn({ event: 'sip.udp_error', reason }));
    // An ICMP error, a full buffer or a lost interface does not stop the listener.
    socket.on('error', (error) => warnOnce(error.message));
    socket.on('message', (bytes, source) => this.#receive(bytes, source));
  }

  /** Binds the socket. Rejects when the address cannot be bound. */
  static async open(options: UdpTransportOptions): Promise<UdpTransport> {
    const { address, port } = options.listen;
    // On an IPv4 socket, ipv6Only makes bind() fail.
    const ipv6 = isIPv6(address);
    const socket = createSocket({ type: ipv6 ? 'udp6' : 'udp4', ipv6Only: ipv6 });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close();
        reject(error);
      });
      socket.bind({ port, address, exclusive: true }, () => {
        socket.removeAllListeners('error');
        resolve();
      });
    });
    growReceiveBuffer(socket);
    return new UdpTransport(options, socket);
  }

  flowTo(remote: Endpoint, localAddress: string): Flow {
    return new UdpFlow(this, remote, { address: localAddress, port: this.bound.port });
  }

  /** `failed` is called at most once, never synchronously. */
  send(bytes: Buffer, { address, port }: Endpoint, failed: (reason: string) => void): void {
    if (this.#closed) return;
    // Node throws when the port is 0, which a Via or a Contact can contain.
    if (port === 0) {
      queueMicrotask(() => failed('no such port'));
      return;
    }
    this.#socket.send(bytes, port, address, (error) => {
      if (error) failed(error.message);
    });
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#socket.close(resolve);
    });
    return this.#closed;
  }

  #receive(bytes: Buffer, source: RemoteInfo): void {
    if (bytes.length <= MAX_KEEP_ALIVE_BYTES) return;
    const local = this.#localAddressFor(source.address);
    if (local !== undefined) {
      this.#deliver(bytes, source, local);
      return;
    }
    // Datagrams of one peer wait for the same lookup and stay in order; if it fails, the peer retransmits them.
    this.#options.localAddresses.find(source.address).then(
      (found) => this.#deliver(bytes, source, found),
      () => undefined,
    );
  }

  #localAddressFor(source: string): string | undefined {
    const { advertise, localAddresses, allow } = this.#options;
    const advertised = advertise?.(source);
    if (advertised !== undefined) return advertised;
    if (!isWildcard(this.bound.address)) return this.bound.address;
    return localAddresses.known(source) ?? (allow(source) ? undefined : this.bound.address);
  }

  #deliver(bytes: Buffer, source: RemoteInfo, local: string): void {
    if (this.#closed) return;
    const flow = this.flowTo({ address: source.address, port: source.port }, local);
    const result = bytes.length > LIMITS.datagramBytes ? refuseOversized(bytes) : parseDatagram(bytes);
    if (result.ok) this.#options.sink.message(result.message, result.envelope, flow);
    else this.#options.sink.malformed(result.failure, flow);
  }
}

class UdpFlow implements Flow {
  readonly protocol = 'udp';
  readonly reliable = false;
  readonly usable = true;
  readonly #transport: UdpTransport;
  readonly #failures = new FailureListeners();

  constructor(
    transport: UdpTransport,
    readonly remote: Endpoint,
    readonly local: Endpoint,
  ) {
    this.#transport = transport;
  }

  toPort(port: number): Flow {
    if (port === this.remote.port) return this;
    return new UdpFlow(this.#transport, { address: this.remote.address, port }, this.local);
  }

  send(bytes: Buffer): void {
    this.#transport.send(bytes, this.remote, (reason) => this.#failures.emit(reason));
  }

  onFailure(listener: FlowFailureListener): () => void {
    return this.#failures.add(listener);
  }

  hold(): () => void {
    return () => undefined;
  }
}

/** The system may grant a smaller buffer, or refuse to change it. */
function growReceiveBuffer(socket: Socket): void {
  try {
    socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
  } catch {
    // The default buffer works, with less headroom for bursts.
  }
}
