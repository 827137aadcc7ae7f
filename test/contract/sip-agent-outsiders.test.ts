import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { SipAgentOptions } from '../../src/sip-agent/agent.js';
import { AgentRig } from '../support/agent-rig.js';
import { DnsServer } from '../support/dns-server.js';
import { ANSWER, branch, OFFER, PeerCall, respond } from '../support/sip-call.js';
import { sipText, UdpPeer, type SipText } from '../support/sip-peer.js';
import { answer, type SrfRequest, type SrfResponse, type TestDialog } from '../support/srf-client.js';

const INSIDER = '127.0.0.1';
const OUTSIDER = '127.0.0.66';
/** Where the phone behind a proxy, or another of its servers, sends from; not allowed either. */
const ELSEWHERE = '127.0.0.67';
/** A hundred times as fast as on a network. */
const FAST = { t1Ms: 5, t2Ms: 40, t4Ms: 50 };

let rig: AgentRig;
const peers: UdpPeer[] = [];
const refused: string[] = [];

async function start(options: Partial<SipAgentOptions> = {}): Promise<void> {
  rig = await AgentRig.start({
    allow: (address) => address === INSIDER,
    onRefused: (kind) => refused.push(kind),
    ...options,
  });
  await rig.withClient();
}

/** A socket at an address of its own. */
async function at(address: string): Promise<UdpPeer> {
  const peer = await UdpPeer.open({ address: '127.0.0.1', port: rig.port('udp') }, address);
  peers.push(peer);
  return peer;
}

beforeEach(() => {
  refused.length = 0;
});

afterEach(async () => {
  await Promise.all(peers.splice(0).map((peer) => peer.close()));
  await rig.close();
  expect(rig.logger.events('sip.fault')).toEqual([]);
});

interface Established {
  readonly call: PeerCall;
  readonly dialog: TestDialog;
  /** Methods that reached the client in this dialog. */
  readonly heard: string[];
}

/** A call of the insider's; `headers` and `contact` say where else it may be reached. */
async function establish(parts: { contact?: string; headers?: readonly string[] } = {}): Promise<Established> {
  const call = new PeerCall(await rig.udpPeer(), rig.port('udp'));
  call.invite(parts);
  const { request, response } = await rig.nextInvite();
  const dialog = await answer(rig.srf, request, response, ANSWER);
  const acknowledged = once(dialog, 'ack');
  call.ack(await call.peer.next('200 INVITE'));
  await acknowledged;
  const heard: string[] = [];
  for (const event of ['modify', 'update', 'info', 'options']) {
    dialog.on(event, (asked: SrfRequest, reply: SrfResponse) => {
      heard.push(asked.method);
      reply.send(200, { body: asked.body === '' ? undefined : ANSWER });
    });
  }
  dialog.on('destroy', () => heard.push('BYE'));
  return { call, dialog, heard };
}

/** The 200 to the last INVITE of a call: the one before may be repeated until its ACK has come. */
async function okOf({ peer, sequence }: PeerCall): Promise<SipText> {
  for (;;) {
    const ok = await peer.next('200 INVITE');
    if (ok.header('CSeq') === `${sequence} INVITE`) return ok;
  }
}

/** A request of the call, with all its tags, sent by somebody else. */
function forge({ call }: Established, by: UdpPeer, method: string, sequence: number): string {
  const text = call.request(method, { sequence, body: method === 'INVITE' ? OFFER : '', contact: by.contact });
  const forged = text.replace(/^Via: .*$/m, `Via: SIP/2.0/${by.sentBy};rport;branch=${branch()}`);
  by.send(forged);
  return forged;
}

/** Everything sent before has been read: the call still answers its own side. */
async function stillUp({ call }: Established, sequence: number): Promise<void> {
  call.sequence = sequence;
  call.send('OPTIONS');
  await call.peer.next('200 OPTIONS');
}

