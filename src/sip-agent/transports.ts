import { isIPv6 } from 'node:net';
import type { AgentLogger, Clock } from './environment.js';
import type { Flow, TransportProtocol } from './flow.js';
import { parseListenAddress } from './listen-address.js';
import { LocalAddresses } from './local-address.js';
import { addressOf, type Target } from './target.js';
import { TcpTransport } from './tcp-transport.js';
import {
  isWildcard,
  type Advertise,
  type BoundAddress,
  type ListenAddress,
  type MessageSink,
  type Transport,
} from './transport.js';
import { UdpTransport } from './udp-transport.js';

export interface TransportsOptions {
  readonly listen: readonly string[];
  readonly advertise: Advertise | undefined;
  readonly sink: MessageSink;
  readonly clock: Clock;
  readonly logger: AgentLogger;
  readonly maxConnections: number;
  readonly allow: (address: string) => boolean;
}

/** Every listener of the agent, and the choice of the one a request leaves from. */
export class Transports {
  readonly #options: TransportsOptions;
  readonly #localAddresses = new LocalAddresses();
  readonly #transports: Transport[] = [];
  #closed = false;

  private constructor(options: TransportsOptions) {
    this.#options = options;
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

  /** TCP connections, made and accepted. */
  get connections(): number {
    return this.#transports.reduce((sum, each) => sum + (each instanceof TcpTransport ? each.connections : 0), 0);
  }

  /**
   * A flow to a target. Rejects with an Error when its name is unknown, when there is no route or no listener to
   * leave from, and when it is this agent itself, which would take its own call for the peer's.
   */
  async flowTo(target: Target): Promise<Flow> {
    const address = await addressOf(target.host);
    const transport = this.#choose(target.protocol, isIPv6(address));
    const local = isWildcard(transport.bound.address)
      ? (this.#localAddresses.known(address) ?? (await this.#localAddresses.find(address)))
      : transport.bound.address;
    if (this.#closed) throw new Error('agent stopped');
    if (address === local && target.port === transport.bound.port) throw new Error('can not send request to myself');
    return transport.flowTo(address, target.port, this.#options.advertise?.(address) ?? local);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#transports.map((transport) => transport.close()));
  }

  async #bind(listen: ListenAddress): Promise<Transport> {
    const options = { ...this.#options, listen, localAddresses: this.#localAddresses };
    try {
      return await (listen.protocol === 'udp' ? UdpTransport.open(options) : TcpTransport.open(options));
    } catch (error) {
      throw new Error(`Cannot listen on ${listen.text}: ${(error as Error).message}`, { cause: error });
    }
  }

  /** The listener of that protocol and address family; UDP when the target does not care and we have it. */
  #choose(wanted: TransportProtocol | undefined, ipv6: boolean): Transport {
    const candidates = this.#transports.filter(({ bound }) => isIPv6(bound.address) === ipv6);
    const byProtocol = (protocol: TransportProtocol) => candidates.find(({ bound }) => bound.protocol === protocol);
    const chosen = wanted ? byProtocol(wanted) : (byProtocol('udp') ?? byProtocol('tcp'));
    if (!chosen) throw new Error('requested protocol/transport not available');
    return chosen;
  }
}
