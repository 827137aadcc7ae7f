import type { AgentEnding } from '../../pranthora/endings.js';

/** Failures in a row that open the breaker: the target is not tried for a while. */
const MAX_FAILURES = 3;
const FIRST_PAUSE_MS = 5_000;
const MAX_PAUSE_MS = 60_000;
/** The pause of a target that is the last one a call has. */
const ONLY_WAY_PAUSE_MS = 1_000;

interface TargetState {
  failures: number;
  pauseMs: number;
  openUntilMs: number;
  lastTriedAtMs: number;
  /** The breaker is half-open: one call tries whether the target is back, and the others do not wait for it. */
  trying: boolean;
  last: AgentEnding;
}

/**
 * A circuit breaker for each target (agent at an address, in one mode). When the target could not be reached several times
 * in a row, calls go to the next one at once instead of waiting for `connectTimeoutMs` each, and from time to time one call
 * tries it. A call without another target tries it when a second has passed since the last attempt.
 * Configuration faults are answered within milliseconds and do not count.
 */
export class TargetBreaker {
  readonly #states = new Map<string, TargetState>();

  /** Undefined when the target may be tried, which must end in `succeeded`, `failed` or `abandoned`; else why not. */
  whyNotTried(key: string, nowMs: number): AgentEnding | undefined {
    const state = this.#states.get(key);
    if (!state || state.failures < MAX_FAILURES) return undefined;
    return letThroughIf(nowMs >= state.openUntilMs && !state.trying, state, nowMs);
  }

  /** The same for a call without another target. */
  whyNotTriedAsLast(key: string, nowMs: number): AgentEnding | undefined {
    const state = this.#states.get(key);
    if (!state || state.failures < MAX_FAILURES) return undefined;
    return letThroughIf(nowMs - state.lastTriedAtMs >= ONLY_WAY_PAUSE_MS, state, nowMs);
  }

  /**
   * Whether it is known to be unreachable, without trying it. For a few seconds after the last attempt only: a PBX whose
   * OPTIONS is refused for it sends no calls, and only a call tries the target again.
   */
  isUnreachable(key: string, nowMs: number): boolean {
    const state = this.#states.get(key);
    return state !== undefined && state.failures >= MAX_FAILURES && nowMs - state.lastTriedAtMs < FIRST_PAUSE_MS;
  }

  /** The target took a call. */
  succeeded(key: string): void {
    this.#states.delete(key);
  }

  /** The attempt ended without saying anything about the target: the caller gave up. */
  abandoned(key: string): void {
    const state = this.#states.get(key);
    if (state) state.trying = false;
  }

  failed(key: string, ending: AgentEnding, nowMs: number): void {
    if (ending.kind !== 'unreachable') {
      this.succeeded(key);
      return;
    }
    const state = this.#states.get(key) ?? newState(ending);
    this.#states.set(key, state);
    state.failures += 1;
    state.last = ending;
    state.lastTriedAtMs = nowMs;
    state.trying = false;
    // Of several calls that tried it at the same time only the first counts: one outage, one pause.
    if (state.failures < MAX_FAILURES || nowMs < state.openUntilMs) return;
    state.pauseMs = Math.min(MAX_PAUSE_MS, state.pauseMs === 0 ? FIRST_PAUSE_MS : state.pauseMs * 2);
    state.openUntilMs = nowMs + state.pauseMs;
  }
}

function letThroughIf(isTime: boolean, state: TargetState, nowMs: number): AgentEnding | undefined {
  if (!isTime) return endingOf(state);
  state.trying = true;
  state.lastTriedAtMs = nowMs;
  return undefined;
}

function endingOf({ failures, last }: TargetState): AgentEnding {
  const { detail, retryAfterSec } = last;
  return {
    kind: 'unreachable',
    detail: `not tried, unreachable ${failures} times in a row: ${detail}`,
    ...(retryAfterSec !== undefined && { retryAfterSec }),
  };
}

function newState(last: AgentEnding): TargetState {
  return { failures: 0, pauseMs: 0, openUntilMs: 0, lastTriedAtMs: 0, trying: false, last };
}
