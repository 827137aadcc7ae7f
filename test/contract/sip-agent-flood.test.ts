import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import type { SipAgentOptions } from '../../src/sip-agent/agent.js';
import { AgentRig } from '../support/agent-rig.js';
import { branch, OFFER, PeerCall } from '../support/sip-call.js';
import { sipText } from '../support/sip-peer.js';

const SCANNER = '127.0.0.3';
/** Only this test's scanner is called so. */
const scannerName = (userAgent: string) => (userAgent === 'friendly-scanner' ? userAgent : undefined);
const METHODS = ['INVITE', 'REGISTER', 'OPTIONS'];

let rig: AgentRig | undefined;

afterEach(async () => {
  await rig?.close();
  expect(rig?.logger.events('sip.fault') ?? []).toEqual([]);
  rig = undefined;
});

async function begin(options: Partial<SipAgentOptions> = {}) {
  const started = (rig = await AgentRig.start(options));
  await started.withClient();
  const peer = await started.udpPeer();
  return { rig: started, peer, call: new PeerCall(peer, started.port('udp')) };
}

/** A socket of a scanner, and how many answers it got. */
async function scanner(port: number) {
  const socket = createSocket('udp4');
  let answers = 0;
  socket.on('message', () => (answers += 1));
  socket.bind(0, SCANNER);
  await once(socket, 'listening');
  return {
    send: (index: number): void => {
      const method = METHODS[index % METHODS.length] ?? '';
      socket.send(attempt(method, index, socket.address().port), port, '127.0.0.1');
    },
    answers: () => answers,
    close: async (): Promise<void> => {
      socket.close();
      await once(socket, 'close');
    },
  };
}

function attempt(method: string, index: number, port: number): string {
  return sipText([
    `${method} sip:${index}@127.0.0.1 SIP/2.0`,
    `Via: SIP/2.0/UDP ${SCANNER}:${port};branch=${branch()};rport`,
    'Max-Forwards: 70',
    `From: "sipvicious" <sip:${index}@1.1.1.1>;tag=${index}`,
    `To: <sip:${index}@1.1.1.1>`,
    `Call-ID: ${index}`,
    `CSeq: 1 ${method}`,
    `Contact: <sip:${index}@${SCANNER}:${port}>`,
    'User-Agent: friendly-scanner',
  ]);
}

describe('a scanner', () => {
  test.each([
    [
      'from outside sip.allow',
      (address: string) => address === '127.0.0.1',
      { setting: 'sip.allow', reason: 'its address is not in sip.allow' },
    ],
    [
      'from inside it, by its name',
      undefined,
      { setting: 'sip.scanners', reason: 'its User-Agent has the name friendly-scanner, which is in sip.scanners' },
    ],
  ])('%s gets three answers and a line of log for 10,000 requests, and others are served', async (_, allow, why) => {
    const { rig, peer, call } = await begin({ allow, scannerName });
    const flood = await scanner(rig.port('udp'));
    for (let index = 0; index < 10_000; index++) {
      flood.send(index);
      if (index % 100 < 99) continue;
      // On the same socket: what is answered shows that what came before has been read.
      call.send('OPTIONS', { sequence: index });
      await peer.next('200 OPTIONS');
    }
    const { forbidden, ignored, limited, serverTransactions, dialogs } = rig.agent.stats();
    expect({ forbidden, limited, dialogs }).toEqual({ forbidden: 3, limited: 0, dialogs: 0 });
    expect(ignored).toBeGreaterThan(9_000);
    // Those of the OPTIONS that were answered.
    expect(serverTransactions).toBe(100);
    expect(flood.answers()).toBe(3);
    expect(rig.logger.lines.filter(({ event }) => event !== 'sip.unanswered')).toEqual([
      {
        ...{ event: 'sip.forbidden', address: SCANNER, method: 'INVITE', from: 'sip:0@1.1.1.1', did: '0' },
        ...{ userAgent: 'friendly-scanner', ...why },
      },
    ]);
    expect(rig.offered).toEqual([]);
    call.sequence = 20_000;
    call.invite();
    const { response } = await rig.nextInvite();
    response.send(486);
    call.ack(await peer.next('486 INVITE'));
    await flood.close();
  });

  test('does not spoil the source it comes through, and is told why', async () => {
    const { rig, peer, call } = await begin({ scannerName });
    for (let index = 0; index < 20; index++) {
      call.send('OPTIONS', { sequence: index, headers: ['User-Agent: friendly-scanner'] });
    }
    call.sequence = 30;
    call.invite();
    const { response } = await rig.nextInvite();
    response.send(486);
    call.ack(await peer.next('486 INVITE'));
    expect(peer.count('403 OPTIONS')).toBe(3);
    const refusal = await peer.next('403 OPTIONS');
    expect(refusal.header('Warning')).toBe('399 pranthora-sip-bridge "this User-Agent is in sip.scanners"');
  });
});

describe('a source that may call', () => {
  test('gets 503 when it asks too fast, then silence, and takes nothing from another', async () => {
    const { rig, peer, call } = await begin({ maxRequestsPerSec: 10 });
    const wild = await scanner(rig.port('udp'));
    // A burst of two seconds, a second refused, the rest ignored.
    for (let index = 0; index < 100; index++) {
      peer.send(call.request('INVITE', { sequence: index, fromTag: `t${index}`, body: OFFER }));
    }
    const refused = await peer.next('503 INVITE');
    expect(refused.header('Retry-After')).toBe('2');
    await rig.nextInvite();
    wild.send(2);
    await expect.poll(() => rig.agent.stats().limited).toBeGreaterThan(70);
    expect(rig.logger.events('sip.rate_limited')).toEqual([
      { event: 'sip.rate_limited', address: '127.0.0.1', perSec: 10 },
    ]);
    expect(peer.count('503 INVITE')).toBeLessThan(20);
    await wild.close();
  });

  test('may say far more inside its calls', async () => {
    const { rig, peer, call } = await begin({ maxRequestsPerSec: 1 });
    call.invite();
    const { request, response } = await rig.nextInvite();
    const dialogs = new Promise<void>((resolve) =>
      rig.srf.createUAS(request, response, { localSdp: OFFER }, () => resolve()),
    );
    call.ack(await peer.next('200 INVITE'));
    await dialogs;
    for (let index = 2; index < 50; index++) {
      call.send('OPTIONS', { sequence: index });
      await peer.next('200 OPTIONS');
    }
    expect(rig.agent.stats().limited).toBe(0);
  });
});

describe('a datagram', () => {
  /** An INVITE of about that many octets. */
  function invite(call: PeerCall, octets: number): string {
    const headers = Array.from({ length: Math.floor(octets / 1_000) }, (_, at) => `X-${at}: ${'f'.repeat(990)}`);
    return call.request('INVITE', { body: OFFER, headers });
  }

  test('as large as a SIPREC client sends is taken', async () => {
    const { rig, peer, call } = await begin();
    peer.send(invite(call, 25_000));
    const { response } = await rig.nextInvite();
    response.send(486);
    call.ack(await peer.next('486 INVITE'));
  });

  test.each([40_000, 60_000])('of %i octets gets 513 and costs no memory', async (octets) => {
    const { rig, peer, call } = await begin();
    peer.send(invite(call, octets));
    const refused = await peer.next('513 INVITE');
    expect(refused.header('Call-ID')).toBe(call.callId);
    expect(rig.agent.stats()).toMatchObject({ serverTransactions: 0, dialogs: 0, malformed: 1 });
  });
});
