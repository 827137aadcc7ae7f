import { endCall } from './core/call-ending.js';
import { CallSetups } from './dialog/call-setups.js';
import type { Core } from './core/core.js';
import { errorText, type AgentClock, type AgentLogger } from './environment.js';
import { topVia } from './syntax/envelope.js';
import { formatHostPort, type Flow } from './transport/flow.js';
import { RequestFilter, type FilterRefusal } from './guard/request-filter.js';
import { newTag } from './syntax/identifiers.js';
import { UserAgentServer } from './core/uas.js';
import { LoadMeter } from './guard/load-meter.js';
import { SipResponse, type Envelope, type SipRequest } from './syntax/message.js';
import { Methods } from './syntax/methods.js';
import { SystemNames, type NameService } from './transport/name-cache.js';
import { UserAgentClient } from './core/uac.js';
import type { ParseFailure } from './syntax/parse.js';
import { responseTo } from './syntax/responses.js';
import { SHORTEST_SESSION_S, type SessionPolicy } from './dialog/session-expires.js';
import { Subscriptions } from './dialog/subscriptions.js';
import { sipTimers, type SipTimerBase } from './transaction/timers.js';
import type { TlsCredentials, TlsOptions } from './transport/tls-sockets.js';
import { TransactionLayer } from './transaction/layer.js';
import type { AdvertisedHost, BoundAddress } from './transport/transport.js';
import { TransportLayer } from './transport/layer.js';
import { UsageStore } from './dialog/usage-store.js';
import { responseFlow, stampSource } from './transport/via.js';
import type { WireClient } from './wire/client.js';
import { WireServer, type SipCommand } from './wire/server.js';

/** A call leaves two transactions for 32 s, of about 4 KB each: this is enough for five hundred calls a second. */
const MAX_SERVER_TRANSACTIONS = 32_000;
const MAX_CONNECTIONS = 1_000;
/** T1: the time after which a peer retransmits a request. */
const MAX_LAG_MS = 500;
/** Twice as many calls a second as a busy trunk has. */
const MAX_REQUESTS_PER_SEC = 1_000;

export interface SipAgentOptions {
  /** `udp://`, `tcp://` or `tls://`, then `address:port`; port 0 lets the system choose, IPv6 addresses are in brackets. */
  readonly listen: readonly string[];
  /** Host for Via and Contact towards a peer's address. Default: the local address that reaches the peer. */
  readonly advertise?: AdvertisedHost | undefined;
  /** Required for `tls://`. */
  readonly tls?: TlsOptions | undefined;
  /** The name service. Default: the machine's DNS and hosts file. */
  readonly names?: NameService | undefined;
  /** The secret that clients authenticate with. */
  readonly secret: string;
  readonly clock: AgentClock;
  readonly logger: AgentLogger;
  /**
   * Sources whose requests are accepted, beside the addresses that are part of a request's dialog; the first requests
   * of others get 403, later ones no response. Called for each request, so that the answer may change. Default: all.
   */
  readonly allow?: ((address: string) => boolean) | undefined;
  /** The scanner name that a User-Agent matches; outside dialogs such requests are refused in the same way. Default: none. */
  readonly scannerName?: ((userAgent: string) => string | undefined) | undefined;
  /** Methods that no client handles: left out of Allow, and answered 405. Default: none. */
  readonly refusedMethods?: readonly string[] | undefined;
  /** Called for each request refused for its source, its User-Agent or its rate, whether it got a response or not. */
  readonly onRefused?: ((kind: FilterRefusal) => void) | undefined;
  /** Session timers (RFC 4028). Default: at least 90 s when the peer asks for one, otherwise none. */
  readonly session?: Partial<SessionPolicy> | undefined;
  /**
   * Requests a second of one source outside its calls; beyond that it gets 503, and far beyond no response. Default:
   * 1000.
   */
  readonly maxRequestsPerSec?: number | undefined;
  /** For networks with other round-trip times than half a second, and for tests. */
  readonly timers?: Partial<SipTimerBase> | undefined;
}

export interface SipAgentAddresses {
  /** The listener for SIP clients. */
  readonly wire: { readonly host: '127.0.0.1'; readonly port: number };
  /** In the order of `listen`. */
  readonly bound: readonly BoundAddress[];
}

