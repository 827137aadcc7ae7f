/** The three base values of RFC 3261 section 17.1.1.1, in milliseconds. */
export interface SipTimerBase {
  /** Round-trip time estimate. */
  readonly t1Ms: number;
  /** Longest interval between retransmissions of non-INVITE requests and of INVITE responses. */
  readonly t2Ms: number;
  /** Longest time a message stays in the network. */
  readonly t4Ms: number;
}

const DEFAULT_TIMER_BASE: SipTimerBase = { t1Ms: 500, t2Ms: 4_000, t4Ms: 5_000 };

/**
 * The timers by their RFC letters (RFC 3261 table 4, RFC 6026 section 8.1), in milliseconds.
 * A, E and G start at T1 and double: A without a ceiling, E and G up to T2. They are absent here.
 */
export interface SipTimers extends SipTimerBase {
  /** B, F, H, J, L and M are all 64·T1: how long a transaction waits for the other side. */
  readonly timerBMs: number;
  readonly timerFMs: number;
  readonly timerHMs: number;
  readonly timerJMs: number;
  readonly timerLMs: number;
  readonly timerMMs: number;
  /**
   * A proxy's timer C (RFC 3261 section 16.6, more than three minutes), restarted by each provisional response. The RFC
   * has no limit for a UAC; here it ends a transaction whose peer rings without end.
   */
  readonly timerCMs: number;
  /** At least 32 s on UDP, 0 on a reliable transport. */
  readonly timerDMs: number;
  readonly timerIMs: number;
  readonly timerKMs: number;
}

export function sipTimers(base: Partial<SipTimerBase> = {}): SipTimers {
  const { t1Ms, t2Ms, t4Ms } = { ...DEFAULT_TIMER_BASE, ...base };
  const timeoutMs = 64 * t1Ms;
  return {
    t1Ms,
    t2Ms,
    t4Ms,
    timerBMs: timeoutMs,
    timerCMs: 400 * t1Ms,
    timerDMs: timeoutMs,
    timerFMs: timeoutMs,
    timerHMs: timeoutMs,
    timerIMs: t4Ms,
    timerJMs: timeoutMs,
    timerKMs: t4Ms,
    timerLMs: timeoutMs,
    timerMMs: timeoutMs,
  };
}
