import type { RemoteInfo, Socket } from 'node:dgram';
import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';
import { newRtpPacket, parseRtp, type RtpPacket } from './packet.js';
import { PeerSocket } from './peer-socket.js';
import type { PortPool } from './port-pool.js';
import { isRtcp } from './rtcp-packet.js';
import { RtcpRoute, type RtcpRemote } from './rtcp-route.js';
import { isSame } from './rtp-source.js';
import { SourceLatch, type LatchMode, type TransportAddress } from './source-latch.js';
import { bindPair, familyOf, isAddressInUse, isRefusal, sendable, type SocketPair } from './udp.js';

/** Ports found taken by somebody else before `open` gives up. */
const MAX_BIND_ATTEMPTS = 16;

export interface RtpEndpointOptions {
  /** IP literal. */
  bindAddress: string;
  pool: PortPool;
  clock: Clock;
  logger: Logger;
  /** Whether a packet from a source not known yet could be the call's: its payload type has been negotiated. */
  isPlausible: (packet: RtpPacket) => boolean;
  /** Whether a packet is one of our own that has come back (RFC 3550 section 8.2): it is then nobody's. */
  isLooped?: (packet: RtpPacket) => boolean;
  /** Every RTP packet from the call's source. The view is valid during the call only, its bytes stay untouched. */
  onPacket: (packet: RtpPacket, nowMs: number) => void;
  /** Something that is no RTP of this call's has come from where ours goes to, such as what keeps a NAT open (RFC 6263). */
  onKeepAlive?: (nowMs: number) => void;
  /** Every datagram that may be RTCP, from the host the call's RTP comes from. */
  onRtcp?: (bytes: Buffer, nowMs: number) => void;
}

export interface RtpEndpointStats {
  /** All datagrams that came to the RTP port and were not refused by the system: see `tick`. */
  readonly received: number;
  /** Those that were not from the call's source. */
  readonly ignoredSource: number;
  /** The last such source, and its payload type if that was why: it is none of the negotiated ones. */
  readonly ignored?: { readonly source: TransportAddress; readonly payloadType?: number };
  /** Those that were neither RTP nor RTCP (STUN, say). */
  readonly malformed: number;
  /** RTCP on either port, and how much of it came from somebody else. */
  readonly rtcp: number;
  readonly ignoredRtcp: number;
  /** RTP packets handed to the socket. */
  readonly sent: number;
  /** Of these, the ones the system refused or had no route for; and its code for the last, such as `EHOSTUNREACH`. */
  readonly sendErrors: number;
  readonly sendError?: string;
  /** Packets not sent because nobody knew where to. */
  readonly unaddressed: number;
  /** Where RTP really comes from, once it does. */
  readonly source: TransportAddress | undefined;
}

/** Where the other side is, as signalling tells it. */
export interface RemoteDescription extends TransportAddress {
  readonly latch: LatchMode;
  readonly rtcp?: RtcpRemote;
  readonly peer?: string;
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
 * One call's two UDP sockets, on an even port of the pool for RTP and the odd one after it for RTCP: sends, and gives what
 * comes from the call's source, which {@link SourceLatch} decides. Nothing the network does makes it throw.
 */
export class RtpEndpoint {
  readonly port: number;

  readonly #peer: PeerSocket;
  readonly #rtcpSocket: Socket;
  readonly #family: 4 | 6;
  readonly #options: RtpEndpointOptions;
  readonly #latch = new SourceLatch();
  readonly #rtcpRoute = new RtcpRoute();
  readonly #packet = newRtpPacket();
  #closed = false;

  #received = 0;
  #ignoredSource = 0;
  readonly #ignored = { address: '', port: 0, payloadType: -1 };
  #malformed = 0;
  #rtcp = 0;
  #ignoredRtcp = 0;
  #sent = 0;
  #sendErrors = 0;
  #sendError: string | undefined;
  #unaddressed = 0;

