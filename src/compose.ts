import { randomBytes } from 'node:crypto';
import { availableParallelism, hostname } from 'node:os';
import type { BridgeHostSettings } from './bridge/threads/bridge-host.js';
import { isNarrowband, type NarrowbandEncoding } from './audio/encodings.js';
import type { LocalBridgePool } from './bridge/threads/local-pool.js';
import { WorkerBridgePool } from './bridge/threads/worker-pool.js';
import { systemClock, type Clock } from './clock.js';
import { advertisedAddresses, advertisedTo } from './config/sections/advertise.js';
import { AddressList } from './addresses/cidr.js';
import { placesFor } from './config/did-from.js';
import type { BridgeConfig, Codec, SipConfig, SipTlsConfig } from './config/types.js';
import { callEnd } from './control/call-end.js';
import { CallController } from './control/controller.js';
import { CallEventBus } from './events/call-event-bus.js';
import type { Logger } from './logger.js';
import { EmbeddedMediaEngine } from './media/embedded.js';
import type { MediaEngine } from './media/engine.js';
import type { FreeSwitchMediaEngine } from './media/freeswitch/engine.js';
import { RtpTargets, type OwnPorts } from './media/rtp-targets.js';
import { ListenFault } from './ops/bind-fault.js';
import { callLog } from './ops/call-log.js';
import { OpsHttpServer } from './ops/http-server.js';
import { HealthReport, type Component } from './ops/health.js';
import type { LogState } from './ops/log-writer.js';
import { redactQuotedNumbers } from './ops/redact-numbers.js';
import { Refusals } from './ops/refusals.js';
import type { NetworkSettings } from './pranthora/network.js';
import { callRecords } from './records/call-records.js';
import { DrachtioFilter } from './signaling/drachtio/drachtio-filter.js';
import { DrachtioSipEndpoint, type DrachtioOptions } from './signaling/drachtio/drachtio.js';
import { InboundAuth } from './signaling/auth/inbound-auth.js';
import { InviteGate } from './signaling/auth/invite-gate.js';
import type { SipRejection } from './signaling/sip-endpoint.js';
import { Registrations } from './signaling/registration/registrations.js';
import { ScannerNames } from './signaling/scanners.js';
import type { IncomingInvite } from './signaling/sip-endpoint.js';
import { ListenError, SipAgent, UnknownSources, type TlsOptions } from './sip-agent/index.js';

/** A running bridge. */
export interface Bridge {
  /** Where it listens, as `udp://address:port` and `http://address:port`. */
  readonly sip: readonly string[];
  readonly http: string;
  /** Settings a reload may change: routes, limits. */
  configure(config: BridgeConfig): void;
  /** Refuses new calls from now on; resolves when those in progress have ended. */
  drain(): Promise<void>;
  /** Ends what is left and releases everything. Idempotent. */
  stop(): Promise<void>;
}

/** Everything that is held and must be gone when the last call is over; tests and the soak look at it. */
export interface Held {
  readonly calls: number;
  readonly bridges: number;
  readonly rtpPorts: number;
  readonly ticking: number;
  /** Absent when the SIP is drachtio-server's. */
  readonly sip?: ReturnType<SipAgent['stats']>;
  /** Channels on FreeSWITCH. */
  readonly channels: number;
}

/**
 * Builds a bridge from its configuration: the only place that knows which adapters there are.
 * Rejects, with everything released, when a port cannot be bound; the error names it.
 */
