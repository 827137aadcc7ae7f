import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AgentRig } from '../support/agent-rig.js';
import { DnsServer } from '../support/dns-server.js';
import { ANSWER, OFFER, respond } from '../support/sip-call.js';
import type { SipPeer, TcpPeer, UdpPeer } from '../support/sip-peer.js';
import { hangUp, type SrfRequest, type SrfResponse, type TestDialog } from '../support/srf-client.js';

/** A transaction gives up after 320 ms. */
const FAST = { t1Ms: 5, t2Ms: 40, t4Ms: 50 };

let dns: DnsServer;
let rig: AgentRig;

beforeEach(async () => {
  dns = await DnsServer.open();
  rig = await (await AgentRig.start({ names: dns.names(), timers: FAST })).withClient();
});

afterEach(async () => {
  await vi.waitFor(
    () => expect(rig.agent.stats()).toMatchObject({ dialogs: 0, serverTransactions: 0, clientTransactions: 0 }),
    { interval: 10 },
  );
  await rig.close();
  await dns.close();
  expect(rig.logger.events('sip.fault')).toEqual([]);
});

/** Calls a URI; resolves to the call, or the status it was refused with. */
async function call(uri: string, headers: Record<string, string> = {}): Promise<TestDialog | number> {
  try {
    return (await rig.srf.createUAC(uri, { localSdp: OFFER, headers }, {})) as TestDialog;
  } catch (error) {
    const { status } = error as { status?: number };
    if (status === undefined) throw error;
    return status;
  }
}

/** Two servers of pbx.test for UDP, in that order. */
function twoServers(first: { port: number }, second: { port: number }): void {
  dns.records = [
    ['SRV', '_sip._udp.pbx.test', 10, 0, first.port, 'one.pbx.test'],
    ['SRV', '_sip._udp.pbx.test', 20, 0, second.port, 'two.pbx.test'],
    ['A', 'one.pbx.test', '127.0.0.1'],
    ['A', 'two.pbx.test', '127.0.0.1'],
  ];
}

/** Takes a call and ends it. */
async function takeCall(peer: SipPeer, calling: Promise<TestDialog | number>): Promise<void> {
  respond(peer, await peer.next('INVITE'), '200 OK', { tag: 'callee', body: ANSWER });
  const over = hangUp((await calling) as TestDialog);
  respond(peer, await peer.next('BYE'), '200 OK');
  await over;
}

describe('a name leads to a server', () => {
  test('by NAPTR, SRV and A', async () => {
    const peer = await rig.tcpPeer();
    dns.records = [
      ['NAPTR', 'pbx.test', 20, 10, 'S', 'SIP+D2U', '_udp.pbx.test'],
      ['NAPTR', 'pbx.test', 10, 10, 's', 'SIPS+D2T', '_tls.pbx.test'],
      ['NAPTR', 'pbx.test', 10, 20, 's', 'SIP+D2T', '_tcp.pbx.test'],
      ['SRV', '_tcp.pbx.test', 0, 0, peer.port, 'one.pbx.test'],
      ['A', 'one.pbx.test', '127.0.0.1'],
    ];
    await takeCall(peer, call('sip:peer@pbx.test'));
    // TLS it cannot speak, and asks for no server of.
    expect(dns.asked).toEqual(['NAPTR pbx.test', 'SRV _tcp.pbx.test', 'SRV _udp.pbx.test', 'A one.pbx.test']);
  });

  test('by SRV of the transport the URI asks for', async () => {
    const peer = await rig.tcpPeer();
    dns.records = [
      ['SRV', '_sip._tcp.pbx.test', 0, 0, peer.port, 'one.pbx.test'],
      ['A', 'one.pbx.test', '127.0.0.1'],
    ];
    await takeCall(peer, call('sip:peer@pbx.test;transport=tcp'));
    expect(dns.asked).toEqual(['SRV _sip._tcp.pbx.test', 'A one.pbx.test']);
  });

  test('by A alone when the URI has a port; asked once for two calls', async () => {
    const peer = await rig.udpPeer();
    dns.records = [['A', 'pbx.test', '127.0.0.1']];
    await takeCall(peer, call(`sip:peer@pbx.test:${peer.port}`));
    await takeCall(peer, call(`sip:peer@pbx.test:${peer.port}`));
    expect(dns.asked).toEqual(['A pbx.test']);
  });

  test.each(['pbx.test', 'pbx.test:5060', 'pbx.test;transport=tcp'])('or %s is unknown: 503', async (host) => {
    expect(await call(`sip:peer@${host}`)).toBe(503);
    expect(rig.logger.events('sip.host_unknown')).toHaveLength(1);
  });

  test('or there is decidedly none: 503', async () => {
    dns.records = [
      ['SRV', '_sip._udp.pbx.test', 0, 0, 0, '.'],
      ['A', 'pbx.test', '127.0.0.1'],
    ];
    expect(await call('sip:peer@pbx.test')).toBe(503);
    expect(dns.asked).not.toContain('A pbx.test');
  });
});

