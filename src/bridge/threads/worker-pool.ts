import type { CancelTimer, Clock } from '../../clock.js';
import type { Logger } from '../../logger.js';
import { BridgeHandles } from './bridge-handles.js';
import type { BridgeHostSettings, HeldByBridges } from './bridge-host.js';
import { MediaWorker } from './media-worker.js';
import type { BridgeEvent, BridgeHandle, BridgeId, BridgePool } from '../messages.js';

/** A thread that is lost again at once must not keep the process busy with starting it. */
const RESTART_AFTER_MS = 1_000;

export interface WorkerPoolOptions {
  readonly workers: number;
  readonly settings: BridgeHostSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What the threads run. Default: `worker.js` beside this file. */
  readonly script?: URL;
}

/** One thread's place: its settings, and the thread that has it, unless it is being replaced. */
interface Seat {
  settings: BridgeHostSettings;
  worker: MediaWorker | undefined;
  cancelRestart?: CancelTimer;
}

/**
 * Bridges on threads of their own, so that neither SIP, JSON nor a log line ever holds up a packet. A call stays on the
 * thread it began on; a thread that dies takes its calls with it and is replaced.
 */
export class WorkerBridgePool implements BridgePool {
  readonly #options: WorkerPoolOptions;
  readonly #script: URL;
  readonly #seats: Seat[];
  #lastId = 0;
  #stopping = false;

  private constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.#script = options.script ?? new URL('./worker.js', import.meta.url);
    this.#seats = shares(options.settings, options.workers).map((settings) => ({ settings, worker: undefined }));
  }

  /** Resolves when every thread takes calls; rejects, with all of them ended, when one does not. */
  static async start(options: WorkerPoolOptions): Promise<WorkerBridgePool> {
    const pool = new WorkerBridgePool(options);
    const started = await Promise.allSettled(pool.#seats.map((seat) => pool.#fill(seat).ready()));
    const failed = started.find((each) => each.status === 'rejected');
    if (!failed) return pool;
    await pool.stop();
    throw failed.reason;
  }

  get active(): number {
    return this.#workers.reduce((sum, worker) => sum + worker.active, 0);
  }

  get held(): HeldByBridges {
    return this.#workers.reduce(
      (sum, { held }) => ({ ports: sum.ports + held.ports, ticking: sum.ticking + held.ticking }),
      { ports: 0, ticking: 0 },
    );
  }

  /** Settings of the bridges to come. The port range stays what it was. */
  configure(settings: BridgeHostSettings): void {
    for (const seat of this.#seats) {
      const { ports } = seat.settings.bridge;
      seat.settings = { ...settings, bridge: { ...settings.bridge, ports } };
      seat.worker?.configure(seat.settings);
    }
  }

  /** On the thread with the fewest calls. */
  open(onEvent: (event: BridgeEvent) => void): BridgeHandle {
    const id = ++this.#lastId;
    const [first, ...others] = this.#workers;
    if (!first) return noWorker(id, onEvent);
    return others.reduce((least, worker) => (worker.active < least.active ? worker : least), first).open(id, onEvent);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    for (const seat of this.#seats) seat.cancelRestart?.();
    await Promise.all(this.#workers.map((worker) => worker.stop()));
  }

  get #workers(): MediaWorker[] {
    return this.#seats.flatMap(({ worker }) => worker ?? []);
  }

  #fill(seat: Seat): MediaWorker {
    return (seat.worker = new MediaWorker(this.#script, seat.settings, this.#options.logger, () => {
      seat.worker = undefined;
      if (this.#stopping) return;
      seat.cancelRestart = this.#options.clock.after(RESTART_AFTER_MS, () => {
        this.#fill(seat);
      });
    }));
  }
}

/** Every thread gets a part of the port range that no other has, of whole pairs (RFC 3550 section 11). */
function shares(settings: BridgeHostSettings, workers: number): BridgeHostSettings[] {
  const { min, max } = settings.bridge.ports;
  const first = min + (min % 2);
  const pairs = Math.floor((max - first) / 2) + 1;
  const count = Math.max(1, Math.min(workers, pairs));
  return Array.from({ length: count }, (_, i) => {
    const from = first + 2 * Math.floor((i * pairs) / count);
    const upTo = first + 2 * Math.floor(((i + 1) * pairs) / count) - 1;
    return { ...settings, bridge: { ...settings.bridge, ports: { min: from, max: Math.min(upTo, max) } } };
  });
}

/** All threads are being replaced. */
function noWorker(id: BridgeId, onEvent: (event: BridgeEvent) => void): BridgeHandle {
  const handles = new BridgeHandles(() => undefined);
  queueMicrotask(() => handles.lose('no media worker is running'));
  return handles.open(id, onEvent);
}
