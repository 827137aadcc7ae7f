import { Worker } from 'node:worker_threads';
import type { Logger } from '../../logger.js';
import { BridgeHandles } from './bridge-handles.js';
import type { BridgeHostSettings, HeldByBridges } from './bridge-host.js';
import type { BridgeEvent, BridgeHandle, BridgeId } from '../messages.js';
import type { FromWorker, ToWorker } from './worker-messages.js';

const NOTHING_HELD: HeldByBridges = { ports: 0, ticking: 0 };

/** A packet lives for milliseconds: where the young are many, most are garbage. Three spaces of 2 MB hold some thousand. */
const RESOURCE_LIMITS = { maxYoungGenerationSizeMb: 6 };

/** One thread full of bridges, as the main thread has it. */
export class MediaWorker {
  readonly #thread: Worker;
  readonly #logger: Logger;
  readonly #onLost: () => void;
  readonly #handles: BridgeHandles;
  readonly #exited: Promise<void>;
  #onReady: (() => void) | undefined;
  #held = NOTHING_HELD;
  #fault: string | undefined;
  #stopping = false;

  /** `onLost` is told when the thread has ended without having been told to; its bridges have been told by then. */
  constructor(script: URL, settings: BridgeHostSettings, logger: Logger, onLost: () => void) {
    this.#logger = logger;
    this.#onLost = onLost;
    this.#thread = new Worker(script, { workerData: settings, resourceLimits: RESOURCE_LIMITS });
    this.#handles = new BridgeHandles((command) => this.#post({ kind: 'command', command }));
    this.#thread.on('message', (message: FromWorker) => this.#onMessage(message));
    this.#thread.on('error', (error) => {
      this.#fault = error instanceof Error ? (error.stack ?? error.message) : String(error);
    });
    this.#exited = new Promise((resolve) => {
      this.#thread.on('exit', () => {
        this.#onExit();
        resolve();
      });
    });
  }

  get active(): number {
    return this.#handles.active;
  }

  get held(): HeldByBridges {
    return this.#held;
  }

  /** Resolves when the thread takes commands; rejects when it has ended instead. */
  ready(): Promise<void> {
    const ready = new Promise<void>((resolve) => {
      this.#onReady = resolve;
    });
    const ended = this.#exited.then(() => {
      throw new Error(`a media worker could not be started: ${this.#detail}`);
    });
    return Promise.race([ready, ended]);
  }

  configure(settings: BridgeHostSettings): void {
    this.#post({ kind: 'configure', settings });
  }

  open(id: BridgeId, onEvent: (event: BridgeEvent) => void): BridgeHandle {
    return this.#handles.open(id, onEvent);
  }

  /** Closes its bridges and ends the thread. */
  async stop(): Promise<void> {
    await this.#handles.closeAll();
    this.#stopping = true;
    this.#post({ kind: 'stop' });
    await this.#exited;
  }

  get #detail(): string {
    return this.#fault ?? 'the thread has ended';
  }

  #post(message: ToWorker): void {
    this.#thread.postMessage(message);
  }

  #onMessage(message: FromWorker): void {
    switch (message.kind) {
      case 'ready':
        this.#onReady?.();
        break;
      case 'event':
        if (message.held) this.#held = message.held;
        this.#handles.deliver(message.event);
        break;
      case 'log':
        this.#logger[message.level](message.fields, message.message);
        break;
    }
  }

  #onExit(): void {
    this.#held = NOTHING_HELD;
    if (this.#stopping) return;
    this.#logger.error({ event: 'media.worker_lost', calls: this.active, detail: this.#detail });
    this.#handles.lose('the media worker of the call is gone');
    this.#onLost();
  }
}
