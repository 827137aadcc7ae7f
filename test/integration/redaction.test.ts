import { afterEach, beforeEach, expect, it } from 'vitest';
import { echo } from '../../src/simulator/scenarios.js';
import { TestCaller } from '../../src/phone/test-caller.js';
import { BridgeUnderTest, SILENT_LOGGER } from '../support/bridge-under-test.js';

const NUMBER = '+15559876543';
const CALLER = '15551112222';

let under: BridgeUnderTest;
let caller: TestCaller;

beforeEach(async () => {
  under = await BridgeUnderTest.start({
    config: {
      log: { redactNumbers: true },
      pranthora: { customParameters: { headers: ['__proto__', 'constructor', 'Constructor', 'X-Tenant'] } },
    },
    routes: [
      { did: '1', agentId: 'echo', header: { name: 'constructor', value: 'x' } },
      { did: NUMBER, agentId: 'echo', mode: 'telephony', maxConcurrent: 1 },
    ],
    simulator: { scenarioFor: () => echo() },
  });
  caller = await TestCaller.start({ logger: SILENT_LOGGER, clock: under.clock });
});

afterEach(async () => {
  await caller.close();
  await under.stop();
});

it('tells neither /calls nor the peer a number, and no call fails for the name of a header', async () => {
  const place = (number: string): ReturnType<TestCaller['call']> =>
    caller.call(`sip:${number}@127.0.0.1:${under.port('udp')}`, { from: CALLER, headers: { 'X-Tenant': 'acme' } });
  const call = place(NUMBER);
  await call.answered;
  const body = await (await fetch(`${under.bridge.http}/calls`)).text();
  expect(body).toContain('"did":"+*********43"');
  expect(body).not.toMatch(/5559876|5551112/);
  // A route without a name is called after its number.
  const { reason } = await place(NUMBER).ended;
  expect(reason).toMatch(/^503.*of route did:\+\*{9}43 reached/);
  expect((await place('1').ended).reason).toMatch(/^404/);
  await call.hangUp();
});
