import { isIPv6 } from 'node:net';
import { DeadFlow } from './dead-flow.js';
import type { AgentLogger, AgentClock } from '../environment.js';
import type { Endpoint, Flow, TransportProtocol } from './flow.js';
import { ListenError, parseListenAddress } from './listen-address.js';
import { LocalAddresses } from './local-address.js';
import { locate, UnknownHostError, type Hop } from './locate.js';
import { LogThrottle } from './log-throttle.js';
import { NameCache, type NameService } from './name-cache.js';
import { Blocklist } from './blocklist.js';
import { tcpSockets, type StreamSockets } from './stream-sockets.js';
import { StreamTransport } from './stream.js';
import { DEFAULT_PORTS, targetOf, type RequestTarget } from './target.js';
import { TlsSockets, type TlsCredentials, type TlsOptions } from './tls-sockets.js';
import {
  isWildcard,
  type AdvertisedHost,
  type BoundAddress,
  type ListenerConfig,
  type MessageSink,
  type Transport,
} from './transport.js';
import { UdpTransport } from './udp.js';
import { Candidates, type Candidate } from './candidates.js';

/** In order of preference, for a target whose URI names no transport. */
const PROTOCOLS: readonly TransportProtocol[] = ['udp', 'tcp', 'tls'];

export interface TransportLayerOptions {
  readonly listen: readonly string[];
  readonly advertise: AdvertisedHost | undefined;
  /** Needed where there is a `tls://` listener. */
  readonly tls: TlsOptions | undefined;
  readonly names: NameService;
  /** From 0 to less than 1. */
  readonly random: () => number;
  readonly sink: MessageSink;
  readonly clock: AgentClock;
  readonly logger: AgentLogger;
  /** For each listener. */
  readonly maxConnections: number;
  readonly allow: (address: string) => boolean;
}

/** The transport layer (RFC 3261 section 18): all listeners of the agent, and the choice of the one a request leaves from. */
export class TransportLayer {
  readonly #options: TransportLayerOptions;
  readonly #localAddresses = new LocalAddresses();
  readonly #names: NameCache;
  readonly #blocklist: Blocklist;
  readonly #throttle: LogThrottle;
  readonly #transports: Transport[] = [];
  readonly #tls: TlsSockets[] = [];
  #closed = false;

  private constructor(options: TransportLayerOptions) {
    this.#options = options;
    this.#names = new NameCache(options.names, options.clock);
    this.#blocklist = new Blocklist(options.clock);
    this.#throttle = new LogThrottle(options.clock);
  }

  /** Binds every listener, or none: then it rejects with an Error that names the address. */
  static async open(options: TransportLayerOptions): Promise<TransportLayer> {
    const transports = new TransportLayer(options);
    const addresses = options.listen.map(parseListenAddress);
    try {
      for (const address of addresses) transports.#transports.push(await transports.#bind(address));
    } catch (error) {
      await transports.close();
      throw error;
    }
    return transports;
  }

  get bound(): BoundAddress[] {
    return this.#transports.map((transport) => transport.bound);
  }

  /** TCP and TLS connections, made and accepted. */
  get connections(): number {
    return this.#transports.reduce((sum, each) => sum + (each instanceof StreamTransport ? each.connections : 0), 0);
  }

