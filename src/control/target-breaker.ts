import type { AgentEnding } from '../pranthora/endings.js';

/** Failures in a row after which a target is left alone for a while. */
const MAX_FAILURES = 3;
const FIRST_PAUSE_MS = 5_000;
const MAX_PAUSE_MS = 60_000;

interface TargetState {
  failures: number;
  pauseMs: number;
  openUntilMs: number;
  /** One call tries whether the target is back; the others do not wait for it. */
  trying: boolean;
  last: AgentEnding;
}

/**
 * A circuit breaker for each target (agent at an address): when it could not be reached several times in a row, calls
 * go to the next target at once instead of waiting for `connectTimeoutMs` each, and only one call in a while tries it.
 * Faults of configuration are answered in milliseconds and do not count.
 */
export class TargetBreaker {
  readonly #states = new Map<string, TargetState>();

  /** Undefined when the target may be tried; otherwise why it may not. A call let through tells how it went. */
  whyClosedOff(key: string, nowMs: number): AgentEnding | undefined {
    const state = this.#states.get(key);
    if (!state || state.failures < MAX_FAILURES) return undefined;
    if (nowMs >= state.openUntilMs && !state.trying) {
      state.trying = true;
      return undefined;
    }
    return {
      kind: 'unreachable',
      detail: `not tried, unreachable ${state.failures} times in a row: ${state.last.detail}`,
    };
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
    state.trying = false;
    // Of several calls that were waiting for it at once only the first says something new: one outage, one pause.
    if (state.failures < MAX_FAILURES || nowMs < state.openUntilMs) return;
    state.pauseMs = Math.min(MAX_PAUSE_MS, state.pauseMs === 0 ? FIRST_PAUSE_MS : state.pauseMs * 2);
    state.openUntilMs = nowMs + state.pauseMs;
  }
}

const newState = (last: AgentEnding): TargetState => ({ failures: 0, pauseMs: 0, openUntilMs: 0, trying: false, last });
