import type { AgentEnding } from './endings.js';

export interface ReconnectLimits {
  /** Attempts in a row that may fail before the agent counts as lost. */
  readonly maxAttempts: number;
  readonly initialDelayMs: number;
  readonly maxDelayMs: number;
}

/**
 * How long to wait before connecting again, or that there is no point in it.
 *
 * Waits double from `initialDelayMs` up to `maxDelayMs`, each jittered between half and all of it, so that the calls
 * of one outage do not come back in one wave. A session that Pranthora ended at its time limit comes back at once.
 *
 * @param attempts attempts made since the agent last streamed for a while; 0 right after that.
 * @param random a number in [0, 1).
 */
export function reconnectDelayMs(
  attempts: number,
  ending: AgentEnding,
  limits: ReconnectLimits,
  random: () => number,
): number | 'give-up' {
  if (ending.kind === 'agent-hangup' || ending.kind === 'configuration') return 'give-up';
  if (ending.kind === 'session-timeout' && attempts === 0) return 0;
  if (attempts >= limits.maxAttempts) return 'give-up';
  const ceilingMs = Math.min(limits.maxDelayMs, limits.initialDelayMs * 2 ** attempts);
  return ceilingMs * (0.5 + random() / 2);
}
