import { isIPv6 } from 'node:net';
import { DeadFlow } from './dead-flow.js';
import type { AgentLogger, Clock } from '../environment.js';
import type { Endpoint, Flow, TransportProtocol } from './flow.js';
import { ListenError, parseListenAddress } from './listen-address.js';
import { LocalAddresses } from './local-address.js';
import { locate, UnknownHostError, type Hop } from './locate.js';
import { LogThrottle } from './log-throttle.js';
import { NameCache, type NameService } from './name-cache.js';
import { Outages } from './blocklist.js';
import { tcpSockets, type StreamSockets } from './stream-sockets.js';
import { StreamTransport } from './stream.js';
import { DEFAULT_PORTS, targetOf, type Target } from './target.js';
import { TlsSockets, type TlsCredentials, type TlsOptions } from './tls-sockets.js';
import {
  isWildcard,
  type Advertise,
  type BoundAddress,
  type ListenAddress,
  type MessageSink,
  type Transport,
} from './transport.js';
import { UdpTransport } from './udp.js';
import { Ways, type Way } from './candidates.js';

/** In the order we like them, for a target that leaves the choice to us. */
const PROTOCOLS: readonly TransportProtocol[] = ['udp', 'tcp', 'tls'];

export interface TransportsOptions {
  readonly listen: readonly string[];
  readonly advertise: Advertise | undefined;
  /** Needed where there is a `tls://` listener. */
  readonly tls: TlsOptions | undefined;
  readonly names: NameService;
  /** From 0 to less than 1. */
  readonly random: () => number;
  readonly sink: MessageSink;
  readonly clock: Clock;
  readonly logger: AgentLogger;
  /** For each listener. */
  readonly maxConnections: number;
  readonly allow: (address: string) => boolean;
}

/** Every listener of the agent, and the choice of the one a request leaves from. */
export class Transports {
  readonly #options: TransportsOptions;
  readonly #localAddresses = new LocalAddresses();
  readonly #names: NameCache;
  readonly #outages: Outages;
  readonly #throttle: LogThrottle;
  readonly #transports: Transport[] = [];
  readonly #tls: TlsSockets[] = [];
  #closed = false;

  private constructor(options: TransportsOptions) {
    this.#options = options;
    this.#names = new NameCache(options.names, options.clock);
    this.#outages = new Outages(options.clock);
    this.#throttle = new LogThrottle(options.clock);
  }

  /** Binds every listener, or none: then it rejects with an Error that names the address. */
  static async open(options: TransportsOptions): Promise<Transports> {
    const transports = new Transports(options);
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

  /** New TLS connections use these from now on. Throws an Error, with nothing changed, when they are unusable. */
  renewTls(credentials: TlsCredentials): void {
    for (const sockets of this.#tls) sockets.renew(credentials);
  }

  /**
   * The ways to a target. Rejects with an Error when there is no listener to leave from, and when all of them lead to
   * this agent itself, which would take its own call for the peer's. A name nobody knows has one way that fails.
   */
  async waysTo(target: Target): Promise<Ways> {
    const { random } = this.#options;
    const protocols = this.#protocolsFor(target);
    try {
      const hops = await locate(target, { names: this.#names, protocols, random });
      return this.#ways(hops, target);
    } catch (error) {
      if (error instanceof UnknownHostError) return this.#deadEnd(target, error);
      throw error;
    }
  }

  /** The flow of the best way to a target. Rejects as above. */
  async flowTo(target: Target): Promise<Flow> {
    const flow = await (await this.waysTo(target)).next();
    if (!flow) throw new Error('no way to the target');
    return flow;
  }

  /** The addresses of a URI's host, as a request to it would find them; none when nobody knows it. */
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

  /** A connection to the peer of one that is gone, at a port it listens on. Rejects as above. */
  reopen({ protocol, remote: { address } }: Flow, port: number, name: string): Promise<Flow> {
    return this.#open({ protocol, address, port, name, mayUseTcp: false });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#transports.map((transport) => transport.close()));
  }

  async #bind(listen: ListenAddress): Promise<Transport> {
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

  /** Of TCP nothing is said: whoever wanted the connection is told. */
  #failureLog(protocol: 'tcp' | 'tls'): (remote: Endpoint, error: Error) => void {
    return (remote, error) => {
      if (protocol === 'tls') this.#logTlsFailure(remote, error.message);
    };
  }

  /** One line a minute for a peer whose certificate is refused, or who refuses ours; strangers are worth none. */
  #logTlsFailure({ address, port }: Endpoint, reason: string): void {
    const { allow, logger } = this.#options;
    const level = allow(address) && this.#throttle.passes(`${address} ${reason}`) ? 'warn' : 'debug';
    logger[level]({ event: 'sip.tls_failed', address, port, reason });
  }

  /** What a request to that target can go by. Throws when that is nothing. */
  #protocolsFor({ protocol }: Target): readonly TransportProtocol[] {
    const ours = PROTOCOLS.filter((each) => this.#transports.some(({ bound }) => bound.protocol === each));
    const usable = protocol ? ours.filter((each) => each === protocol) : ours;
    if (usable.length === 0) throw new Error('requested protocol/transport not available');
    return usable;
  }

  #ways(hops: readonly Hop[], target: Target): Ways {
    const reachable = hops.flatMap((hop) => {
      const way = this.#wayBy(hop, target);
      return way ? [way] : [];
    });
    if (reachable.length === 0) throw new Error('requested protocol/transport not available');
    return new Ways({ ways: reachable, outages: this.#outages, open: (way) => this.#open(way) });
  }

  /** The hop by a listener of its address family; by another protocol than usual when that is the only one there. */
  #wayBy(hop: Hop, target: Target): Way | undefined {
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

  async #open({ protocol, address, port, name }: Way): Promise<Flow> {
    const transport = this.#listener(protocol, address);
    if (!transport) throw new Error('requested protocol/transport not available');
    const local = isWildcard(transport.bound.address)
      ? (this.#localAddresses.known(address) ?? (await this.#localAddresses.find(address)))
      : transport.bound.address;
    if (this.#closed) throw new Error('agent stopped');
    if (address === local && port === transport.bound.port) throw new Error('can not send request to myself');
    return transport.flowTo({ address, port }, this.#options.advertise?.(address) ?? local, name);
  }

  #deadEnd({ host, protocol, port }: Target, error: UnknownHostError): Ways {
    const { advertise, logger } = this.#options;
    const [usable = 'udp'] = this.#protocolsFor(protocol ? { host, protocol } : { host });
    const bound = this.bound.find((each) => each.protocol === usable);
    const way = { protocol: usable, address: host, port: port ?? DEFAULT_PORTS[usable], name: host, mayUseTcp: false };
    const level = this.#throttle.passes(host) ? 'warn' : 'debug';
    logger[level]({ event: 'sip.host_unknown', host, reason: error.message });
    const flow = new DeadFlow(usable, way, {
      address: advertise?.(host) ?? bound?.address ?? host,
      port: bound?.port ?? way.port,
    });
    return new Ways({ ways: [way], outages: this.#outages, open: () => Promise.resolve(flow) });
  }
}