describe('an address outside sip.allow that knows the tags of a call', () => {
  test.each(['INVITE', 'UPDATE', 'INFO', 'BYE', 'OPTIONS', 'REFER', 'NOTIFY'])(
    'gets 403 for its %s, then silence',
    async (method) => {
      await start();
      const established = await establish();
      const outsider = await at(OUTSIDER);
      for (let sequence = 1_000; sequence < 1_005; sequence++) forge(established, outsider, method, sequence);
      const forbidden = await outsider.next(403);
      expect(forbidden.header('Warning')).toBe(
        `399 pranthora-sip-bridge "${OUTSIDER} is not in sip.allow and has no part in this call"`,
      );
      await stillUp(established, 2);
      expect(outsider.received.map(({ status }) => status)).toEqual([403, 403, 403]);
      expect(established.heard).toEqual(['OPTIONS']);
      expect(refused).toEqual(Array.from({ length: 5 }, () => 'forbidden'));
      expect(rig.logger.events('sip.forbidden')).toEqual([
        {
          event: 'sip.forbidden',
          address: OUTSIDER,
          method,
          from: 'sip:peer@127.0.0.1',
          did: '1000',
          setting: 'sip.allow',
          callId: established.call.callId,
          reason: 'its address is not in sip.allow and has no part in this call',
        },
      ]);
    },
  );

  test('cannot acknowledge the 200 for the caller', async () => {
    await start({ timers: FAST });
    const call = new PeerCall(await rig.udpPeer(), rig.port('udp'));
    call.invite();
    const { request, response } = await rig.nextInvite();
    const dialog = await answer(rig.srf, request, response, ANSWER);
    const acks: string[] = [];
    dialog.on('ack', (ack: SrfRequest) => acks.push(ack.body));
    const ok = await call.peer.next('200 INVITE');
    call.remoteTag = ok.tag('To');
    const outsider = await at(OUTSIDER);
    outsider.send(call.request('ACK', { body: ANSWER }));
    // Three more than had come when the forged ACK was sent.
    const before = call.peer.count('200 INVITE');
    await expect.poll(() => call.peer.count('200 INVITE')).toBeGreaterThan(before + 2);
    expect(acks).toEqual([]);
    call.ack(ok);
    await expect.poll(() => acks).toEqual(['']);
    expect(outsider.received).toEqual([]);
  });

  test('cannot cancel an INVITE, nor a re-INVITE', async () => {
    await start();
    const outsider = await at(OUTSIDER);
    const call = new PeerCall(await rig.udpPeer(), rig.port('udp'));
    call.invite();
    const first = await rig.nextInvite();
    outsider.send(call.request('CANCEL', { branch: call.inviteBranch }));
    await outsider.next(403);
    const dialog = await answer(rig.srf, first.request, first.response, ANSWER);
    call.ack(await call.peer.next('200 INVITE'));
    const offered = once(dialog, 'modify') as Promise<[SrfRequest, SrfResponse]>;
    call.sequence = 2;
    call.invite();
    const [, reply] = await offered;
    outsider.send(call.request('CANCEL', { branch: call.inviteBranch }));
    await outsider.next(403);
    reply.send(200, { body: ANSWER });
    call.ack(await okOf(call));
  });

  test('is told no more of a call that is over, or never was', async () => {
    await start();
    const established = await establish();
    const gone = once(established.dialog, 'destroy');
    established.call.next('BYE');
    await gone;
    const outsider = await at(OUTSIDER);
    for (let sequence = 1_000; sequence < 1_005; sequence++) forge(established, outsider, 'BYE', sequence);
    await outsider.next(403);
    established.call.next('BYE');
    await established.call.peer.next('481 BYE');
    expect(outsider.received.map(({ status }) => status)).toEqual([403, 403, 403]);
  });
});

describe('who has been part of a call may go on in it, though outside sip.allow', () => {
  test.each([
    ['its Contact', { contact: `<sip:phone@${ELSEWHERE}:5070>` }],
    ['a proxy that recorded the route', { headers: [`Record-Route: <sip:${ELSEWHERE};lr>, <sip:127.0.0.68;lr>`] }],
    ['the maddr of a proxy', { headers: [`Record-Route: <sip:proxy.invalid;maddr=${ELSEWHERE};lr>`] }],
  ])('%s', async (_, parts) => {
    await start();
    const established = await establish(parts);
    const peer = await at(ELSEWHERE);
    forge(established, peer, 'INFO', 2);
    await peer.next('200 INFO');
    forge(established, peer, 'BYE', 3);
    await peer.next('200 BYE');
    expect(established.heard).toEqual(['INFO', 'BYE']);
    expect(refused).toEqual([]);
  });

  test('a Contact of a re-INVITE that has been taken, but not of one that was forged', async () => {
    await start();
    const established = await establish();
    const [peer, outsider] = [await at(ELSEWHERE), await at(OUTSIDER)];
    forge(established, outsider, 'INVITE', 2);
    await outsider.next(403);
    established.call.next('INVITE', { contact: `<sip:phone@${ELSEWHERE}>`, body: OFFER });
    established.call.ack(await okOf(established.call));
    forge(established, peer, 'INFO', 4);
    await peer.next('200 INFO');
    forge(established, outsider, 'INFO', 5);
    await outsider.next('403 INFO');
  });

  test('a host known by its name, whose request waits for the look-up', async () => {
    const dns = await DnsServer.open();
    dns.records = [['A', 'phone.test', ELSEWHERE]];
    await start({ names: dns.names() });
    const established = await establish({ contact: '<sip:phone@phone.test>' });
    expect(dns.asked).toEqual([]);
    const [peer, outsider] = [await at(ELSEWHERE), await at(OUTSIDER)];
    forge(established, outsider, 'BYE', 1_000);
    forge(established, peer, 'INFO', 2);
    await peer.next('200 INFO');
    await outsider.next('403 BYE');
    forge(established, peer, 'BYE', 3);
    await peer.next('200 BYE');
    expect(established.heard).toEqual(['INFO', 'BYE']);
    await dns.close();
  });

  test('a callee of ours, from where it answered, from its Contact, and when its BYE is sent again', async () => {
    await start({ allow: () => false });
    const [callee, phone] = [await at(OUTSIDER), await at(ELSEWHERE)];
    const calling = rig.srf.createUAC(`sip:1000@${OUTSIDER}:${callee.port}`, { localSdp: OFFER }, {});
    const invite = await callee.next('INVITE');
    respond(callee, invite, '200 OK', { tag: 'callee', body: ANSWER, contact: phone.contact });
    const dialog = (await calling) as TestDialog;
    const heard: string[] = [];
    dialog.on('destroy', () => heard.push('BYE'));
    const inside = (by: UdpPeer, method: string, sequence: number, via = branch()): string =>
      sipText([
        `${method} sip:us@127.0.0.1:${rig.port('udp')} SIP/2.0`,
        `Via: SIP/2.0/${by.sentBy};rport;branch=${via}`,
        'Max-Forwards: 70',
        `From: ${invite.header('To')};tag=callee`,
        `To: ${invite.header('From')}`,
        `Call-ID: ${invite.header('Call-ID')}`,
        `CSeq: ${sequence} ${method}`,
      ]);
    const expectStatus = async (by: UdpPeer, text: string, status: string): Promise<SipText> => {
      by.send(text);
      return by.next(status);
    };
    await expectStatus(callee, inside(callee, 'OPTIONS', 1), '200 OPTIONS');
    await expectStatus(phone, inside(phone, 'INFO', 2), '200 INFO');
    const other = await at('127.0.0.68');
    await expectStatus(other, inside(other, 'BYE', 1_000), '403 BYE');
    const bye = inside(phone, 'BYE', 3);
    await expectStatus(phone, bye, '200 BYE');
    await expectStatus(phone, bye, '200 BYE');
    expect(heard).toEqual(['BYE']);
  });
});