export interface SipAgentStats {
  readonly serverTransactions: number;
  readonly clientTransactions: number;
  /** Early ones included. */
  readonly dialogs: number;
  /** TCP and TLS connections to peers. */
  readonly connections: number;
  /** SIP clients connected over the wire. */
  readonly clients: number;
  /** Malformed messages received, since the start. */
  readonly malformed: number;
  /** Requests refused for their source or User-Agent, since the start. */
  readonly forbidden: number;
  /** Requests of such sources that got no response, since the start. */
  readonly ignored: number;
  /** Requests beyond a rate limit, since the start. */
  readonly limited: number;
  /** Requests refused for overload, since the start. */
  readonly shed: number;
}

/**
 * A SIP user agent (RFC 3261) whose calls are handled by clients that speak drachtio-server's wire protocol, such as
 * drachtio-srf. It has transports, transactions and dialogs, and answers itself what needs no decision of a client.
 */
export class SipAgent {
  readonly #options: SipAgentOptions;
  readonly #layer: TransactionLayer;
  readonly #usages = new UsageStore();
  readonly #subscriptions: Subscriptions;
  readonly #core: Core;
  readonly #uas: UserAgentServer;
  readonly #uac: UserAgentClient;
  readonly #load: LoadMeter;
  readonly #filter: RequestFilter;
  #transports: TransportLayer | undefined;
  #wire: WireServer | undefined;
  #malformed = 0;
  #stopped: Promise<void> | undefined;

