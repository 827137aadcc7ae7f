import { systemWallMs, type Clock } from '../../clock.js';
import type { Logger } from '../../logger.js';
import { BridgeHandles } from './bridge-handles.js';
import { BridgeHost, type BridgeHostSettings, type HeldByBridges } from './bridge-host.js';
import type { BridgeEvent, BridgeHandle, BridgePool } from '../messages.js';

/** Bridges on this thread. */
export class LocalBridgePool implements BridgePool {
  readonly #host: BridgeHost;
  readonly #handles: BridgeHandles;
  #lastId = 0;

  constructor(settings: BridgeHostSettings, clock: Clock, logger: Logger, wallMs: () => number = systemWallMs) {
    this.#host = new BridgeHost(settings, {
      clock,
      wallMs,
      logger,
      emit: (event) => this.#handles.deliver(event),
    });
    this.#handles = new BridgeHandles((command) => this.#host.handle(command));
  }

  get active(): number {
    return this.#handles.active;
  }

  get held(): HeldByBridges {
    return this.#host.held;
  }

  configure(settings: BridgeHostSettings): void {
    this.#host.configure(settings);
  }

  open(onEvent: (event: BridgeEvent) => void): BridgeHandle {
    return this.#handles.open(++this.#lastId, onEvent);
  }

  stop(): Promise<void> {
    return this.#handles.closeAll();
  }
}
