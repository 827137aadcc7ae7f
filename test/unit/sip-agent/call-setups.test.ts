import { beforeEach, describe, expect, test } from 'vitest';
import { CallSetups } from '../../../src/sip-agent/call-setups.js';
import type { Flow } from '../../../src/sip-agent/flow.js';
import { FakeClock } from '../../support/fake-clock.js';
import { CollectingLogger } from '../../support/agent-rig.js';

const from = (address: string) => ({ remote: { address, port: 5060 } }) as Flow;
const PEER = from('192.0.2.1');

let logger: CollectingLogger;
let setups: CallSetups;

beforeEach(() => {
  logger = new CollectingLogger();
  setups = new CallSetups(new FakeClock(), logger);
});

const begin = (count: number, heard: boolean) => Array.from({ length: count }, () => setups.begin(PEER, heard));

describe('calls of a source never heard', () => {
  test('are 64 at most, pending and answered, until one is acknowledged or ends', () => {
    const calls = begin(63, false);
    calls[0]?.answered();
    expect(setups.admits(PEER, false)).toBe(true);
    const last = setups.begin(PEER, false);
    expect(setups.admits(PEER, false)).toBe(false);
    expect(setups.admits(from('192.0.2.2'), false)).toBe(true);
    last.over();
    last.over();
    last.answered();
    expect(setups.admits(PEER, false)).toBe(true);
    setups.begin(PEER, false);
    expect(setups.admits(PEER, false)).toBe(false);
    expect(logger.lines).toEqual([{ event: 'sip.unacknowledged_calls', address: '192.0.2.1', calls: 64 }]);
  });
});

describe('calls of a source that acknowledges', () => {
  test('are as many as come while they are pending', () => {
    begin(1_000, true);
    expect(setups.admits(PEER, true)).toBe(true);
  });

  test('are 128 at most that are answered and not acknowledged', () => {
    const calls = begin(200, true);
    for (const call of calls.slice(0, 128)) call.answered();
    expect(setups.admits(PEER, true)).toBe(false);
    for (const call of calls.slice(0, 50)) call.over();
    expect(setups.admits(PEER, true)).toBe(true);
    for (const call of calls) call.over();
    for (const call of begin(128, true)) call.answered();
    expect(setups.admits(PEER, true)).toBe(false);
  });
});