describe('another server takes a call', () => {
  let second: UdpPeer;

  beforeEach(async () => {
    second = await rig.udpPeer();
  });

  test('that the first has no room for', async () => {
    const first = await rig.udpPeer();
    twoServers(first, second);
    const calling = call('sip:peer@pbx.test');
    const refused = await first.next('INVITE');
    respond(first, refused, '503 Service Unavailable', { tag: 'full' });
    const taken = await second.next('INVITE');
    for (const name of ['From', 'To', 'Call-ID', 'CSeq', 'Contact']) {
      expect(taken.header(name)).toBe(refused.header(name));
    }
    expect(taken.header('Via')).not.toBe(refused.header('Via'));
    respond(second, taken, '200 OK', { tag: 'callee', body: ANSWER });
    const over = hangUp((await calling) as TestDialog);
    respond(second, await second.next('BYE'), '200 OK');
    await over;
    expect(first.count('BYE')).toBe(0);
    await first.next('ACK');
  });

  test('that the first does not answer, and the next call goes there at once', async () => {
    const first = await rig.udpPeer();
    twoServers(first, second);
    await takeCall(second, call('sip:peer@pbx.test'));
    const attempts = first.count('INVITE');
    expect(attempts).toBeGreaterThan(1);
    await takeCall(second, call('sip:peer@pbx.test'));
    expect(first.count('INVITE')).toBe(attempts);
  });

  test('that no connection could be made for', async () => {
    const peer = await rig.tcpPeer();
    dns.records = [
      ['SRV', '_sip._tcp.pbx.test', 10, 0, 1, 'one.pbx.test'],
      ['SRV', '_sip._tcp.pbx.test', 20, 0, peer.port, 'one.pbx.test'],
      ['A', 'one.pbx.test', '127.0.0.1'],
    ];
    await takeCall(peer, call('sip:peer@pbx.test;transport=tcp'));
  });

  test('unless it rang at the first', async () => {
    const first = await rig.udpPeer();
    twoServers(first, second);
    const calling = call('sip:peer@pbx.test');
    const invite = await first.next('INVITE');
    respond(first, invite, '180 Ringing', { tag: 'callee' });
    respond(first, invite, '503 Service Unavailable', { tag: 'callee' });
    expect(await calling).toBe(503);
    expect(second.received).toEqual([]);
  });

  test('unless it refuses it too', async () => {
    const first = await rig.udpPeer();
    twoServers(first, second);
    const calling = call('sip:peer@pbx.test');
    respond(first, await first.next('INVITE'), '503 Service Unavailable', { tag: 'one' });
    respond(second, await second.next('INVITE'), '486 Busy Here', { tag: 'two' });
    expect(await calling).toBe(486);
  });

  test('unless nobody is left: the last failure counts', async () => {
    const first = await rig.udpPeer();
    twoServers(first, second);
    const calling = call('sip:peer@pbx.test');
    respond(first, await first.next('INVITE'), '503 Service Unavailable', { tag: 'one' });
    expect(await calling).toBe(408);
  });

  test('and it is that one that is cancelled', async () => {
    const first = await rig.udpPeer();
    twoServers(first, second);
    let sent: SrfRequest | undefined;
    const calling = rig.srf.createUAC(
      'sip:peer@pbx.test',
      { localSdp: OFFER },
      {
        cbRequest: (_error, request) => {
          sent = request;
        },
      },
    );
    respond(first, await first.next('INVITE'), '503 Service Unavailable', { tag: 'one' });
    const invite = await second.next('INVITE');
    respond(second, invite, '180 Ringing', { tag: 'two' });
    sent?.cancel(() => undefined);
    respond(second, await second.next('CANCEL'), '200 OK');
    respond(second, invite, '487 Request Terminated', { tag: 'two' });
    await expect(calling).rejects.toMatchObject({ status: 487 });
    expect(first.count('CANCEL')).toBe(0);
  });

  test('and any other request', async () => {
    const first = await rig.udpPeer();
    twoServers(first, second);
    const request = await rig.srf.request('sip:peer@pbx.test', { method: 'OPTIONS' });
    const answered = once(request, 'response') as Promise<[SrfResponse]>;
    respond(first, await first.next('OPTIONS'), '503 Service Unavailable', { tag: 'one' });
    respond(second, await second.next('OPTIONS'), '200 OK', { tag: 'two' });
    expect((await answered)[0].status).toBe(200);
  });
});

