import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';
import type { AgentNetwork } from '../pranthora/network.js';
import { PortPool } from '../rtp/port-pool.js';
import { CallBridge, type BridgeSettings } from './call-bridge.js';
import type { BridgeCommand, BridgeEvent, BridgeHandle, BridgeId, BridgePool } from './messages.js';
import { Scheduler } from './scheduler.js';

/** Bridges on this thread. */
export class LocalBridgePool implements BridgePool {
  #settings: BridgeSettings;
  #network: AgentNetwork;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #scheduler: Scheduler;
  readonly #ports: PortPool;
  readonly #bridges = new Map<BridgeId, CallBridge>();
  #lastId = 0;
  #onEmpty: (() => void) | undefined;

  constructor(settings: BridgeSettings, network: AgentNetwork, clock: Clock, logger: Logger) {
    this.#settings = settings;
    this.#network = network;
    this.#clock = clock;
    this.#logger = logger;
    this.#scheduler = new Scheduler(clock);
    this.#ports = new PortPool({ minPort: settings.ports.min, maxPort: settings.ports.max });
  }

  /** Settings of the bridges to come. The port range stays what it was. */
  configure(settings: BridgeSettings, network: AgentNetwork): void {
    this.#settings = settings;
    this.#network = network;
  }

  get active(): number {
    return this.#bridges.size;
  }

  /** RTP ports in use, and members of the 20 ms tick: both 0 when every call is over. */
  get held(): { ports: number; ticking: number } {
    return { ports: this.#ports.inUse, ticking: this.#scheduler.size };
  }

  open(onEvent: (event: BridgeEvent) => void): BridgeHandle {
    this.#lastId += 1;
    const id = this.#lastId;
    const bridge = new CallBridge(id, this.#settings, {
      network: this.#network,
      clock: this.#clock,
      logger: this.#logger,
      scheduler: this.#scheduler,
      ports: this.#ports,
      emit: (event) => {
        if (event.kind === 'closed') this.#forget(id);
        onEvent(event);
      },
    });
    this.#bridges.set(id, bridge);
    const send = (command: BridgeCommand): void => {
      bridge.handle(command);
    };
    send({ kind: 'open', bridge: id });
    return {
      id,
      connectAgent: (address) => {
        send({ kind: 'connect-agent', bridge: id, address });
      },
      setMedia: (media) => {
        send({ kind: 'set-media', bridge: id, media });
      },
      start: () => {
        send({ kind: 'start', bridge: id });
      },
      close: () => {
        send({ kind: 'close', bridge: id });
      },
    };
  }

  stop(): Promise<void> {
    for (const bridge of this.#bridges.values()) bridge.handle({ kind: 'close', bridge: bridge.id });
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
      this.#resolveIfEmpty();
    });
  }

  #forget(id: BridgeId): void {
    this.#bridges.delete(id);
    this.#resolveIfEmpty();
  }

  #resolveIfEmpty(): void {
    if (this.#bridges.size === 0) this.#onEmpty?.();
  }
}
