import { expect, it } from 'vitest';
import type { AgentEnding, AgentEndingKind } from '../../../src/pranthora/endings.js';
import { reconnectDelayMs } from '../../../src/pranthora/reconnect-policy.js';

const LIMITS = { maxAttempts: 8, initialDelayMs: 200, maxDelayMs: 5_000 };
const ending = (kind: AgentEndingKind): AgentEnding => ({ kind, detail: kind });

it.each(['agent-hangup', 'configuration'] as const)('gives up at once on %s', (kind) =>
  expect(reconnectDelayMs(0, ending(kind), LIMITS, () => 0)).toBe('give-up'),
);

it('comes back at once when a streaming session reached its time limit, whatever the limits', () =>
  expect(reconnectDelayMs(0, ending('session-timeout'), { ...LIMITS, maxAttempts: 0 }, () => 0.9)).toBe(0));

it('backs off from a server that times sessions out before they stream', () =>
  expect(reconnectDelayMs(1, ending('session-timeout'), LIMITS, () => 0)).toBe(200));

it.each(['unreachable', 'session-not-found'] as const)(
  'doubles the wait on %s up to the maximum, then gives up',
  (kind) => {
    const longest = Array.from({ length: 9 }, (_, attempts) =>
      reconnectDelayMs(attempts, ending(kind), LIMITS, () => 1),
    );
    expect(longest).toEqual([200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 'give-up']);
  },
);

it('jitters between half and all of the wait', () => {
  expect(reconnectDelayMs(0, ending('unreachable'), LIMITS, () => 0)).toBe(100);
  expect(reconnectDelayMs(0, ending('unreachable'), LIMITS, () => 0.5)).toBe(150);
});

it('stays a number however many attempts are allowed', () =>
  expect(reconnectDelayMs(5_000, ending('unreachable'), { ...LIMITS, maxAttempts: Infinity }, () => 1)).toBe(5_000));
