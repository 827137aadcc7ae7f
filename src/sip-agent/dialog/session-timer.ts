import type { StopTimer, AgentClock } from '../environment.js';

export interface SessionTimerOptions {
  readonly clock: AgentClock;
  /** It is our turn to refresh the session. Answered by `agree`, `retry` or nothing: then it ends at its time. */
  readonly refresh: () => void;
  /** Nobody has refreshed the session: it is to be ended with a BYE. */
  readonly expired: () => void;
}

/** RFC 4028 section 10: a session that nobody refreshed ends so long before it expires, at most. */
const MAX_EARLY_MS = 32_000;

/** With less of the interval left than this part of it, another refresh would come too late. */
const LAST_TRY = 1 / 16;

/** The session timer of one dialog (RFC 4028 section 10): at any moment it waits for one thing only. */
export class SessionTimer {
  /** The longest Min-SE the peer has refused a refresh with, in seconds. */
  minSeS = 0;
  readonly #options: SessionTimerOptions;
  #cancel: StopTimer = () => undefined;
  #intervalS = 0;
  #refresher: 'local' | 'remote' = 'remote';
  #endsAtMs = 0;
  #stopped = false;

  constructor(options: SessionTimerOptions) {
    this.#options = options;
  }

  /** In seconds. */
  get intervalS(): number {
    return this.#intervalS;
  }

  /** Which side refreshes. */
  get refresher(): 'local' | 'remote' {
    return this.#refresher;
  }

  /** A session refresh request has its 2xx: the interval begins anew. */
  agree(intervalS: number, refresher: 'local' | 'remote'): void {
    if (this.#stopped) return;
    const intervalMs = intervalS * 1_000;
    this.#intervalS = intervalS;
    this.#refresher = refresher;
    this.#endsAtMs = this.#options.clock.nowMs() + intervalMs - Math.min(MAX_EARLY_MS, intervalMs / 3);
    if (refresher === 'local') this.#refreshAfter(intervalMs / 2);
    else this.#awaitEnd();
  }

  /**
   * A refresh could not be made or was refused: it is tried again after `delayMs`, else after half of the time that is left,
   * unless that is too short for one.
   */
  retry(delayMs?: number): void {
    if (this.#stopped) return;
    const leftMs = this.#endsAtMs - this.#options.clock.nowMs();
    const waitMs = delayMs ?? leftMs / 2;
    if (waitMs < leftMs && leftMs > this.#intervalS * 1_000 * LAST_TRY) this.#refreshAfter(waitMs);
  }

  /** Nothing more is told. */
  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  #refreshAfter(delayMs: number): void {
    this.#setTimer(delayMs, () => {
      this.#awaitEnd();
      this.#options.refresh();
    });
  }

  #awaitEnd(): void {
    this.#setTimer(this.#endsAtMs - this.#options.clock.nowMs(), this.#options.expired);
  }

  #setTimer(delayMs: number, fire: () => void): void {
    this.#cancel();
    this.#cancel = this.#options.clock.after(delayMs, fire);
  }
}
