import type { Clock } from '../../clock.js';
import type { Logger } from '../../logger.js';
import { AgentNetwork, type NetworkSettings } from '../../pranthora/network.js';
import { PortPool } from '../../rtp/port-pool.js';
import { CallBridge, type BridgeSettings } from '../call-bridge.js';
import type { EventLoop } from '../event-loop.js';
import type { BridgeCommand, BridgeEvent, BridgeId } from '../messages.js';
import { Scheduler } from '../scheduler.js';

/** Everything bridges are made with. Plain data: it goes to other threads. */
export interface BridgeHostSettings {
  readonly bridge: BridgeSettings;
  readonly network: NetworkSettings;
}

/** What is in use: all 0 when every call is over. */
export interface HeldByBridges {
  /** RTP ports. */
  readonly ports: number;
  /** Members of the 20 ms tick. */
  readonly ticking: number;
}

export interface HostDependencies {
  readonly clock: Clock;
  readonly wallMs: () => number;
  readonly logger: Logger;
  readonly emit: (event: BridgeEvent) => void;
  /** Of the thread; shared with others unless given. */
  readonly eventLoop?: EventLoop;
}

/** The bridges of one thread, and what they share: its tick, its part of the port range, its way to Pranthora. */
export class BridgeHost {
  #settings: BridgeSettings;
  #network: AgentNetwork;
  readonly #clock: Clock;
  readonly #wallMs: () => number;
  readonly #logger: Logger;
  readonly #emit: (event: BridgeEvent) => void;
  readonly #scheduler: Scheduler;
  readonly #ports: PortPool;
  readonly #ownSsrcs = new Set<number>();
  readonly #bridges = new Map<BridgeId, CallBridge>();

  constructor(settings: BridgeHostSettings, dependencies: HostDependencies) {
    const { min, max } = settings.bridge.ports;
    this.#settings = settings.bridge;
    this.#network = new AgentNetwork(settings.network);
    this.#clock = dependencies.clock;
    this.#wallMs = dependencies.wallMs;
    this.#logger = dependencies.logger;
    this.#emit = dependencies.emit;
    this.#scheduler = new Scheduler(this.#clock, dependencies.eventLoop);
    this.#ports = new PortPool({ minPort: min, maxPort: max });
  }

  get held(): HeldByBridges {
    return { ports: this.#ports.inUse, ticking: this.#scheduler.size };
  }

  /** Settings of the bridges to come. The port range stays what it was. */
  configure({ bridge, network }: BridgeHostSettings): void {
    this.#settings = bridge;
    this.#network = new AgentNetwork(network);
  }

  /** Carries out a command; one for a bridge that has been closed is ignored. */
  handle(command: BridgeCommand): void {
    if (command.kind === 'open') this.#bridges.set(command.bridge, this.#newBridge(command.bridge));
    this.#bridges.get(command.bridge)?.handle(command);
  }

  #newBridge(id: BridgeId): CallBridge {
    return new CallBridge(id, this.#settings, {
      network: this.#network,
      clock: this.#clock,
      wallMs: this.#wallMs,
      logger: this.#logger,
      scheduler: this.#scheduler,
      ports: this.#ports,
      ownSsrcs: this.#ownSsrcs,
      emit: (event) => {
        if (event.kind === 'closed') this.#bridges.delete(id);
        this.#emit(event);
      },
    });
  }
}
