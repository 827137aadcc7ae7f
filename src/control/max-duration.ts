import type { CancelTimer, Clock } from '../clock.js';
import type { Report } from './call-reporter.js';

export interface MaxDurationOptions {
  readonly maxDurationMs: number;
  readonly clock: Clock;
  readonly report: Report;
  readonly onReached: () => void;
}

/** How long before its end `call.max_duration_near` is reported: a minute, or a tenth of a short call. */
const noticeMs = (maxDurationMs: number): number => Math.min(60_000, Math.round(maxDurationMs / 10));

/** The timer of `call.maxDurationMs`, from the answer on. It reports once before it fires. */
export class MaxDuration {
  readonly #options: MaxDurationOptions;
  #cancel: CancelTimer | undefined;

  constructor(options: MaxDurationOptions) {
    this.#options = options;
  }

  begin(): void {
    const { clock, maxDurationMs } = this.#options;
    this.#cancel = clock.after(maxDurationMs - noticeMs(maxDurationMs), () => this.#warn());
  }

  cancel(): void {
    this.#cancel?.();
  }

  #warn(): void {
    const { clock, report, maxDurationMs, onReached } = this.#options;
    const leftMs = noticeMs(maxDurationMs);
    report({ event: 'call.max_duration_near', leftMs });
    this.#cancel = clock.after(leftMs, onReached);
  }
}
