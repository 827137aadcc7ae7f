import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { AgentRig } from '../support/agent-rig.js';
import { ANSWER, OFFER } from '../support/sip-call.js';
import { answer, hangUp, type SrfRequest, type SrfResponse, type TestDialog } from '../support/srf-client.js';

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);
let rigs: AgentRig[] = [];

afterEach(async () => {
  await Promise.all(rigs.map((rig) => rig.close()));
  for (const rig of rigs) {
    expect(rig.agent.stats()).toMatchObject({ dialogs: 0, serverTransactions: 0, clientTransactions: 0 });
    expect(rig.logger.events('sip.fault')).toEqual([]);
  }
  rigs = [];
});

async function start(listen: string): Promise<AgentRig> {
  const rig = await AgentRig.start({ listen: [`udp://${listen}`, `tcp://${listen}`] });
  rigs.push(rig);
  return rig.withClient();
}

const ipv4 = ['127.0.0.1:0', '0.0.0.0:0'].map((listen) => [listen, '127.0.0.1'] as const);
const ipv6 = hasIpv6 ? ['[::1]:0', '[::]:0'].map((listen) => [listen, '[::1]'] as const) : [];

describe.each([...ipv4, ...ipv6])('two agents listening on %s', (listen, host) =>
  test.each(['udp', 'tcp'] as const)('call each other over %s', async (protocol) => {
    const [caller, callee] = [await start(listen), await start(listen)];
    const uri = `sip:1000@${host}:${callee.port(protocol)};transport=${protocol}`;
    const calling = caller.srf.createUAC(uri, { localSdp: OFFER, callingNumber: '4711' }, {}) as Promise<TestDialog>;
    const { request, response } = await callee.nextInvite();
    expect(request.protocol).toBe(protocol);
    expect(request.get('Contact')).toContain(`4711@${host}:${caller.port(protocol)}`);
    const called = await answer(callee.srf, request, response, ANSWER);
    const acknowledged = once(called, 'ack');
    const placed = await calling;
    await acknowledged;
    expect(placed.remote.sdp).toBe(ANSWER);

    const offered = once(called, 'modify') as Promise<[SrfRequest, SrfResponse]>;
    const modified = placed.modify(OFFER.replace('sendrecv', 'sendonly'));
    (await offered)[1].send(200, { body: ANSWER });
    expect(await modified).toBe(ANSWER);
    expect((await called.request({ method: 'INFO' })).status).toBe(200);

    const destroyed = once(placed, 'destroy');
    await hangUp(called);
    await destroyed;
    await vi.waitFor(() => expect([caller.agent.stats().dialogs, callee.agent.stats().dialogs]).toEqual([0, 0]));
  }),
);
