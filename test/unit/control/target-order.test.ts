import { describe, expect, it } from 'vitest';
import type { Target } from '../../../src/config/types.js';
import { CallTargets } from '../../../src/control/routing/call-targets.js';
import { TargetBreaker } from '../../../src/control/routing/target-breaker.js';
import { FakeClock } from '../../support/fake-clock.js';
import { seededRandom } from '../../support/signal.js';
import { agent } from '../../support/targets.js';

const DRAWS = 20_000;

const named = (agentId: string, weight?: number): Target => agent(agentId, weight === undefined ? {} : { weight });

const options = { breaker: new TargetBreaker(), clock: new FakeClock(), callerLaw: 'mulaw' } as const;
const about = { callSid: 'call-7', customParameters: {} };

/** The order in which a call tries these targets. */
function order(targets: readonly Target[], random: () => number): string {
  const route = { name: 'main', match: { default: true }, targets, onAgentEnd: 'hangup' } as const;
  const ofCall = new CallTargets(route, { ...options, about, random });
  const names: (string | undefined)[] = [];
  for (let next = ofCall.next(); next; next = ofCall.next()) names.push(next.target.agentId);
  return names.join('');
}

/** How often each order was drawn, as parts of one. */
function drawn(targets: readonly Target[], seed = 1): (wanted: string) => number {
  const random = seededRandom(seed);
  const orders = Array.from({ length: DRAWS }, () => order(targets, random));
  return (wanted) => orders.filter((each) => each.startsWith(wanted)).length / DRAWS;
}

describe("the order of a route's targets", () => {
  it('keeps the order as written where no target has a weight, and draws nothing', () => {
    const draw = (): number => {
      throw new Error('nothing to draw');
    };
    expect(order([named('c'), named('a'), named('b')], draw)).toBe('cab');
  });

  it('draws the first with the weights as odds', () => {
    const share = drawn([named('a', 90), named('b', 9), named('c', 1)]);
    expect(share('a')).toBeCloseTo(0.9, 2);
    expect(share('b')).toBeCloseTo(0.09, 2);
    expect(share('c')).toBeCloseTo(0.01, 2);
  });

  it('draws those behind it with the odds that are left', () => {
    const share = drawn([named('a', 2), named('b', 1), named('c', 1)]);
    expect(share('abc')).toBeCloseTo(0.25, 1.5);
    expect(share('bac')).toBeCloseTo(0.25 * (2 / 3), 1.5);
    expect(share('cab')).toBeCloseTo(0.25 * (2 / 3), 1.5);
    expect(share('cba')).toBeCloseTo(0.25 * (1 / 3), 1.5);
  });

  it('takes 1 for the weight of a target without one', () => {
    const share = drawn([named('a', 3), named('b')]);
    expect(share('a')).toBeCloseTo(0.75, 1.5);
    expect(share('ba')).toBeCloseTo(0.25, 1.5);
  });

  it('tries a target of weight 0 only when the others have failed', () => {
    const share = drawn([named('z', 0), named('a', 1), named('b', 0.001)]);
    expect(share('z')).toBe(0);
    expect(share('abz') + share('baz')).toBe(1);
  });

  it('keeps targets of weight 0 in the order they were written in', () => {
    const share = drawn([named('x', 0), named('a', 5), named('y', 0), named('b', 5)]);
    expect(share('abxy') + share('baxy')).toBe(1);
    expect(order([named('x', 0), named('y', 0)], () => 0.999_999)).toBe('xy');
  });

  it.each([0, 0.5, 1 - Number.EPSILON / 2])('names every target once when %d is drawn', (number) => {
    const targets = [named('a', 0.1), named('b', 0.2), named('c', 0), named('d', 0.3), named('e', 1e-9)];
    expect(
      order(targets, () => number)
        .split('')
        .sort(),
    ).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(order(targets, () => number)).not.toMatch(/^c/);
  });

  it('leaves the list it was given alone', () => {
    const targets = Object.freeze([named('a', 1), named('b', 9)]);
    order(targets, () => 0.9);
    expect(targets.map(({ agentId }) => agentId)).toEqual(['a', 'b']);
  });
});
