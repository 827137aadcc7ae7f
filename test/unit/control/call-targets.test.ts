import { beforeEach, describe, expect, it } from 'vitest';
import type { Route, Target } from '../../../src/config/types.js';
import { CallTargets } from '../../../src/control/call-targets.js';
import { TargetBreaker } from '../../../src/control/target-breaker.js';
import type { AgentEnding } from '../../../src/pranthora/endings.js';
import { FakeClock } from '../../support/fake-clock.js';

const UNREACHABLE: AgentEnding = { kind: 'unreachable', detail: 'connection refused [ECONNREFUSED]' };
const ABOUT = { callSid: 'call-7', customParameters: { from: 'alice' } };

let clock: FakeClock;
let breaker: TargetBreaker;

beforeEach(() => {
  clock = new FakeClock();
  breaker = new TargetBreaker();
});

function route(targets: readonly Target[], changes: Partial<Route> = {}): Route {
  return {
    name: 'main',
    match: { default: true },
    targets,
    mode: 'telephony',
    encoding: 'alaw',
    apiKey: 'key',
    url: 'wss://pranthora.example',
    onAgentEnd: 'hangup',
    ...changes,
  };
}

const targetsOf = (taken: Route, random = (): number => 0): CallTargets =>
  new CallTargets(taken, { breaker, clock, random, about: ABOUT });

/** Three calls find an agent unreachable. */
function closeOff(agentId: string, url?: string): void {
  for (let i = 0; i < 3; i++) {
    const targets = targetsOf(route([{ agentId }], url === undefined ? {} : { url }));
    targets.next();
    targets.failed(UNREACHABLE);
  }
}

describe('CallTargets', () => {
  it('says everything there is to know for connecting, and nothing of weights', () => {
    const targets = targetsOf(route([{ agentId: 'a', weight: 3 }]));
    expect(targets.next()).toEqual({
      mode: 'telephony',
      baseUrl: 'wss://pranthora.example',
      target: { agentId: 'a' },
      apiKey: 'key',
      encoding: 'alaw',
      callSid: 'call-7',
      customParameters: { from: 'alice' },
    });
  });

  it('gives workflows and agents in order, then none', () => {
    const targets = targetsOf(route([{ agentId: 'a' }, { workflowId: 'w' }]));
    const given = [targets.next(), targets.next(), targets.next(), targets.next()];
    expect(given.map((address) => address?.target)).toEqual([
      { agentId: 'a' },
      { workflowId: 'w' },
      undefined,
      undefined,
    ]);
  });

  it('tells the current one: the first before any, the last when there is none left', () => {
    const targets = targetsOf(route([{ agentId: 'a' }, { agentId: 'b' }]));
    const current = [targets.current];
    for (let i = 0; i < 4; i++) {
      targets.next();
      current.push(targets.current);
    }
    expect(current.map((target) => target?.agentId)).toEqual(['a', 'a', 'b', 'b', 'b']);
  });

  it('draws the order once a call', () => {
    const weighted = route([
      { agentId: 'a', weight: 1 },
      { agentId: 'b', weight: 99 },
    ]);
    const numbers = [0.5, 0];
    const targets = targetsOf(weighted, () => numbers.shift() ?? 0);
    expect([targets.next()?.target, targets.next()?.target]).toEqual([{ agentId: 'b' }, { agentId: 'a' }]);
    expect(numbers).toEqual([]);
  });

  it('remembers why the last one did not take the call', () => {
    const targets = targetsOf(route([{ agentId: 'a' }]));
    targets.next();
    targets.failed(UNREACHABLE);
    expect(targets.next()).toBeUndefined();
    expect(targets.lastEnding).toBe(UNREACHABLE);
  });

  it('leaves out a target that is closed off, and takes the next', () => {
    closeOff('a');
    const targets = targetsOf(route([{ agentId: 'a' }, { agentId: 'b' }]));
    expect(targets.next()?.target).toEqual({ agentId: 'b' });
    expect(targets.current).toEqual({ agentId: 'b' });
  });

  it('has nobody to offer, and says why, when all are closed off', () => {
    closeOff('a');
    closeOff('b');
    const targets = targetsOf(route([{ agentId: 'a' }, { agentId: 'b' }]));
    expect(targets.next()).toBeUndefined();
    expect(targets.lastEnding).toMatchObject({
      kind: 'unreachable',
      detail: expect.stringMatching(/^not tried/) as string,
    });
  });

  it('keeps the same agent at another address, and a workflow of the same name, apart', () => {
    closeOff('a');
    expect(targetsOf(route([{ agentId: 'a' }], { url: 'wss://other.example' })).next()).toBeDefined();
    expect(targetsOf(route([{ workflowId: 'a' }])).next()).toBeDefined();
    expect(targetsOf(route([{ agentId: 'a' }], { name: 'another route' })).next()).toBeUndefined();
  });

  it('tries again after the pause, one call alone, and all of them once that went well', () => {
    closeOff('a');
    const only = route([{ agentId: 'a' }]);
    clock.advance(5_000);
    const first = targetsOf(only);
    expect([first.next(), targetsOf(only).next()].map((address) => address !== undefined)).toEqual([true, false]);
    first.succeeded();
    first.release();
    expect(targetsOf(only).next()).toBeDefined();
    expect(targetsOf(only).next()).toBeDefined();
  });

  it('lets the next call try when the one that did was given up by its caller', () => {
    closeOff('a');
    const only = route([{ agentId: 'a' }]);
    clock.advance(5_000);
    const first = targetsOf(only);
    first.next();
    first.release();
    first.release();
    expect([targetsOf(only).next(), targetsOf(only).next()].map((address) => address !== undefined)).toEqual([
      true,
      false,
    ]);
  });

  it('says nothing about a target it has not been let to', () => {
    closeOff('a');
    clock.advance(5_000);
    const only = route([{ agentId: 'a' }]);
    const trying = targetsOf(only);
    trying.next();
    const refused = targetsOf(only);
    refused.next();
    refused.release();
    expect(targetsOf(only).next()).toBeUndefined();
  });
});