test('sip.allow is asked each time: who is added may call, who is taken out keeps the calls there are', async () => {
  const allowed = new Set([INSIDER]);
  await start({ allow: (address) => allowed.has(address) });
  const established = await establish();
  const outsider = await at(OUTSIDER);
  const newcomer = new PeerCall(outsider, rig.port('udp'));
  newcomer.send('OPTIONS');
  const forbidden = await outsider.next('403 OPTIONS');
  expect(forbidden.header('Warning')).toBe(`399 pranthora-sip-bridge "${OUTSIDER} is not in sip.allow"`);
  allowed.add(OUTSIDER);
  newcomer.sequence = 2;
  newcomer.send('OPTIONS');
  await outsider.next('200 OPTIONS');
  allowed.delete(INSIDER);
  await stillUp(established, 2);
  const late = new PeerCall(established.call.peer, rig.port('udp'));
  late.send('OPTIONS');
  await established.call.peer.next('403 OPTIONS');
});

test('a peer that floods its own call gets 503, then silence, and may still hang up; other calls notice nothing', async () => {
  await start({ maxRequestsPerSec: 1_000 });
  const [wild, other] = [await establish(), await establish()];
  for (let sequence = 2; sequence < 402; sequence++) wild.call.send('INFO', { sequence });
  const refusal = await wild.call.peer.next('503 INFO');
  expect(refusal.header('Retry-After')).toBe('2');
  await stillUp(other, 2);
  await expect.poll(() => wild.heard.length).toBeGreaterThanOrEqual(100);
  // Two seconds' worth at once, one refused, and what was earned meanwhile.
  expect(wild.heard.length).toBeLessThan(200);
  expect(wild.call.peer.count('503 INFO')).toBeLessThan(100);
  expect(rig.logger.events('sip.rate_limited')).toEqual([
    { event: 'sip.rate_limited', address: INSIDER, callId: wild.call.callId, perSec: 50 },
  ]);
  expect(new Set(refused)).toEqual(new Set(['limited']));
  wild.call.sequence = 1_000;
  wild.call.send('BYE');
  await wild.call.peer.next('200 BYE');
  await vi.waitFor(() => expect(wild.heard).toContain('BYE'));
});

test('a password in a URI, and more of it than anybody needs, is kept out of the log', async () => {
  await start();
  const outsider = await at(OUTSIDER);
  const call = new PeerCall(outsider, rig.port('udp'));
  const text = call
    .request('INVITE', {
      uri: 'sip:+15550100:secret1@127.0.0.1;x=secret2',
      headers: [`User-Agent: ${'a'.repeat(500)}`],
    })
    .replace('<sip:peer@127.0.0.1>', `<sip:peer:secret3@${'h'.repeat(200)}.test;y=1>`);
  outsider.send(text);
  await outsider.next('403 INVITE');
  const [line] = rig.logger.events('sip.forbidden');
  expect(line).toMatchObject({ did: '+15550100', userAgent: 'a'.repeat(64), setting: 'sip.allow' });
  expect(line?.['from']).toBe(`sip:peer@${'h'.repeat(119)}`);
  expect(JSON.stringify(line)).not.toContain('secret');
});
