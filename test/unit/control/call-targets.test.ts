import { beforeEach, describe, expect, it } from 'vitest';
import type { Route, Target } from '../../../src/config/types.js';
import { CallTargets } from '../../../src/control/routing/call-targets.js';
import { TargetBreaker } from '../../../src/control/routing/target-breaker.js';
import type { AgentEnding } from '../../../src/pranthora/endings.js';
import { FakeClock } from '../../support/fake-clock.js';
import { agent, workflow } from '../../support/targets.js';

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
    onAgentEnd: 'hangup',
    ...changes,
  };
}

const targetsOf = (taken: Route, random = (): number => 0): CallTargets =>
  new CallTargets(taken, { breaker, clock, random, about: ABOUT, callerLaw: 'alaw' });

/** Three calls find an agent unreachable. */
function closeOff(agentId: string): void {
  for (let i = 0; i < 3; i++) {
    const targets = targetsOf(route([agent(agentId)]));
    targets.next();
    targets.failed(UNREACHABLE);
  }
}

describe('CallTargets', () => {
  it('says everything there is to know for connecting, and nothing of weights', () => {
    const targets = targetsOf(route([agent('a', { weight: 3, mode: 'telephony', encoding: 'alaw' })]));
    expect(targets.next()).toEqual({
      mode: 'telephony',
      baseUrl: 'wss://pranthora.example',
      target: { agentId: 'a' },
      apiKeys: ['key'],
      encoding: 'alaw',
      callSid: 'call-7',
      customParameters: { from: 'alice' },
    });
  });

  it('gives workflows and agents in order, then none', () => {
    const targets = targetsOf(route([agent('a'), workflow('w')]));
    const given = [targets.next(), targets.next(), targets.next(), targets.next()];
    expect(given.map((address) => address?.target)).toEqual([
      { agentId: 'a' },
      { workflowId: 'w' },
      undefined,
      undefined,
    ]);
  });

  it('tells the current one: the first before any, the last when there is none left', () => {
    const targets = targetsOf(route([agent('a'), agent('b')]));
    const current = [targets.current];
    for (let i = 0; i < 4; i++) {
      targets.next();
      current.push(targets.current);
    }
    expect(current.map((target) => target?.agentId)).toEqual(['a', 'a', 'b', 'b', 'b']);
  });

  it('draws the order once a call', () => {
    const weighted = route([agent('a', { weight: 1 }), agent('b', { weight: 99 })]);
    const numbers = [0.5, 0];
    const targets = targetsOf(weighted, () => numbers.shift() ?? 0);
    expect([targets.next()?.target, targets.next()?.target]).toEqual([{ agentId: 'b' }, { agentId: 'a' }]);
    expect(numbers).toEqual([]);
  });

  it('remembers why the last one did not take the call', () => {
    const targets = targetsOf(route([agent('a')]));
    targets.next();
    targets.failed(UNREACHABLE);
    expect(targets.next()).toBeUndefined();
    expect(targets.lastEnding).toBe(UNREACHABLE);
  });

  it('leaves out a target that is closed off, and takes the next', () => {
    closeOff('a');
    const targets = targetsOf(route([agent('a'), agent('b')]));
    expect(targets.next()?.target).toEqual({ agentId: 'b' });
    expect(targets.current?.agentId).toBe('b');
  });

  it('has nobody to offer, and says why, when all are closed off', () => {
    closeOff('a');
    closeOff('b');
    const targets = targetsOf(route([agent('a'), agent('b')]));
    expect(targets.next()).toBeUndefined();
    expect(targets.lastEnding).toMatchObject({
      kind: 'unreachable',
      detail: expect.stringMatching(/^not tried/) as string,
    });
  });

  it('keeps the same agent at another address or in another mode, and a workflow of the same name, apart', () => {
    closeOff('a');
    expect(targetsOf(route([agent('a', { url: 'wss://other.example' })])).next()).toBeDefined();
    expect(targetsOf(route([agent('a', { mode: 'handshake' })])).next()).toBeDefined();
    expect(targetsOf(route([workflow('a')])).next()).toBeDefined();
    expect(targetsOf(route([agent('a')], { name: 'another route' })).next()).toBeUndefined();
  });

  it('tries again after the pause, one call alone, and all of them once that went well', () => {
    closeOff('a');
    const only = route([agent('a')]);
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
    const only = route([agent('a')]);
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
    const only = route([agent('a')]);
    const trying = targetsOf(only);
    trying.next();
    const refused = targetsOf(only);
    refused.next();
    refused.release();
    expect(targetsOf(only).next()).toBeUndefined();
  });

  describe('the only way a call has', () => {
    const isTried = (taken: Route): boolean => targetsOf(taken).next() !== undefined;

    it('is tried once a second, however long it has been unreachable', () => {
      const only = route([agent('a')]);
      for (let attempt = 0; attempt < 40; attempt++) {
        clock.advance(1_000);
        const targets = targetsOf(only);
        expect(targets.next()).toBeDefined();
        targets.failed(UNREACHABLE);
        clock.advance(999);
        if (attempt >= 2) expect(isTried(only)).toBe(false);
        clock.advance(1);
      }
    });

    it('is tried although another call is still waiting for it', () => {
      closeOff('a');
      clock.advance(1_000);
      expect(isTried(route([agent('a')]))).toBe(true);
      clock.advance(1_000);
      expect(isTried(route([agent('a')]))).toBe(true);
    });

    it('is what has been left out, once the others have failed', () => {
      closeOff('a');
      clock.advance(1_000);
      const targets = targetsOf(route([agent('a'), agent('b')]));
      expect(targets.next()?.target).toEqual({ agentId: 'b' });
      targets.failed(UNREACHABLE);
      expect(targets.next()?.target).toEqual({ agentId: 'a' });
      expect(targets.current?.agentId).toBe('a');
      targets.failed(UNREACHABLE);
      expect(targets.next()).toBeUndefined();
    });

    it('is a refusal with a status of the operator’s, but not a redirection', () => {
      closeOff('a');
      clock.advance(1_000);
      expect(isTried(route([agent('a')], { fallback: { redirect: 'sip:desk@pbx.example' } }))).toBe(false);
      expect(isTried(route([agent('a')], { fallback: { reject: 486 } }))).toBe(true);
    });
  });

  it('says when to come again, as Pranthora said', () => {
    for (let i = 0; i < 3; i++) {
      const targets = targetsOf(route([agent('a')]));
      targets.next();
      targets.failed({ ...UNREACHABLE, retryAfterSec: 30 });
    }
    const targets = targetsOf(route([agent('a')]));
    expect(targets.next()).toBeUndefined();
    expect(targets.lastEnding).toMatchObject({ retryAfterSec: 30 });
  });

  it('speaks the caller’s law where it is to, and each target in its own way', () => {
    const targets = targetsOf(
      route([
        agent('a', { mode: 'handshake', encoding: 'auto' }),
        workflow('w', { mode: 'telephony', url: 'ws://other.example', apiKeys: ['k1', 'k2'] }),
      ]),
    );
    expect(targets.next()).toMatchObject({ mode: 'handshake', encoding: 'alaw', apiKeys: ['key'] });
    expect(targets.next()).toMatchObject({
      mode: 'telephony',
      encoding: 'mulaw',
      baseUrl: 'ws://other.example',
      apiKeys: ['k1', 'k2'],
    });
  });
});

