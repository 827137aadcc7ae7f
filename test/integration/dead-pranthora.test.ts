import { afterEach, describe, expect, it } from 'vitest';
import type { SimulatorOptions } from '../../src/simulator/pranthora-simulator.js';
import { HostileServer } from '../contract/hostile-server.js';
import { BridgeUnderTest, type Section } from '../support/bridge-under-test.js';
import { measuresRealTime } from '../support/real-time.js';
import { OFFER, PeerCall } from '../support/sip-call.js';
import { UdpPeer, type SipText } from '../support/sip-peer.js';

measuresRealTime();

const CONNECT_TIMEOUT_MS = 300;
const CALLS = 20;
/** Those that wait, before the target is known to be dead. */
const WAITING = 3;
const AT_ONCE_MS = 50;

interface Refusal {
  readonly response: SipText;
  readonly tookMs: number;
}

let under: BridgeUnderTest | undefined;
/** Takes connections and never says a word. */
let blackHole: HostileServer | undefined;
let connections = 0;

afterEach(async () => {
  await under?.stop();
  await blackHole?.stop();
  under = blackHole = undefined;
});

async function start(route: Section, simulator: SimulatorOptions = {}): Promise<BridgeUnderTest> {
  connections = 0;
  blackHole = new HostileServer(() => (connections += 1));
  const url = await blackHole.start();
  under = await BridgeUnderTest.start({
    config: { pranthora: { connectTimeoutMs: CONNECT_TIMEOUT_MS, startTimeoutMs: CONNECT_TIMEOUT_MS } },
    routes: [{ did: '1000', ...(simulator.scenarioFor ? {} : { agentId: 'dead', url }), ...route }],
    simulator,
  });
  return under;
}

/** Places one call after the other; each is over, or answered and hung up, before the next. */
async function calls(bridge: BridgeUnderTest, expected: (call: number) => number): Promise<Refusal[]> {
  const port = bridge.port('udp');
  const peer = await UdpPeer.open({ address: '127.0.0.1', port });
  const results: Refusal[] = [];
  try {
    for (let n = 0; n < CALLS; n++) {
      const call = new PeerCall(peer, port);
      const sentAtMs = performance.now();
      call.invite({ body: OFFER });
      const response = await peer.next(`${expected(n)} INVITE`);
      results.push({ response, tookMs: performance.now() - sentAtMs });
      call.ack(response);
      if (response.status === 200) {
        call.next('BYE');
        await peer.next('200 BYE');
      }
    }
    return results;
  } finally {
    await peer.close();
  }
}

const tookMs = (results: readonly Refusal[], first: number, end?: number): number[] =>
  results.slice(first, end).map((result) => result.tookMs);

describe.each(['websocket', 'telephony', 'handshake'] as const)('a Pranthora that never answers, %s', (mode) => {
  it('costs the first callers the wait, and the twentieth nothing', async ({ annotate }) => {
    const bridge = await start({ mode });
    const results = await calls(bridge, () => 503);
    for (const { response } of results) expect(response.header('Retry-After')).toBe('5');
    expect(Math.min(...tookMs(results, 0, WAITING))).toBeGreaterThanOrEqual(CONNECT_TIMEOUT_MS);
    const last = results.at(-1);
    await annotate(`the ${CALLS}th call was refused after ${last?.tookMs.toFixed(1) ?? ''} ms`);
    expect(last?.tookMs).toBeLessThan(AT_ONCE_MS);
    // It is the breaker that refuses: Pranthora has not been asked again, and the record says so.
    expect(connections).toBe(WAITING);
    const details = bridge.log.events('call.ended').map((line) => line['detail'] as string);
    expect(details.filter((detail) => detail.startsWith('not tried'))).toHaveLength(CALLS - WAITING);
    expect(details.slice(0, WAITING).every((detail) => detail.includes(`within ${CONNECT_TIMEOUT_MS} ms`))).toBe(true);
  });
});

it('the fallback gets the twentieth call at once', async ({ annotate }) => {
  const bridge = await start({ fallback: { redirect: 'sip:desk@127.0.0.1:5099' } });
  const results = await calls(bridge, () => 302);
  const last = results.at(-1);
  await annotate(`the ${CALLS}th call was sent to the fallback after ${last?.tookMs.toFixed(1) ?? ''} ms`);
  expect(last?.tookMs).toBeLessThan(AT_ONCE_MS);
  expect(last?.response.header('Contact')).toContain('sip:desk@127.0.0.1:5099');
  expect(connections).toBe(WAITING);
});

it('the next target answers the twentieth call at once', async ({ annotate }) => {
  const tried: string[] = [];
  const bridge = await start(
    { targets: [{ agentId: 'dead' }, { agentId: 'alive' }] },
    {
      scenarioFor: (agentId) => {
        tried.push(agentId);
        return agentId === 'alive' ? 'silent' : 'never-starts';
      },
    },
  );
  const results = await calls(bridge, () => 200);
  const last = results.at(-1);
  await annotate(`the ${CALLS}th call was answered by the next target after ${last?.tookMs.toFixed(1) ?? ''} ms`);
  expect(Math.min(...tookMs(results, 0, WAITING))).toBeGreaterThanOrEqual(CONNECT_TIMEOUT_MS);
  expect(last?.tookMs).toBeLessThan(AT_ONCE_MS);
  expect(tried.filter((agentId) => agentId === 'dead')).toHaveLength(WAITING);
  expect(tried.filter((agentId) => agentId === 'alive')).toHaveLength(CALLS);
  const served = bridge.log.events('call.ended').map((line) => line['agentId']);
  expect(new Set(served)).toEqual(new Set(['alive']));
});

it('a Pranthora that is back is found by the first caller after the pause, and has them all again', async () => {
  let isDead = true;
  const bridge = await start({ agentId: 'agent' }, { scenarioFor: () => (isDead ? 'never-starts' : 'silent') });
  await calls(bridge, () => 503);
  isDead = false;
  await bridge.clock.pass(5_000);
  const results = await calls(bridge, () => 200);
  expect(Math.max(...tookMs(results, 1))).toBeLessThan(CONNECT_TIMEOUT_MS);
});