  /** Uses these credentials for new TLS connections. Throws an Error, with nothing changed, when they are unusable. */
  renewTls(credentials: TlsCredentials): void {
    for (const sockets of this.#tls) sockets.renew(credentials);
  }

  /**
   * Where a request to a target may be sent. Rejects with an Error when there is no listener to send it from. A name that
   * DNS does not know has one candidate, which fails. A candidate that is this agent itself cannot be opened: the agent would
   * take its own call for the peer's.
   */
  async candidatesFor(target: RequestTarget): Promise<Candidates> {
    const { random } = this.#options;
    const protocols = this.#protocolsFor(target);
    try {
      const hops = await locate(target, { names: this.#names, protocols, random });
      return this.#candidates(hops, target);
    } catch (error) {
      if (error instanceof UnknownHostError) return this.#deadEnd(target, error);
      throw error;
    }
  }

  /** The flow to the best candidate for a target. Rejects as above. */
  async flowTo(target: RequestTarget): Promise<Flow> {
    const flow = await (await this.candidatesFor(target)).next();
    if (!flow) throw new Error('no route to the target');
    return flow;
  }

  /** The addresses of a URI's host, as a request to it would find them; none when its name is unknown. */
  async addressesOf(uri: string): Promise<readonly string[]> {
    try {
      const target = targetOf(uri);
      const protocols = this.#protocolsFor(target);
      const hops = await locate(target, { names: this.#names, protocols, random: this.#options.random });
      return hops.map(({ address }) => address);
    } catch {
      return [];
    }
  }

  /** Opens a new connection to the peer of a lost one, at a port the peer listens on. Rejects as above. */
  reopen({ protocol, remote: { address } }: Flow, port: number, name: string): Promise<Flow> {
    return this.#open({ protocol, address, port, name, mayUseTcp: false });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#transports.map((transport) => transport.close()));
  }

  async #bind(listen: ListenerConfig): Promise<Transport> {
    const options = { ...this.#options, listen, localAddresses: this.#localAddresses };
    try {
      if (listen.protocol === 'udp') return await UdpTransport.open(options);
      const failed = this.#failureLog(listen.protocol);
      return await StreamTransport.open({ ...options, sockets: this.#socketsFor(listen.protocol), failed });
    } catch (error) {
      throw new ListenError(listen.text, error as Error);
    }
  }

  #socketsFor(protocol: 'tcp' | 'tls'): StreamSockets {
    if (protocol === 'tcp') return tcpSockets;
    const { tls, clock, allow } = this.#options;
    if (!tls) throw new Error('tls needs a certificate and its key');
    const failed = (remote: Endpoint, reason: string) => this.#logTlsFailure(remote, reason);
    const sockets = new TlsSockets(tls, { nowMs: () => clock.nowMs(), allow, failed });
    this.#tls.push(sockets);
    return sockets;
  }

  /** A TCP failure is not logged: it fails the request that wanted the connection. */
  #failureLog(protocol: 'tcp' | 'tls'): (remote: Endpoint, error: Error) => void {
    return (remote, error) => {
      if (protocol === 'tls') this.#logTlsFailure(remote, error.message);
    };
  }

  /** One line a minute for a peer whose certificate is refused, or that refuses ours; for unknown sources at debug only. */
  #logTlsFailure({ address, port }: Endpoint, reason: string): void {
    const { allow, logger } = this.#options;
    const level = allow(address) && this.#throttle.passes(`${address} ${reason}`) ? 'warn' : 'debug';
    logger[level]({ event: 'sip.tls_failed', address, port, reason });
  }

  /** The protocols a request to that target can use. Throws an Error when there is none. */
  #protocolsFor({ protocol }: RequestTarget): readonly TransportProtocol[] {
    const ours = PROTOCOLS.filter((each) => this.#transports.some(({ bound }) => bound.protocol === each));
    const usable = protocol ? ours.filter((each) => each === protocol) : ours;
    if (usable.length === 0) throw new Error('requested protocol/transport not available');
    return usable;
  }

  #candidates(hops: readonly Hop[], target: RequestTarget): Candidates {
    const reachable = hops.flatMap((hop) => {
      const candidate = this.#candidateFor(hop, target);
      return candidate ? [candidate] : [];
    });
    if (reachable.length === 0) throw new Error('requested protocol/transport not available');
    return new Candidates({ candidates: reachable, blocklist: this.#blocklist, open: (each) => this.#open(each) });
  }

  /** The hop by a listener of its address family; by TCP in place of UDP when there is no UDP listener. */
  #candidateFor(hop: Hop, target: RequestTarget): Candidate | undefined {
    const listens = (protocol: TransportProtocol) => this.#listener(protocol, hop.address) !== undefined;
    if (target.protocol === undefined && hop.protocol === 'udp' && listens('tcp')) {
      return { ...hop, protocol: listens('udp') ? 'udp' : 'tcp', mayUseTcp: listens('udp') };
    }
    return listens(hop.protocol) ? { ...hop, mayUseTcp: false } : undefined;
  }

  #listener(protocol: TransportProtocol, address: string): Transport | undefined {
    const ipv6 = isIPv6(address);
    return this.#transports.find(({ bound }) => bound.protocol === protocol && isIPv6(bound.address) === ipv6);
  }

  async #open({ protocol, address, port, name }: Candidate): Promise<Flow> {
    const transport = this.#listener(protocol, address);
    if (!transport) throw new Error('requested protocol/transport not available');
    const local = isWildcard(transport.bound.address)
      ? (this.#localAddresses.known(address) ?? (await this.#localAddresses.find(address)))
      : transport.bound.address;
    if (this.#closed) throw new Error('agent stopped');
    if (address === local && port === transport.bound.port) throw new Error('can not send request to myself');
    return transport.flowTo({ address, port }, this.#options.advertise?.(address) ?? local, name);
  }

  #deadEnd({ host, protocol, port }: RequestTarget, error: UnknownHostError): Candidates {
    const { advertise, logger } = this.#options;
    const [usable = 'udp'] = this.#protocolsFor(protocol ? { host, protocol } : { host });
    const bound = this.bound.find((each) => each.protocol === usable);
    const candidate = {
      protocol: usable,
      address: host,
      port: port ?? DEFAULT_PORTS[usable],
      name: host,
      mayUseTcp: false,
    };
    const level = this.#throttle.passes(host) ? 'warn' : 'debug';
    logger[level]({ event: 'sip.host_unknown', host, reason: error.message });
    const flow = new DeadFlow(usable, candidate, {
      address: advertise?.(host) ?? bound?.address ?? host,
      port: bound?.port ?? candidate.port,
    });
    return new Candidates({ candidates: [candidate], blocklist: this.#blocklist, open: () => Promise.resolve(flow) });
  }
}
