import { once } from 'node:events';
import { SipAgent, type SipAgentAddresses, type SipAgentOptions } from '../../src/sip-agent/agent.js';
import type { AgentLogFields, AgentLogger } from '../../src/sip-agent/environment.js';
import { LOOPBACK } from './certificates.js';
import { connectSrf, type SrfRequest, type SrfResponse, type TestSrf } from './srf-client.js';
import { TcpPeer, UdpPeer, type PeerTls, type SipPeer } from './sip-peer.js';
import { steadyClock } from './steady-clock.js';

export type Protocol = 'udp' | 'tcp' | 'tls';

/** Log lines, kept to be looked at. */
export class CollectingLogger implements AgentLogger {
  readonly lines: AgentLogFields[] = [];
  readonly warnings: AgentLogFields[] = [];

  debug(fields: AgentLogFields): void {
    this.lines.push(fields);
  }

  info(fields: AgentLogFields): void {
    this.lines.push(fields);
  }

  warn(fields: AgentLogFields): void {
    this.lines.push(fields);
    this.warnings.push(fields);
  }

  events(event: string): AgentLogFields[] {
    return this.lines.filter((line) => line.event === event);
  }
}

interface Offered {
  readonly request: SrfRequest;
  readonly response: SrfResponse;
}

const SECRET = 'between us';

/** An agent on loopback with drachtio-srf behind it, and what a test needs to close it all again. */
export class AgentRig {
  readonly logger = new CollectingLogger();
  readonly offered: Offered[] = [];
  readonly #peers: SipPeer[] = [];
  #srf: TestSrf | undefined;
  #addresses: SipAgentAddresses | undefined;
  readonly agent: SipAgent;
  #notifyInvite: (() => void) | undefined;

  constructor(options: Partial<SipAgentOptions> = {}) {
    const { logger } = this;
    this.agent = new SipAgent({
      listen: ['udp://127.0.0.1:0', 'tcp://127.0.0.1:0'],
      secret: SECRET,
      clock: steadyClock,
      logger,
      ...options,
    });
  }

  static async start(options: Partial<SipAgentOptions> = {}): Promise<AgentRig> {
    const rig = new AgentRig(options);
    rig.#addresses = await rig.agent.start();
    return rig;
  }

  get addresses(): SipAgentAddresses {
    if (!this.#addresses) throw new Error('Not started');
    return this.#addresses;
  }

  get srf(): TestSrf {
    if (!this.#srf) throw new Error('No client');
    return this.#srf;
  }

  port(protocol: Protocol): number {
    return this.addresses.bound.find((each) => each.protocol === protocol)?.port ?? 0;
  }

  /** Connects drachtio-srf, which from then on is offered INVITEs. A handler that `prepare` sets goes first. */
  async withClient(prepare: (srf: TestSrf) => void = () => undefined): Promise<this> {
    this.#srf = await connectSrf(this.addresses.wire, SECRET, (srf) => {
      prepare(srf);
      srf.invite((request, response) => {
        this.offered.push({ request, response });
        this.#notifyInvite?.();
      });
    });
    return this;
  }

  peer(protocol: Protocol): Promise<SipPeer> {
    if (protocol === 'tls') return this.tlsPeer(LOOPBACK);
    return protocol === 'udp' ? this.udpPeer() : this.tcpPeer();
  }

  async udpPeer(address = '127.0.0.1'): Promise<UdpPeer> {
    const peer = await UdpPeer.open({ address, port: this.port('udp') });
    this.#peers.push(peer);
    return peer;
  }

  /** `port`: its own; 0 lets the system choose. */
  async tcpPeer(address = '127.0.0.1', port = 0): Promise<TcpPeer> {
    const peer = await TcpPeer.open({ address, port: this.port('tcp') }, undefined, port);
    this.#peers.push(peer);
    return peer;
  }

  async tlsPeer(tls: PeerTls, address = '127.0.0.1'): Promise<TcpPeer> {
    const peer = await TcpPeer.open({ address, port: this.port('tls') }, tls);
    this.#peers.push(peer);
    return peer;
  }

  /** The next INVITE the client is offered. */
  async nextInvite(): Promise<Offered> {
    for (;;) {
      const offered = this.offered.shift();
      if (offered) return offered;
      await new Promise<void>((resolve) => {
        this.#notifyInvite = resolve;
      });
    }
  }

  async disconnectClient(): Promise<void> {
    const srf = this.#srf;
    if (!srf) return;
    this.#srf = undefined;
    const closed = once(srf, 'close');
    try {
      srf.disconnect();
    } catch {
      // Without a connection drachtio-srf throws: the agent has been stopped already.
      return;
    }
    await closed;
  }

  async close(): Promise<void> {
    await this.disconnectClient();
    await this.agent.stop();
    await Promise.all(this.#peers.map((peer) => peer.close()));
  }
}
