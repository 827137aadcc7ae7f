import type { StopTimer, AgentClock } from '../environment.js';

export interface SessionTimerOptions {
  readonly clock: AgentClock;
  /** The session has to be refreshed by us now. Call `agree` or `retry` next; otherwise the session expires. */
  readonly refresh: () => void;
  /** The session was not refreshed: it is to be ended with a BYE. */
  readonly expired: () => void;
}

/** RFC 4028 section 10: the BYE is sent at most this long before the session expires. */
const MAX_EARLY_MS = 32_000;

/** With less than this part of the interval left, another refresh would be too late. */
const LAST_TRY = 1 / 16;

/** The session timer of one dialog (RFC 4028 section 10): one timer, for the next refresh or for the end. */
export class SessionTimer {
  /** The largest Min-SE in a 422 of the peer, in seconds. */
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

  /** A session refresh request has its 2xx: the interval starts again. */
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
   * A refresh failed or was refused: it is tried again after `delayMs`, by default after half of the remaining time, unless
   * too little time is left.
   */
  retry(delayMs?: number): void {
    if (this.#stopped) return;
    const leftMs = this.#endsAtMs - this.#options.clock.nowMs();
    const waitMs = delayMs ?? leftMs / 2;
    if (waitMs < leftMs && leftMs > this.#intervalS * 1_000 * LAST_TRY) this.#refreshAfter(waitMs);
  }

  /** Neither callback is called any more. */
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
