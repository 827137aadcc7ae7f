import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';
import type { SignalSource } from './io.js';

/** What runs until a signal ends it. */
export interface Daemon {
  /** Takes nothing new; resolves when nothing is left. */
  drain(): Promise<void>;
  /** Ends what is left and releases everything. */
  stop(): Promise<void>;
}

export interface SuperviseOptions {
  readonly signals: SignalSource;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Asked when the draining begins: a reload may have changed it. */
  drainMs(): number;
  /** SIGHUP. Must not throw. */
  reload(): void;
}

/** What does not stop within this time is left behind. */
const STOP_LIMIT_MS = 5_000;
const END_SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Lets the daemon run until SIGTERM or SIGINT, drains it for up to `drainMs`, stops it. Another such signal ends the
 * draining, and one more the stopping, at once. Resolves when the process may end.
 */
export async function supervise(daemon: Daemon, options: SuperviseOptions): Promise<void> {
  const { signals, clock, logger } = options;
  const ends = new SignalQueue(signals);
  const reload = (): void => options.reload();
  signals.on('SIGHUP', reload);
  try {
    const signal = await ends.next();
    const drainMs = options.drainMs();
    logger.info({ event: 'bridge.draining', signal, drainMs });
    await settledOr(daemon.drain(), drainMs);
    await settledOr(daemon.stop(), STOP_LIMIT_MS);
    logger.info({ event: 'bridge.stopped' });
  } finally {
    signals.off('SIGHUP', reload);
    ends.close();
  }

  /** Waits for `work`, but no longer than `limitMs`, nor beyond the next signal. */
  async function settledOr(work: Promise<void>, limitMs: number): Promise<void> {
    const settled = work.catch((error: unknown) =>
      logger.error({ event: 'bridge.fault', error }, 'the bridge did not end cleanly'),
    );
    let cancel = (): void => undefined;
    const limit = new Promise<void>((resolve) => (cancel = clock.after(limitMs, resolve)));
    await Promise.race([settled, limit, ends.next()]);
    cancel();
  }
}

/** Signals that ask for the end, each waited for in turn. Whoever waits longer than one wait shares it. */
class SignalQueue {
  readonly #signals: SignalSource;
  readonly #arrived: string[] = [];
  #waiting: ((signal: string) => void) | undefined;

  constructor(signals: SignalSource) {
    this.#signals = signals;
    for (const signal of END_SIGNALS) signals.on(signal, this.#take);
  }

  /** The next signal. A wait that was given up is replaced by the next one, and so takes no signal from it. */
  next(): Promise<string> {
    const arrived = this.#arrived.shift();
    if (arrived !== undefined) return Promise.resolve(arrived);
    return new Promise((resolve) => (this.#waiting = resolve));
  }

  close(): void {
    for (const signal of END_SIGNALS) this.#signals.off(signal, this.#take);
  }

  readonly #take = (signal: unknown): void => {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) waiting(String(signal));
    else this.#arrived.push(String(signal));
  };
}
