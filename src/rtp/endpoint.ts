import { createSocket, type RemoteInfo, type Socket, type SocketOptions } from 'node:dgram';
import { isIP, isIPv6, SocketAddress } from 'node:net';
import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';
import { newRtpPacket, parseRtp, type RtpPacket } from './packet.js';
import type { PortPool } from './port-pool.js';
import { SourceLatch, type LatchMode, type SourceVerdict, type TransportAddress } from './source-latch.js';

/** Ports found taken by somebody else before `open` gives up. */
const MAX_BIND_ATTEMPTS = 16;

/** Room for a few seconds of packets while the event loop is held up. The system may grant less. */
const RECEIVE_BUFFER_BYTES = 256 * 1024;

export interface RtpEndpointOptions {
  /** IP literal. */
  bindAddress: string;
  pool: PortPool;
  clock: Clock;
  logger: Logger;
  /** Whether a packet from a source not known yet could be the call's: its payload type has been negotiated. */
  isPlausible: (packet: RtpPacket) => boolean;
  /** Every RTP packet from the call's source. The view is valid during the call only, its bytes stay untouched. */
  onPacket: (packet: RtpPacket, nowMs: number) => void;
}

export interface RtpEndpointStats {
  /** All datagrams that came. */
  readonly received: number;
  /** Those that were not from the call's source. */
  readonly ignoredSource: number;
  /** Those that were not RTP (RTCP and STUN sent to the RTP port included). */
  readonly malformed: number;
  /** Packets handed to the socket. */
  readonly sent: number;
  /** Of these, the ones the system refused or had no route for. */
  readonly sendErrors: number;
  /** Packets not sent because nobody knew where to. */
  readonly unaddressed: number;
  /** Where RTP really comes from, once it does. */
  readonly source: TransportAddress | undefined;
}

/** Why `open` failed: `no-free-port`, the pool has none; `bind-failed`, the system refuses (see `cause`). */
export class RtpOpenError extends Error {
  override readonly name = 'RtpOpenError';

