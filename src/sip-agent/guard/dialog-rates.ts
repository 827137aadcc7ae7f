import type { Dialog } from '../dialog/dialog.js';
import type { AgentLogger, AgentClock } from '../environment.js';
import { TokenBucket, type RateVerdict } from './token-bucket.js';

/** Requests a second in one dialog, twice as many in a burst: a hundred digits typed ahead, and a re-INVITE. */
const PER_SEC = 50;

/** Rate limit (token bucket) for the requests of each dialog. */
export class DialogRates {
  readonly #clock: AgentClock;
  readonly #logger: AgentLogger;
  readonly #buckets = new WeakMap<Dialog, TokenBucket>();
  #limited = 0;

  constructor(clock: AgentClock, logger: AgentLogger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Requests not accepted, since the start. */
  get limited(): number {
    return this.#limited;
  }

  judge(dialog: Dialog, address: string): RateVerdict {
    const nowMs = this.#clock.nowMs();
    const bucket = this.#buckets.get(dialog) ?? new TokenBucket(PER_SEC, nowMs);
    this.#buckets.set(dialog, bucket);
    const verdict = bucket.judge(nowMs);
    if (verdict !== 'take') {
      this.#limited += 1;
      const { callId } = dialog;
      if (bucket.mayLog(nowMs)) this.#logger.warn({ event: 'sip.rate_limited', address, callId, perSec: PER_SEC });
    }
    return verdict;
  }
}