  constructor(options: SipAgentOptions) {
    const { clock, logger } = options;
    const timers = sipTimers(options.timers);
    this.#options = options;
    this.#load = new LoadMeter({ clock, logger, maxLagMs: MAX_LAG_MS });
    this.#layer = new TransactionLayer({
      clock,
      timers,
      maxServerTransactions: MAX_SERVER_TRANSACTIONS,
      overloaded: () => this.#load.overloaded,
      reopen: (flow, port, name) =>
        this.#transports?.reopen(flow, port, name) ?? Promise.reject(new Error('agent not started')),
    });
    this.#filter = new RequestFilter({
      ...{ clock, logger, usages: this.#usages },
      allow: (address) => this.#allows(address),
      scannerName: (userAgent) => options.scannerName?.(userAgent),
      maxRequestsPerSec: options.maxRequestsPerSec ?? MAX_REQUESTS_PER_SEC,
      isRepetition: (request, envelope) => this.#layer.holds(request, envelope),
      addressesOf: (uri) => this.#transports?.addressesOf(uri) ?? Promise.resolve([]),
      again: (request, envelope, flow) => this.#guard(() => this.#receive(request, envelope, flow)),
      onRefused: (kind) => options.onRefused?.(kind),
    });
    this.#subscriptions = new Subscriptions(clock);
    this.#core = {
      clock,
      timers,
      session: { minimumS: SHORTEST_SESSION_S, wantedS: undefined, ...options.session },
      logger,
      methods: new Methods(options.refusedMethods),
      layer: this.#layer,
      usages: this.#usages,
      setups: new CallSetups(clock, logger),
      subscriptions: this.#subscriptions,
      flowTo: (target) => this.#transports?.flowTo(target) ?? Promise.reject(new Error('agent not started')),
      candidatesFor: (target) =>
        this.#transports?.candidatesFor(target) ?? Promise.reject(new Error('agent not started')),
      pickClient: (method) => this.#wire?.pick(method),
    };
    this.#uas = new UserAgentServer(this.#core);
    this.#uac = new UserAgentClient(this.#core);
    this.#layer.serve(this.#uas);
  }

  /** Opens every listener, or none: then it rejects with an Error that names the address. To be called once. */
  async start(): Promise<SipAgentAddresses> {
    try {
      const transports = (this.#transports = await this.#openTransports());
      const wire = (this.#wire = await this.#openWire(transports.bound));
      if (this.#stopped) throw new Error('agent stopped');
      this.#load.start();
      return { wire: wire.endpoint, bound: transports.bound };
    } catch (error) {
      await this.#close();
      throw error;
    }
  }

  /** Closes everything after the clients' last commands; calls that are still up get no BYE. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#close();
    return this.#stopped;
  }

  /** Uses these credentials for new TLS connections. Throws an Error, with nothing changed, when they are unusable. */
  renewTls(credentials: TlsCredentials): void {
    this.#transports?.renewTls(credentials);
  }

  stats(): SipAgentStats {
    return {
      serverTransactions: this.#layer.serverTransactions,
      clientTransactions: this.#layer.clientTransactions,
      dialogs: this.#usages.size + this.#subscriptions.size,
      connections: this.#transports?.connections ?? 0,
      clients: this.#wire?.clients ?? 0,
      malformed: this.#malformed,
      forbidden: this.#filter.refused,
      ignored: this.#filter.ignored,
      limited: this.#filter.limited,
      shed: this.#layer.shed,
    };
  }

  #openTransports(): Promise<TransportLayer> {
    const { listen, advertise, tls, names = new SystemNames(), clock, logger } = this.#options;
    return TransportLayer.open({
      listen,
      advertise,
      tls,
      names,
      random: Math.random,
      clock,
      logger,
      maxConnections: MAX_CONNECTIONS,
      allow: (address) => this.#allows(address),
      sink: {
        message: (message, envelope, flow) => this.#guard(() => this.#receive(message, envelope, flow)),
        malformed: (failure, flow) => this.#guard(() => this.#receiveMalformed(failure, flow)),
      },
    });
  }

  #openWire(bound: readonly BoundAddress[]): Promise<WireServer> {
    const { secret, clock, logger } = this.#options;
    return WireServer.open({
      secret,
      clock,
      logger,
      hostPorts: bound.map((each) => `${each.protocol}/${formatHostPort(each)}`).join(','),
      handler: {
        command: (client, command) => {
          this.#execute(client, command).catch((error: unknown) => client.failed(command.id, errorText(error)));
        },
        clientGone: (client) => this.#guard(() => this.#clientGone(client)),
      },
    });
  }

  async #close(): Promise<void> {
    await this.#wire?.close();
    this.#load.stop();
    this.#filter.close();
    this.#layer.close();
    this.#usages.clear();
    this.#subscriptions.clear();
    await this.#transports?.close();
  }

  #receive(message: SipRequest | SipResponse, envelope: Envelope, flow: Flow): void {
    if (message instanceof SipResponse) {
      if (this.#layer.receiveResponse(message, envelope, flow.remote.address)) this.#layer.peers.note(flow);
    } else if (this.#filter.admits(message, envelope, flow)) this.#layer.receiveRequest(message, envelope, flow);
  }

  #receiveMalformed({ status, reason, partial }: ParseFailure, flow: Flow): void {
    this.#malformed++;
    this.#options.logger.debug({ event: 'sip.malformed', address: flow.remote.address, reason });
    const via = partial && topVia(partial);
    if (!via || partial.method === 'ACK' || !this.#filter.answersMalformed(flow.remote.address)) return;
    stampSource(partial, via, flow.remote);
    responseFlow(flow, via).send(responseTo(partial, status, newTag(), reason).toBuffer());
  }

  async #execute(client: WireClient, command: SipCommand): Promise<void> {
    const { message } = command;
    if (message instanceof SipResponse) this.#uas.answer(client, command, message);
    else await this.#uac.command(client, command, message);
  }

  /** The application of these calls is gone, so they are ended. */
  #clientGone(client: WireClient): void {
    this.#uas.clientGone(client);
    this.#uac.clientGone(client);
    this.#subscriptions.clientGone(client);
    for (const usage of this.#usages.ownedBy(client)) {
      usage.whenAcknowledged(() => endCall(this.#core, usage, 'application gone'));
    }
  }

  #allows(address: string): boolean {
    return this.#options.allow?.(address) ?? true;
  }

  /** A fault of ours in the handling of one message must not reach the others. */
  #guard(handle: () => void): void {
    try {
      handle();
    } catch (error) {
      const { message, stack } = error as Error;
      this.#options.logger.warn({ event: 'sip.fault', reason: message, stack });
    }
  }
}