  constructor(
    readonly code: 'no-free-port' | 'bind-failed',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * One call's UDP socket, on an even port of the pool: sends RTP and gives what comes from the call's source, which
 * {@link SourceLatch} decides. Nothing the network does makes it throw.
 */
export class RtpEndpoint {
  readonly port: number;

  readonly #socket: Socket;
  readonly #family: 4 | 6;
  readonly #options: RtpEndpointOptions;
  readonly #latch = new SourceLatch();
  readonly #packet = newRtpPacket();
  /** Of what the call's source sent last. */
  #ssrc: number | undefined;
  #closed = false;

  #received = 0;
  #ignoredSource = 0;
  #malformed = 0;
  #sent = 0;
  #sendErrors = 0;
  #unaddressed = 0;

  /** Takes a port of the pool and opens a socket on it. Rejects with {@link RtpOpenError}; no port is then kept. */
  static async open(options: RtpEndpointOptions): Promise<RtpEndpoint> {
    const { pool, clock, bindAddress } = options;
    for (let attempt = 0; attempt < MAX_BIND_ATTEMPTS; attempt++) {
      const port = pool.acquire(clock.nowMs());
      if (port === undefined) throw new RtpOpenError('no-free-port', 'No RTP port is free');
      try {
        return new RtpEndpoint(await bindSocket(bindAddress, port), port, options);
      } catch (error) {
        pool.discard(port, clock.nowMs());
        if (!isAddressInUse(error)) {
          const message = `RTP port ${port} on ${bindAddress} cannot be opened: ${(error as Error).message}`;
          throw new RtpOpenError('bind-failed', message, { cause: error });
        }
      }
    }
    throw new RtpOpenError('no-free-port', `${MAX_BIND_ATTEMPTS} RTP ports in a row are in use by other programs`);
  }

  private constructor(socket: Socket, port: number, options: RtpEndpointOptions) {
    this.port = port;
    this.#socket = socket;
    this.#family = familyOf(options.bindAddress);
    this.#options = options;
    socket.on('message', this.#onMessage);
    socket.on('error', (error) => {
      options.logger.warn({ event: 'rtp.socket-error', port, error: error.message });
    });
  }

  get stats(): RtpEndpointStats {
    return {
      received: this.#received,
      ignoredSource: this.#ignoredSource,
      malformed: this.#malformed,
      sent: this.#sent,
      sendErrors: this.#sendErrors,
      unaddressed: this.#unaddressed,
      source: this.#latch.source,
    };
  }

  /**
   * What the SDP says about where the other side is; to be called again when it changes. An address that cannot be
   * sent to (0.0.0.0, a host name, the other IP version, port 0) means that it is not known. Until the first call
   * nothing is received.
   */
  setRemote(remote: TransportAddress & { readonly latch: LatchMode }): void {
    this.#latch.expect(sendable(remote, this.#family), remote.latch, this.#options.clock.nowMs());
  }

  /** Sends a packet to the call's source, or while there is none, to the SDP's address. */
  send(packet: Buffer): void {
    if (this.#closed) return;
    const target = this.#latch.target;
    if (!target) {
      this.#unaddressed += 1;
      return;
    }
    this.#sent += 1;
    this.#socket.send(packet, target.port, target.address, this.#onSent);
  }

  /** Closes the socket and gives the port back. Idempotent; nothing is delivered afterwards. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
    this.#options.pool.release(this.port, this.#options.clock.nowMs());
  }

  readonly #onSent = (error: Error | null): void => {
    if (error) this.#sendErrors += 1;
  };

  readonly #onMessage = (bytes: Buffer, from: RemoteInfo): void => {
    if (this.#closed) return;
    const nowMs = this.#options.clock.nowMs();
    this.#received += 1;
    const verdict = this.#latch.judge(from.address, from.port, nowMs);
    if (verdict === 'refused') {
      this.#ignoredSource += 1;
    } else if (!parseRtp(bytes, this.#packet)) {
      this.#malformed += 1;
    } else if (verdict !== 'current' && !this.#isOurs(verdict)) {
      this.#ignoredSource += 1;
    } else {
      if (verdict !== 'current') this.#lock(from, nowMs);
      this.#ssrc = this.#packet.ssrc;
      this.#options.onPacket(this.#packet, nowMs);
    }
  };

  /** Whether the packet of a source that is not the call's may make it so. */
  #isOurs(verdict: SourceVerdict): boolean {
    return this.#options.isPlausible(this.#packet) && (verdict !== 'moved' || this.#packet.ssrc === this.#ssrc);
  }

  #lock({ address, port }: RemoteInfo, nowMs: number): void {
    this.#latch.lock(address, port, nowMs);
    this.#options.logger.debug({ event: 'rtp.source-locked', port: this.port, source: `${address}:${port}` });
  }
}

function familyOf(address: string): 4 | 6 {
  return isIPv6(address) ? 6 : 4;
}

/** Addresses are IP literals, so there is nothing to look up: answering at once sends in the same turn. */
const lookup: NonNullable<SocketOptions['lookup']> = (address, _options, callback) => {
  callback(null, address, familyOf(address));
};

function bindSocket(address: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket({ type: familyOf(address) === 6 ? 'udp6' : 'udp4', lookup });
    const onError = (error: Error): void => {
      socket.close();
      reject(error);
    };
    socket.once('error', onError);
    socket.bind({ address, port, exclusive: true }, () => {
      socket.off('error', onError);
      growReceiveBuffer(socket);
      resolve(socket);
    });
  });
}

function growReceiveBuffer(socket: Socket): void {
  try {
    if (socket.getRecvBufferSize() < RECEIVE_BUFFER_BYTES) socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
  } catch {
    // The system's own size has to do.
  }
}

function isAddressInUse(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
}

const UNSPECIFIED = new Set(['0.0.0.0', '::', '::ffff:0.0.0.0']);

/** The address in the spelling the socket reports sources in, or undefined if nothing can be sent to it. */
function sendable({ address, port }: TransportAddress, family: 4 | 6): TransportAddress | undefined {
  const version = isIP(address);
  if (version === 0 || (family === 4 && version === 6)) return undefined;
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
  const spelled = version === 4 ? address : canonicalIPv6(address);
  if (UNSPECIFIED.has(spelled)) return undefined;
  return { address: family === 6 && version === 4 ? `::ffff:${address}` : spelled, port };
}

/** RFC 5952 spelling; an address with a zone stays as it is. */
function canonicalIPv6(address: string): string {
  return address.includes('%') ? address : new SocketAddress({ address, family: 'ipv6' }).address;
}
