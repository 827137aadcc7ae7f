import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AgentRig } from '../support/agent-rig.js';
import { ANSWER, PeerCall, respond } from '../support/sip-call.js';
import type { UdpPeer } from '../support/sip-peer.js';
import { answer } from '../support/srf-client.js';

let rig: AgentRig;
let peer: UdpPeer;
let call: PeerCall;

beforeEach(async () => {
  rig = await AgentRig.start({ timers: { t1Ms: 5, t2Ms: 40, t4Ms: 50 } });
  await rig.withClient();
  peer = await rig.udpPeer();
  call = new PeerCall(peer, rig.port('udp'));
});

afterEach(async () => {
  await rig.close();
  expect(rig.logger.events('sip.fault')).toEqual([]);
});

/** Until everything is over that could still be sent. */
async function over(): Promise<void> {
  await vi.waitFor(
    () => expect(rig.agent.stats()).toMatchObject({ dialogs: 0, serverTransactions: 0, clientTransactions: 0 }),
    { interval: 20 },
  );
}

/** A first call to its end, by which the peer shows that it hears us. */
async function becomeHeard(): Promise<void> {
  const first = new PeerCall(peer, rig.port('udp'));
  first.invite();
  const { response } = await rig.nextInvite();
  response.send(486);
  first.ack(await peer.next('486 INVITE'));
}

async function refuse(status: number): Promise<void> {
  const { response } = await rig.nextInvite();
  response.send(status, { headers: status === 401 ? { 'WWW-Authenticate': 'Digest realm="r", nonce="n"' } : {} });
}

describe('a peer that has shown nothing but an INVITE, and may be anybody', () => {
  test.each([401, 403, 404, 488, 503])('gets one %i, and one more for each copy of the INVITE', async (status) => {
    const text = call.invite();
    await refuse(status);
    const first = await peer.next(`${status} INVITE`);
    peer.send(text);
    const second = await peer.next(`${status} INVITE`);
    expect(second.raw).toBe(first.raw);
    await over();
    expect(peer.received).toHaveLength(2);
  });

  test('gets a refusal thrice when it has had a provisional response', async () => {
    call.invite();
    const { response } = await rig.nextInvite();
    await peer.next('100 INVITE');
    response.send(180);
    response.send(404);
    await over();
    expect(peer.received.map(({ status }) => status)).toEqual([100, 180, 404, 404, 404]);
  });

  test('gets a 2xx six times, and one BYE', async () => {
    call.invite();
    const { request, response } = await rig.nextInvite();
    await answer(rig.srf, request, response, ANSWER);
    await over();
    const got = peer.received.map(({ status, method }) => (status > 0 ? status : method));
    expect(got).toEqual([...Array<number>(6).fill(200), 'BYE']);
  });

  test('is not heard by an ACK with a tag of its own', async () => {
    const first = new PeerCall(peer, rig.port('udp'));
    first.invite();
    await refuse(404);
    await peer.next('404 INVITE');
    first.send('ACK', { branch: first.inviteBranch, toTag: 'guessed' });
    first.send('BYE', { toTag: 'guessed' });
    await peer.next('481 BYE');
    call.invite();
    await refuse(404);
    await over();
    expect(peer.count('404 INVITE')).toBe(2);
  });
});

describe('a peer that has acknowledged something of ours', () => {
  test('gets a refusal until its ACK', async () => {
    await becomeHeard();
    call.invite();
    await refuse(404);
    for (let copies = 0; copies < 5; copies++) await peer.next('404 INVITE');
  });

  test('gets a 2xx as often as RFC 3261 has it, and BYEs until one is answered', async () => {
    await becomeHeard();
    call.invite();
    const { request, response } = await rig.nextInvite();
    await answer(rig.srf, request, response, ANSWER);
    for (let copies = 0; copies < 8; copies++) await peer.next('200 INVITE');
    const bye = await peer.next('BYE');
    await vi.waitFor(() => expect(peer.count('BYE')).toBeGreaterThan(1));
    respond(peer, bye, '200 OK');
    await over();
  });

  test('is another one at another port', async () => {
    await becomeHeard();
    const other = await rig.udpPeer();
    new PeerCall(other, rig.port('udp')).invite();
    await refuse(404);
    await over();
    expect(other.received).toHaveLength(1);
  });
});