export async function startBridge(
  config: BridgeConfig,
  dependencies: { logger: Logger; clock?: Clock; version: string; log?: () => LogState },
): Promise<Bridge & { held(): Held }> {
  const { logger, clock = systemClock, log = () => LOG_ELSEWHERE } = dependencies;
  const allow = new AddressList(config.sip.allow);
  const scanners = new ScannerNames(config.sip.scanners);
  const refusals = new Refusals(clock);
  const release: (() => Promise<void> | void)[] = [];
  const stopAll = async (): Promise<void> => {
    for (let next = release.pop(); next; next = release.pop()) await next();
  };
  try {
    return await compose();
  } catch (error) {
    await stopAll();
    throw error;
  }

  async function compose(): Promise<Bridge & { held(): Held }> {
    const events = new CallEventBus({ clock, logger });
    release.push(() => events.flush());
    const bridges = await startBridges();
    release.push(() => bridges.stop());

    const auth = new InboundAuth({ clock, logger });
    auth.configure(config.sip.auth);
    const registrations = new Registrations({
      ...{ clock, logger, random: Math.random },
      send: (request) => signaling.send(request),
    });
    registrations.configure(config.sip.registrations);
    const sip = await startSip(registrations);
    const gate = new InviteGate({
      ...{ allow: allow.has, registrations, auth },
      objection: (invite) => sip.objection(invite),
      isBanned: (invite) => sip.isBanned(invite),
      next: (invite, arrival) => controller.onInvite(invite, arrival),
    });
    const shown = config.log.redactNumbers ? { shown: redactQuotedNumbers } : {};
    const signaling = new DrachtioSipEndpoint(
      { ...sip.server, ...shown },
      {
        onInvite: (invite) => gate.onInvite(invite),
        onOptions: (query): SipRejection | undefined => {
          const { address } = query.source;
          if (!allow.has(address) && !registrations.isRegistrar(address)) return { status: 403 };
          const { ready, reason } = health.ready();
          // What the controller knows it says itself.
          if (!ready && !controller.draining && controller.active < controller.maxConcurrent) {
            return callEnd.mediaUnavailable(reason).rejection;
          }
          return controller.refusalOf(query);
        },
        onConnection: (state) => {
          const log = state.connected ? 'info' : 'error';
          if (config.sip.engine === 'drachtio') logger[log]({ event: 'sip.connection', ...state });
          health.onSipConnection(state);
          registrations.onConnection(state.connected);
        },
      },
    );
    release.push(() => signaling.close());
    release.push(() => registrations.close());
    const media = await startMedia(signaling, sip.listening);
    const controller = new CallController(controllerSettings(config, allow.has), {
      clock,
      wallTime: () => new Date(),
      events,
      bridges,
      media: media.engine,
      sipEngine: config.sip.engine,
    });
    const health = new HealthReport(controller, {
      clock,
      version: dependencies.version,
      media: () => media.state(bridges.held.ports),
      registrations: () => registrations.status(),
      log,
      refused: () => refusals.recent(),
    });
    events.subscribe('records', callRecords(events));
    events.subscribe('log', callLog(logger));
    events.subscribe('health', (event) => health.onCallEvent(event));
    events.subscribe('refusals', (event) => refusals.onCallEvent(event));
    const http = new OpsHttpServer({ ...config.http, redactNumbers: config.log.redactNumbers, source: health, logger });
    const httpUrl = await http.start().catch((error: unknown) => {
      const { host, port } = config.http;
      throw new ListenFault('http.host, http.port', `http://${hostport(host, port)}`, error as Error);
    });
    release.push(() => http.stop());
    const connected = await signaling.connect();
    if (!connected && config.sip.engine === 'embedded')
      throw new Error('the embedded SIP agent refuses its own client');

    release.push(async () => {
      const idle = controller.drain();
      controller.endAll();
      await idle;
    });
    return {
      sip: sip.listening,
      http: httpUrl,
      configure: (changed) => {
        allow.configure(changed.sip.allow);
        scanners.configure(changed.sip.scanners);
        sip.configure(changed.sip);
        bridges.configure(bridgeHostSettings(changed));
        controller.configure(controllerSettings(changed, allow.has));
        registrations.configure(changed.sip.registrations);
        auth.configure(changed.sip.auth);
      },
      drain: async () => {
        await Promise.all([controller.drain(), registrations.close()]);
      },
      stop: stopAll,
      held: () => ({
        calls: controller.active,
        bridges: bridges.active,
        rtpPorts: bridges.held.ports,
        ticking: bridges.held.ticking,
        channels: media.channels(),
        ...sip.stats(),
      }),
    };
  }

  async function startBridges(): Promise<LocalBridgePool | WorkerBridgePool> {
    const settings = bridgeHostSettings(config);
    const { workers } = config.media;
    // One thread is left to SIP and the control plane.
    const count = workers === 'auto' ? Math.max(1, availableParallelism() - 1) : workers;
    if (count > 0) return WorkerBridgePool.start({ workers: count, settings, clock, logger });
    // This thread need not have all that media takes, where others see to it.
    const local = await import('./bridge/threads/local-pool.js');
    return new local.LocalBridgePool(settings, clock, logger);
  }

  /** The SIP server: drachtio-server elsewhere, or our own agent, which is started. */
  async function startSip(registrations: Registrations): Promise<StartedSip> {
    const isKnown = (address: string): boolean => allow.has(address) || registrations.isRegistrar(address);
    const onRefused = refusals.note.bind(refusals);
    if (config.sip.engine === 'drachtio') return behindDrachtio(isKnown, onRefused);
    const secret = randomBytes(16).toString('hex');
    const agent = new SipAgent({
      listen: config.sip.listen,
      advertise: advertisedTo(config.sip.advertise),
      ...(config.sip.tls ? { tls: sipTls(config.sip.tls) } : {}),
      secret,
      clock,
      logger,
      allow: isKnown,
      scannerName: scanners.find,
      refusedMethods: ['MESSAGE', 'REFER'],
      onRefused,
      maxRequestsPerSec: config.sip.maxRequestsPerSec,
      session: { minimumS: config.sip.sessionTimer.minSec, wantedS: config.sip.sessionTimer.expiresSec },
    });
    const { wire, bound } = await agent.start().catch((error: unknown) => {
      throw error instanceof ListenError ? new ListenFault('sip.listen', error.listen, error.cause) : error;
    });
    release.push(() => agent.stop());
    return {
      server: { ...wire, secret, clock, logger },
      listening: bound.map(({ protocol, address, port }) => `${protocol}://${hostport(address, port)}`),
      stats: () => ({ sip: agent.stats() }),
      configure: ({ tls }) => {
        if (tls) agent.renewTls(sipTls(tls));
      },
      // The agent admits no unknown source but a registrar, which sends few calls that are not for us.
      isBanned: () => false,
      objection: () => undefined,
    };
  }

  /** The SIP server has no such filters of its own. */
  function behindDrachtio(
    isKnown: (address: string) => boolean,
    onRefused: (kind: 'forbidden' | 'scanners') => void,
  ): StartedSip {
    const { drachtio } = config.sip;
    const [unknownSources, scannerSources] = [new UnknownSources(clock, logger), new UnknownSources(clock, logger)];
    release.push(() => {
      unknownSources.close();
      scannerSources.close();
    });
    const filter = new DrachtioFilter({
      ...{ isKnown, onRefused, unknownSources },
      scannerName: scanners.find,
      scanners: scannerSources,
    });
    return {
      server: { ...drachtio, clock, logger, objectionInDialog: filter.objectionInDialog },
      listening: [`drachtio://${hostport(drachtio.host, drachtio.port)}`],
      stats: () => ({}),
      configure: () => undefined,
      isBanned: (invite) => filter.isBanned(invite),
      objection: (invite) => filter.objection(invite),
    };
  }

  async function startMedia(signaling: DrachtioSipEndpoint, sipListening: readonly string[]): Promise<StartedMedia> {
    const { codecs, codecOrder, bind, freeswitch } = config.media;
    const [toSip, toMedia] = [advertisedTo(config.sip.advertise), advertisedTo(config.media.advertise)];
    const targets = new RtpTargets({ own: ownPorts(config, sipListening) });
    const embedded = new EmbeddedMediaEngine({
      ...{ codecs, codecOrder, bind, targets },
      advertise: (peer) => toMedia(peer) ?? toSip(peer),
    });
    if (config.media.engine === 'embedded') {
      return {
        engine: embedded,
        state: (rtpPorts) => ({ status: 'ok', detail: `${rtpPorts} RTP ports in use` }),
        channels: () => 0,
      };
    }
    const { srf } = signaling;
    // Loaded by those alone who use it: drachtio-fsmrf and what it brings are 8 MB.
    const freeSwitch = await import('./media/freeswitch/engine.js');
    const engine = new freeSwitch.FreeSwitchMediaEngine({
      servers: freeswitch,
      codecs: narrowbandOf(codecs),
      codecOrder,
      advertise: toMedia,
      targets,
      srf,
      embedded,
      owner: owner(config),
      clock,
      logger,
    });
    release.push(() => engine.stop());
    await engine.start();
    return { engine, state: () => freeSwitchState(engine), channels: () => engine.channels };
  }
}

