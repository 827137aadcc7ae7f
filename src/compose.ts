import { randomBytes } from 'node:crypto';
import { LocalBridgePool } from './bridge/local-pool.js';
import { systemClock, type Clock } from './clock.js';
import { cidrMatcher } from './config/cidr.js';
import type { BridgeConfig } from './config/types.js';
import { CallController } from './control/controller.js';
import type { Logger } from './logger.js';
import { EmbeddedMediaEngine } from './media/embedded.js';
import { OpsHttpServer } from './ops/http-server.js';
import { HealthReport } from './ops/health.js';
import { DrachtioSipEndpoint } from './signaling/drachtio.js';
import { SipAgent } from './sip-agent/agent.js';

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
  readonly sip: ReturnType<SipAgent['stats']>;
}

/**
 * Builds a bridge from its configuration: the only place that knows which adapters there are.
 * Rejects, with everything released, when a port cannot be bound; the error names it.
 */
export async function startBridge(
  config: BridgeConfig,
  dependencies: { logger: Logger; clock?: Clock; version: string },
): Promise<Bridge & { held(): Held }> {
  const { logger, clock = systemClock } = dependencies;
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
    const bridges = new LocalBridgePool(bridgeSettings(config), clock, logger);
    release.push(() => bridges.stop());

    const { codecs, bind, advertise } = config.media;
    const controller = new CallController(controllerSettings(config), {
      clock,
      wallTime: () => new Date(),
      logger,
      bridges,
      media: new EmbeddedMediaEngine({ codecs, bind, advertise: advertise ?? config.sip.advertise }),
      sipEngine: config.sip.engine,
      onAgentOutcome: (outcome) => {
        health.onAgentOutcome(outcome);
      },
    });

    const health = new HealthReport(controller, {
      clock,
      version: dependencies.version,
      media: () => ({ status: 'ok', detail: `${bridges.held.ports} RTP ports in use` }),
    });
    const http = new OpsHttpServer({ ...config.http, source: health, logger });
    const httpUrl = await http.start();
    release.push(() => http.stop());

    const secret = randomBytes(16).toString('hex');
    const agent = new SipAgent({
      listen: config.sip.listen,
      ...(config.sip.advertise === undefined ? {} : { advertise: config.sip.advertise }),
      secret,
      clock,
      logger,
      allow: cidrMatcher(config.sip.allow),
    });
    const { wire, bound } = await agent.start();
    release.push(() => agent.stop());

    const signaling = new DrachtioSipEndpoint(
      { ...wire, secret, clock, logger },
      {
        onInvite: (invite) => {
          controller.onInvite(invite);
        },
        onConnection: (state) => {
          health.onSipConnection(state);
        },
      },
    );
    release.push(() => {
      signaling.close();
    });
    await signaling.connect();

    release.push(async () => {
      const idle = controller.drain();
      controller.endAll();
      await idle;
    });
    return {
      sip: bound.map(({ protocol, address, port }) => `${protocol}://${hostport(address, port)}`),
      http: httpUrl,
      configure: (changed) => {
        bridges.configure(bridgeSettings(changed));
        controller.configure(controllerSettings(changed));
      },
      drain: () => controller.drain(),
      stop: stopAll,
      held: () => ({
        calls: controller.active,
        bridges: bridges.active,
        rtpPorts: bridges.held.ports,
        ticking: bridges.held.ticking,
        sip: agent.stats(),
      }),
    };
  }
}

function bridgeSettings(config: BridgeConfig): ConstructorParameters<typeof LocalBridgePool>[0] {
  const { connectTimeoutMs, startTimeoutMs, reconnect } = config.pranthora;
  const { rtpTimeoutMs, farewellMs } = config.call;
  const { bind, ports, reorderMs } = config.media;
  return { bind, ports, reorderMs, rtpTimeoutMs, farewellMs, connectTimeoutMs, startTimeoutMs, reconnect };
}

function controllerSettings(config: BridgeConfig): ConstructorParameters<typeof CallController>[0] {
  const { maxConcurrent, maxDurationMs } = config.call;
  return { routes: config.routes, maxConcurrent, maxDurationMs };
}

const hostport = (address: string, port: number): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
