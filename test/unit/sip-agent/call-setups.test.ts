import { beforeEach, describe, expect, test } from 'vitest';
import { CallSetups } from '../../../src/sip-agent/dialog/call-setups.js';
import type { Flow } from '../../../src/sip-agent/transport/flow.js';
import { FakeClock } from '../../support/fake-clock.js';
import { CollectingLogger } from '../../support/agent-rig.js';

const from = (address: string) => ({ remote: { address, port: 5060 } }) as Flow;
const PEER = from('192.0.2.1');

let clock: FakeClock;
let logger: CollectingLogger;
let setups: CallSetups;

beforeEach(() => {
  logger = new CollectingLogger();
  clock = new FakeClock();
  setups = new CallSetups(clock, logger);
});

const begin = (count: number, heard: boolean) => Array.from({ length: count }, () => setups.begin(PEER, heard));

describe('calls of a source never heard', () => {
  test('are 64 at most, pending and answered, until one is acknowledged or ends', () => {
    const calls = begin(63, false);
    calls[0]?.answered();
    expect(setups.judge(PEER, false)).toBe('take');
    const last = setups.begin(PEER, false);
    expect(setups.judge(PEER, false)).toBe('ignore');
    expect(setups.judge(from('192.0.2.2'), false)).toBe('take');
    last.over();
    last.over();
    last.answered();
    expect(setups.judge(PEER, false)).toBe('take');
    setups.begin(PEER, false);
    expect(setups.judge(PEER, false)).toBe('ignore');
    expect(logger.lines).toEqual([]);
  });

  test('are to come again for 4 s, in which it may acknowledge the first, and refused after that', () => {
    const calls = begin(64, false);
    expect(setups.judge(PEER, false)).toBe('ignore');
    clock.advance(3_999);
    expect(setups.judge(PEER, false)).toBe('ignore');
    clock.advance(1);
    expect(setups.judge(PEER, false)).toBe('refuse');
    expect(setups.judge(PEER, true)).toBe('take');
    // One that times out is no reason to be patient again.
    calls[0]?.over();
    setups.begin(PEER, false);
    expect(setups.judge(PEER, false)).toBe('refuse');
    for (const call of calls) call.over();
    begin(63, false);
    expect(setups.judge(PEER, false)).toBe('ignore');
    expect(logger.lines).toEqual([{ event: 'sip.unacknowledged_calls', address: '192.0.2.1', calls: 64 }]);
  });
});

describe('calls of a source that acknowledges', () => {
  test('are as many as come while they are pending', () => {
    begin(1_000, true);
    expect(setups.judge(PEER, true)).toBe('take');
  });

  test('are 128 at most that are answered and not acknowledged', () => {
    const calls = begin(200, true);
    for (const call of calls.slice(0, 128)) call.answered();
    expect(setups.judge(PEER, true)).toBe('refuse');
    for (const call of calls.slice(0, 50)) call.over();
    expect(setups.judge(PEER, true)).toBe('take');
    for (const call of calls) call.over();
    for (const call of begin(128, true)) call.answered();
    expect(setups.judge(PEER, true)).toBe('refuse');
  });
});