  /** Takes a port of the pool and opens the sockets. Rejects with {@link RtpOpenError}; no port is then kept. */
  static async open(options: RtpEndpointOptions): Promise<RtpEndpoint> {
    const { pool, clock, bindAddress } = options;
    for (let attempt = 0; attempt < MAX_BIND_ATTEMPTS; attempt++) {
      const port = pool.acquire(clock.nowMs());
      if (port === undefined) throw new RtpOpenError('no-free-port', 'No RTP port is free');
      try {
        return new RtpEndpoint(await bindPair(bindAddress, port), port, options);
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

  private constructor([socket, rtcpSocket]: SocketPair, port: number, options: RtpEndpointOptions) {
    this.port = port;
    this.#peer = new PeerSocket(socket, options.bindAddress);
    this.#rtcpSocket = rtcpSocket;
    this.#family = familyOf(options.bindAddress);
    this.#options = options;
    socket.on('message', this.#onMessage);
    rtcpSocket.on('message', this.#onRtcpMessage);
    const onError = (error: Error): void =>
      options.logger.warn({ event: 'rtp.socket-error', port, error: error.message });
    socket.on('error', (error) => {
      if (isRefusal(error)) this.#peer.refused();
      else onError(error);
    });
    rtcpSocket.on('error', onError);
  }

  get stats(): RtpEndpointStats {
    const { address, port, payloadType } = this.#ignored;
    const ignored = { source: { address, port }, ...(payloadType < 0 ? {} : { payloadType }) };
    return {
      received: this.#received,
      ignoredSource: this.#ignoredSource,
      ...(this.#ignoredSource === 0 ? {} : { ignored }),
      malformed: this.#malformed,
      rtcp: this.#rtcp,
      ignoredRtcp: this.#ignoredRtcp,
      sent: this.#sent,
      sendErrors: this.#sendErrors,
      ...(this.#sendError === undefined ? {} : { sendError: this.#sendError }),
      unaddressed: this.#unaddressed,
      source: this.#latch.source,
    };
  }

  /**
   * What the SDP says about where the other side is; to be called again when it changes. An address that cannot be
   * sent to (0.0.0.0, a host name, the other IP version, port 0) means that it is not known. Until the first call
   * nothing is received. `rtcp` is where its RTCP is, unless it is where RFC 3550 has it, on the port after the RTP's;
   * `peer` the address its SIP comes from.
   */
  setRemote(remote: RemoteDescription): void {
    const { rtcp, latch, peer } = remote;
    const signalled = sendable(remote, this.#family);
    // As sources are spelled; the port does not matter.
    const sipSource = peer === undefined ? undefined : sendable({ address: peer, port: 1 }, this.#family)?.address;
    this.#latch.expect({ signalled, mode: latch, peer: sipSource }, this.#options.clock.nowMs());
    if (!this.#latch.source) this.#peer.disconnect();
    this.#rtcpRoute.remote = rtcp === undefined || rtcp === 'mux' ? rtcp : sendable(rtcp, this.#family);
  }

  /** Another party is to come, whose place `setRemote` tells: its RTP may come from anywhere. */
  forgetSource(): void {
    this.#latch.forget(this.#options.clock.nowMs());
    this.#peer.disconnect();
  }

  /** Where packets go: to the call's source, or while there is none, to the SDP's address. */
  get target(): TransportAddress | undefined {
    return this.#latch.target;
  }

  /** Whether that is the host its SIP comes from. */
  get isTargetPeer(): boolean {
    return this.#latch.isTargetPeer;
  }

  /** Sends a packet to the target. */
  send(packet: Buffer): void {
    if (this.#closed) return;
    const target = this.#latch.target;
    if (!target) {
      this.#unaddressed += 1;
      return;
    }
    this.#sent += 1;
    this.#peer.send(packet, target, this.#onSent);
  }

  /**
   * To be called every 20 ms. `mayConnect`: while the call's source is beyond doubt, the system may refuse all others on its
   * own. They are then not counted any more.
   */
  tick(nowMs: number, mayConnect: boolean): void {
    const source = this.#latch.settled(nowMs);
    if (!source) this.#peer.disconnect();
    else if (mayConnect) this.#peer.connect(source);
  }

  /** Sends a compound RTCP packet to the call's source; nowhere while that is unknown. */
  sendRtcp(packet: Buffer): void {
    if (this.#closed) return;
    const rtp = this.#latch.target;
    const target = this.#rtcpRoute.isMuxed ? rtp : this.#rtcpRoute.target(rtp);
    if (!target) return;
    // A report that could not be sent is like one that got lost.
    if (this.#rtcpRoute.isMuxed) this.#peer.send(packet, target, () => undefined);
    else this.#rtcpSocket.send(packet, target.port, target.address, () => undefined);
  }

  /** Closes the sockets and gives the port back. Idempotent; nothing is delivered afterwards. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#peer.close();
    this.#rtcpSocket.close();
    this.#options.pool.release(this.port, this.#options.clock.nowMs());
  }

  readonly #onSent = (error: Error | null): void => {
    if (!error || this.#closed) return;
    if (isRefusal(error)) {
      this.#peer.refused();
      return;
    }
    this.#sendErrors += 1;
    this.#sendError = (error as NodeJS.ErrnoException).code ?? error.message;
  };

  readonly #onMessage = (bytes: Buffer, from: RemoteInfo): void => {
    if (this.#closed) return;
    const nowMs = this.#options.clock.nowMs();
    this.#received += 1;
    if (isRtcp(bytes)) {
      this.#receiveRtcp(bytes, from, nowMs);
      return;
    }
    const standing = this.#latch.standing(from.address, from.port, nowMs);
    if (standing === 'refused') {
      this.#ignore(from, -1);
    } else if (!parseRtp(bytes, this.#packet)) {
      this.#malformed += 1;
      if (this.#isTarget(from)) this.#options.onKeepAlive?.(nowMs);
    } else if (this.#options.isLooped?.(this.#packet)) {
      this.#ignore(from, -1);
    } else if (standing === 'current') {
      this.#latch.heard(this.#packet, nowMs);
      this.#options.onPacket(this.#packet, nowMs);
    } else if (this.#options.isPlausible(this.#packet)) {
      this.#learn(bytes, from, nowMs);
    } else {
      this.#ignore(from, this.#packet.payloadType);
      if (this.#isTarget(from)) this.#options.onKeepAlive?.(nowMs);
    }
  };

  #isTarget({ address, port }: RemoteInfo): boolean {
    return isSame(this.#latch.target, address, port);
  }

  /** A packet of somebody who may be the call's source: counted as ignored until it is. */
  #learn(bytes: Buffer, from: RemoteInfo, nowMs: number): void {
    const taken = this.#latch.hear(this.#packet, from, bytes, nowMs);
    this.#ignore(from, -1);
    if (taken.length === 0) return;
    this.#ignoredSource -= taken.length;
    this.#options.logger.debug({
      event: 'rtp.source-locked',
      port: this.port,
      source: `${from.address}:${from.port}`,
    });
    for (const each of taken) if (parseRtp(each, this.#packet)) this.#options.onPacket(this.#packet, nowMs);
  }

  readonly #onRtcpMessage = (bytes: Buffer, from: RemoteInfo): void => {
    if (this.#closed) return;
    const nowMs = this.#options.clock.nowMs();
    this.#rtcp += 1;
    if (this.#rtcpRoute.admit(from.address, from.port, this.#latch.target)) this.#options.onRtcp?.(bytes, nowMs);
    else this.#ignoredRtcp += 1;
  };

  /** On the RTP port, whether or not that was agreed on: it can be nothing else. There it has the RTP's own source. */
  #receiveRtcp(bytes: Buffer, from: RemoteInfo, nowMs: number): void {
    this.#rtcp += 1;
    if (this.#isTarget(from)) this.#options.onRtcp?.(bytes, nowMs);
    else this.#ignoredRtcp += 1;
  }

  /** Overwrites what was noted last: a flood of them must not cost memory. */
  #ignore({ address, port }: RemoteInfo, payloadType: number): void {
    this.#ignoredSource += 1;
    this.#ignored.address = address;
    this.#ignored.port = port;
    this.#ignored.payloadType = payloadType;
  }
}