describe('keys after a reload', () => {
  const keys = (value: string): { apiKeys: string[] } => ({ apiKeys: [value] });

  it('are those of the same target on the route of the same name, for the one talking and those to come', () => {
    const targets = targetsOf(route([agent('a', keys('old-a')), agent('b', keys('old-b'))]));
    targets.next();
    const next = route([agent('b', keys('new-b')), agent('a', keys('new-a'))]);
    expect(targets.renewKeys([route([agent('a', keys('other'))], { name: 'other' }), next])).toEqual(['new-a']);
    expect(targets.next()).toMatchObject({ target: { agentId: 'b' }, apiKeys: ['new-b'] });
  });

  it('are those of the route’s other agent, or of another route’s same one, where it is gone', () => {
    const targets = targetsOf(route([agent('a', keys('old'))]));
    expect(targets.renewKeys([route([agent('c', keys('new'))])])).toEqual(['new']);
    expect(targets.renewKeys([route([agent('a', keys('moved'))], { name: 'other' })])).toEqual(['moved']);
  });

  it('stay where nothing is left of it, and never go to another URL', () => {
    const targets = targetsOf(route([agent('a', keys('old'))]));
    expect(targets.renewKeys([route([agent('b', keys('new'))], { name: 'other' })])).toEqual(['old']);
    expect(targets.renewKeys([route([agent('a', { ...keys('new'), url: 'wss://other.example' })])])).toEqual(['old']);
    expect(targets.renewKeys([])).toEqual(['old']);
  });
});