/** Of a logger that keeps no count. */
const LOG_ELSEWHERE: LogState = { status: 'ok', droppedLines: 0, detail: 'written' };

interface StartedSip {
  readonly server: DrachtioOptions;
  readonly listening: readonly string[];
  stats(): Pick<Held, 'sip'>;
  configure(config: SipConfig): void;
  /** Counts an INVITE of an unknown source: whether it has been refused so often that it gets its 403 and nothing else. */
  isBanned(invite: IncomingInvite): boolean;
  /** Why an INVITE is refused for the name of what sent it; takes note of it. */
  objection(invite: IncomingInvite): string | undefined;
}

interface StartedMedia {
  readonly engine: MediaEngine;
  state(rtpPorts: number): Component;
  channels(): number;
}

function freeSwitchState(engine: FreeSwitchMediaEngine): Component {
  const { up, servers, detail } = engine.state();
  return { status: up === 0 ? 'down' : up < servers ? 'degraded' : 'ok', detail };
}

/**
 * The name FreeSWITCH knows this bridge's channels by. Two bridges on one machine have two HTTP ports, and a bridge has
 * the same one after a restart.
 */
function owner({ http }: BridgeConfig): string {
  const port = http.port === 0 ? randomBytes(4).toString('hex') : String(http.port);
  return `${hostname()}-${http.host}-${port}`;
}

