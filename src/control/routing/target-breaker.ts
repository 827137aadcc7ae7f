import type { AgentEnding } from '../../pranthora/endings.js';

/** Failures in a row after which a target is left alone for a while. */
const MAX_FAILURES = 3;
const FIRST_PAUSE_MS = 5_000;
const MAX_PAUSE_MS = 60_000;
/** The pause of a target that is the only way a call has: nothing is won by sparing it any longer. */
const ONLY_WAY_PAUSE_MS = 1_000;

interface TargetState {
  failures: number;
  pauseMs: number;
  openUntilMs: number;
  lastTriedAtMs: number;
  /** One call tries whether the target is back; the others do not wait for it. */
  trying: boolean;
  last: AgentEnding;
}

/**
 * A circuit breaker for each target (agent at an address, in one mode): when it could not be reached several times in a
 * row, calls go to the next target at once instead of waiting for `connectTimeoutMs` each, and only one call in a while
 * tries it. A call that has no other way tries it when a second has passed since the last one did.
 * Faults of configuration are answered in milliseconds and do not count.
 */
export class TargetBreaker {
  readonly #states = new Map<string, TargetState>();

  /** Undefined when the target may be tried; otherwise why it may not. A call let through tells how it went. */
  whyClosedOff(key: string, nowMs: number): AgentEnding | undefined {
    const state = this.#states.get(key);
    if (!state || state.failures < MAX_FAILURES) return undefined;
    return letThroughIf(nowMs >= state.openUntilMs && !state.trying, state, nowMs);
  }

  /** The same for a call that has no other way than this target. */
  whyBarred(key: string, nowMs: number): AgentEnding | undefined {
    const state = this.#states.get(key);
    if (!state || state.failures < MAX_FAILURES) return undefined;
    return letThroughIf(nowMs - state.lastTriedAtMs >= ONLY_WAY_PAUSE_MS, state, nowMs);
  }

  /**
   * Whether it is known to be unreachable, without trying it. Not for long after the last attempt: where nothing is sent to
   * who says so, there is no other.
   */
  isAway(key: string, nowMs: number): boolean {
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
    // Of several calls that were waiting for it at once only the first says something new: one outage, one pause.
    if (state.failures < MAX_FAILURES || nowMs < state.openUntilMs) return;
    state.pauseMs = Math.min(MAX_PAUSE_MS, state.pauseMs === 0 ? FIRST_PAUSE_MS : state.pauseMs * 2);
    state.openUntilMs = nowMs + state.pauseMs;
  }
}

function letThroughIf(isTime: boolean, state: TargetState, nowMs: number): AgentEnding | undefined {
  if (!isTime) return closedOff(state);
  state.trying = true;
  state.lastTriedAtMs = nowMs;
  return undefined;
}

function closedOff({ failures, last }: TargetState): AgentEnding {
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
