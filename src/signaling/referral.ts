import type { CancelTimer, Clock } from '../clock.js';
import type { ReferOptions, ReferOutcome } from './sip-endpoint.js';
import { parseSipFragment } from './sipfrag.js';

/**
 * One REFER of ours and its implicit subscription (RFC 3515). Pure but for its timer: it is given the response and the
 * NOTIFYs, and settles `outcome` once.
 */
export class Referral {
  readonly outcome: Promise<ReferOutcome>;
  readonly #options: ReferOptions;
  readonly #cancelTimer: CancelTimer;
  #resolve: (outcome: ReferOutcome) => void = () => undefined;
  #settled = false;
  /** The status reported last: a repeated one is not reported again. */
  #lastStatus = 0;

  constructor(clock: Clock, options: ReferOptions) {
    this.#options = options;
    this.outcome = new Promise((resolve) => (this.#resolve = resolve));
    this.#cancelTimer = clock.after(options.timeoutMs, () =>
      this.#fail(`the transfer was not completed within ${options.timeoutMs} ms`),
    );
  }

  /** A response to the REFER. `willNotify`: false when the peer sends no NOTIFY (`Refer-Sub: false`). */
  onResponse(status: number, reason: string, willNotify: boolean): void {
    if (status < 200 || this.#settled) return;
    if (status >= 300) {
      this.#fail(`the REFER was answered with ${words(status, reason)}`);
      return;
    }
    this.#progress(status);
    // RFC 4488 section 4: the peer accepted the REFER and will not report its outcome.
    if (!willNotify)
      this.#settle({ transferred: true, detail: `the REFER was answered with ${words(status, reason)}` });
  }

  /** The body of a NOTIFY. An unreadable one is ignored. */
  onNotify(body: string): void {
    const fragment = parseSipFragment(body);
    if (!fragment || this.#settled) return;
    const { status, reason } = fragment;
    const detail = `the transfer was answered with ${words(status, reason)}`;
    if (status >= 300) {
      this.#fail(detail);
      return;
    }
    this.#progress(status);
    if (status >= 200) this.#settle({ transferred: true, detail });
  }

  /** The dialog is over, or the REFER could not be sent. */
  abandon(detail: string): void {
    this.#fail(detail);
  }

  #progress(status: number): void {
    if (status === this.#lastStatus) return;
    this.#lastStatus = status;
    this.#options.onProgress(status);
  }

  #fail(detail: string): void {
    this.#settle({ transferred: false, detail });
  }

  #settle(outcome: ReferOutcome): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#cancelTimer();
    this.#resolve(outcome);
  }
}

const words = (status: number, reason: string): string => `${status} ${reason}`.trim();