function bridgeHostSettings(config: BridgeConfig): BridgeHostSettings {
  const { connectTimeoutMs, startTimeoutMs, reconnect } = config.pranthora;
  const { rtpTimeoutMs, farewellMs, settleMs } = config.call;
  const { bind, ports, reorderMs, cushionMs, dtmf, holdToAgent } = config.media;
  const media = { bind, ports, reorderMs, cushionMs, dtmf, holdToAgent };
  return {
    bridge: { ...media, rtpTimeoutMs, farewellMs, settleMs, connectTimeoutMs, startTimeoutMs, reconnect },
    network: networkSettings(config),
  };
}

/** Where this bridge's own datagrams come to. drachtio-server's ports are its own business. */
function ownPorts({ sip, media }: BridgeConfig, sipListening: readonly string[]): OwnPorts[] {
  const rules = [
    ...advertisedAddresses('sip.advertise', sip.advertise),
    ...advertisedAddresses('media.advertise', media.advertise),
  ];
  const advertised = rules.map(({ address }) => address);
  const { min, max } = media.ports;
  const listening = sip.engine === 'embedded' ? sipListening.map(listeningAt) : [];
  return [
    { what: `media.ports ${min}-${max}`, bind: media.bind, advertised, min, max },
    ...listening.map(({ address, port }) => ({ what: 'sip.listen', bind: address, advertised, min: port, max: port })),
  ];
}

/** Of `udp://address:port`. */
function listeningAt(text: string): { readonly address: string; readonly port: number } {
  const { hostname: host, port } = new URL(text);
  return { address: host.replace(/^\[|\]$/g, ''), port: Number(port) };
}

/** How agents are reached, as the configuration has it. */
export function networkSettings({ pranthora }: BridgeConfig): NetworkSettings {
  const { allowHosts, tls, proxy, noProxy = [] } = pranthora;
  const { caPem, pinnedSha256, servername } = tls ?? {};
  return {
    ...(allowHosts ? { allowHosts } : {}),
    ...(tls
      ? {
          tls: {
            ...(caPem === undefined ? {} : { ca: caPem }),
            ...(pinnedSha256 ? { pinnedSha256 } : {}),
            ...(servername === undefined ? {} : { servername }),
          },
        }
      : {}),
    ...(proxy === undefined ? {} : { proxy: { url: proxy, noProxy } }),
  };
}

/** What is left to choose where FreeSWITCH speaks the wideband codecs: the order of G.711's two laws. */
function narrowbandOf(codecs: readonly Codec[]): readonly NarrowbandEncoding[] {
  const narrowband = codecs.filter(isNarrowband);
  return narrowband.length > 0 ? narrowband : ['PCMU', 'PCMA'];
}

function sipTls({ certPem, keyPem, caPem, requestClientCertificate }: SipTlsConfig): TlsOptions {
  return { cert: certPem, key: keyPem, ca: caPem, clientCertificate: requestClientCertificate };
}

function controllerSettings(
  config: BridgeConfig,
  allow: (address: string) => boolean,
): ConstructorParameters<typeof CallController>[0] {
  const { maxConcurrent, maxDurationMs, transferTimeoutMs } = config.call;
  const { maxCallsPerSource } = config.sip;
  const { customParameters, sendCallId } = config.pranthora;
  const { routes, log } = config;
  const { dtmfDigits: logDigits } = log;
  const didPlaces = placesFor(config.sip.didFrom);
  const limits = { maxConcurrent, maxDurationMs, transferTimeoutMs, maxCallsPerSource };
  return { routes, ...limits, logDigits, customParameters, sendCallId, allow, didPlaces };
}

const hostport = (address: string, port: number): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