describe('a request too large for UDP', () => {
  const LARGE = { 'X-Large': 'x'.repeat(1_300) };

  /** A port that is free for UDP may be somebody's for TCP. */
  async function peersOnOnePort(attempts = 5): Promise<{ udp: UdpPeer; tcp: TcpPeer }> {
    const udp = await rig.udpPeer();
    try {
      return { udp, tcp: await rig.tcpPeer('127.0.0.1', udp.port) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || attempts === 1) throw error;
      return peersOnOnePort(attempts - 1);
    }
  }

  test('goes by TCP; the same call a little smaller does not', async () => {
    const { udp, tcp } = await peersOnOnePort();
    const uri = `sip:peer@127.0.0.1:${udp.port}`;
    const calling = call(uri, LARGE);
    const invite = await tcp.next('INVITE');
    expect(invite.header('Via')).toMatch(/^SIP\/2\.0\/TCP /);
    expect(invite.header('Contact')).toContain(';transport=tcp');
    respond(tcp, invite, '486 Busy Here', { tag: 'callee' });
    expect(await calling).toBe(486);
    expect(udp.received).toEqual([]);

    const small = call(uri);
    respond(udp, await udp.next('INVITE'), '486 Busy Here', { tag: 'callee' });
    expect(await small).toBe(486);
    expect(tcp.count('INVITE')).toBe(1);
  });

  test('goes by UDP where nobody listens on TCP, again and again', async () => {
    const udp = await rig.udpPeer();
    for (let time = 0; time < 2; time++) {
      const calling = call(`sip:peer@127.0.0.1:${udp.port}`, LARGE);
      respond(udp, await udp.next('INVITE'), '486 Busy Here', { tag: 'callee' });
      expect(await calling).toBe(486);
    }
    expect(udp.received.every((message) => message.header('Via').startsWith('SIP/2.0/UDP'))).toBe(true);
  });

  test('goes by UDP where the URI says so', async () => {
    const { udp, tcp } = await peersOnOnePort();
    const calling = call(`sip:peer@127.0.0.1:${udp.port};transport=udp`, LARGE);
    respond(udp, await udp.next('INVITE'), '486 Busy Here', { tag: 'callee' });
    expect(await calling).toBe(486);
    expect(tcp.received).toEqual([]);
  });
});
