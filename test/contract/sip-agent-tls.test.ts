import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectSecurely, createServer, type TLSSocket } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { NameService } from '../../src/sip-agent/transport/name-cache.js';
import { AgentRig } from '../support/agent-rig.js';
import { LOOPBACK, OTHER, SECURE } from '../support/certificates.js';
import { FakeClock } from '../support/fake-clock.js';
import { ANSWER, OFFER, PeerCall, respond } from '../support/sip-call.js';
import { closed, type TcpPeer } from '../support/sip-peer.js';
import { answer, hangUp } from '../support/srf-client.js';

const MUTUAL = { ...SECURE, tls: { ...LOOPBACK, clientCertificate: 'required' } } as const;
/** A certificate, but nobody to be shown it. */
const TRUSTING = { ca: LOOPBACK.ca, rejectUnauthorized: true };
/** Every name is this machine's. */
const EVERYBODY_HERE: NameService = {
  naptr: () => Promise.resolve([]),
  srv: () => Promise.resolve([]),
  addresses: () => Promise.resolve(['127.0.0.1']),
};

let rig: AgentRig;
let release: (() => unknown)[] = [];

afterEach(async () => {
  await rig.close();
  for (const each of release) await each();
  release = [];
  expect(rig.agent.stats()).toMatchObject({ connections: 0, dialogs: 0, serverTransactions: 0, clientTransactions: 0 });
  expect(rig.logger.events('sip.fault')).toEqual([]);
});

/** A bare TCP connection to the agent. */
async function bare(): Promise<Socket> {
  const socket = connect(rig.port('tls'), '127.0.0.1');
  socket.on('error', () => undefined);
  socket.resume();
  await once(socket, 'connect');
  return socket;
}

async function secured(options = {}): Promise<TLSSocket> {
  const socket = connectSecurely({ port: rig.port('tls'), host: '127.0.0.1', ...TRUSTING, ...options });
  release.push(() => socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  return socket;
}

/** The agent's last words on TLS. */
async function failure(): Promise<{ address: string; port: number; reason: string }> {
  await vi.waitFor(() => expect(rig.logger.warnings).not.toEqual([]));
  expect(rig.logger.warnings).toEqual([expect.objectContaining({ event: 'sip.tls_failed' })]);
  return rig.logger.warnings[0] as unknown as Awaited<ReturnType<typeof failure>>;
}

async function options(peer: TcpPeer): Promise<void> {
  new PeerCall(peer, rig.port('tls')).send('OPTIONS');
  await peer.next('200 OPTIONS');
}

describe('who connects to us', () => {
  test('needs no certificate when none is asked for', async () => {
    rig = await AgentRig.start(SECURE);
    await options(await rig.tlsPeer(TRUSTING));
  });

  test.each(['optional', 'required'] as const)('may show one when it is %s', async (clientCertificate) => {
    rig = await AgentRig.start({ ...SECURE, tls: { ...LOOPBACK, clientCertificate } });
    await options(await rig.tlsPeer(LOOPBACK));
    expect(rig.logger.events('sip.tls_failed')).toEqual([]);
  });

  test('may leave it out when it is optional', async () => {
    rig = await AgentRig.start({ ...SECURE, tls: { ...LOOPBACK, clientCertificate: 'optional' } });
    await options(await rig.tlsPeer(TRUSTING));
  });

  test.each([
    ['none', 'required', {}, 'no client certificate'],
    ['a wrong one', 'required', { cert: OTHER.cert, key: OTHER.key }, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['a wrong one', 'optional', { cert: OTHER.cert, key: OTHER.key }, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ] as const)('with %s where it is %s is refused, and named', async (_, clientCertificate, shown, reason) => {
    rig = await AgentRig.start({ ...SECURE, tls: { ...LOOPBACK, clientCertificate } });
    const socket = connectSecurely({ port: rig.port('tls'), host: '127.0.0.1', ...TRUSTING, ...shown });
    socket.on('error', () => undefined);
    socket.resume();
    await once(socket, 'connect');
    const { port } = socket.address() as AddressInfo;
    await closed(socket);
    const failed = await failure();
    expect(failed).toMatchObject({ address: '127.0.0.1', port });
    expect(failed.reason).toContain(reason);
  });

  test('and believes another authority than ours says so', async () => {
    rig = await AgentRig.start(SECURE);
    await expect(rig.tlsPeer({ ca: OTHER.ca })).rejects.toThrow(/self.signed/);
    expect(await failure()).toMatchObject({ address: '127.0.0.1' });
  });

  test('and does not speak TLS at all is told nothing', async () => {
    rig = await AgentRig.start(SECURE);
    const socket = await bare();
    socket.write('OPTIONS sip:a@127.0.0.1 SIP/2.0\r\n\r\n');
    await closed(socket);
    expect((await failure()).reason).toMatch(/wrong version number|http request/);
  });

  test('is not logged if its source is unknown', async () => {
    rig = await AgentRig.start({ ...MUTUAL, allow: () => false });
    const socket = connectSecurely({ port: rig.port('tls'), host: '127.0.0.1', ...TRUSTING });
    socket.on('error', () => undefined);
    await closed(socket.resume());
    await vi.waitFor(() => expect(rig.agent.stats().connections).toBe(0));
    expect(rig.logger.warnings).toEqual([]);
  });

  test('and dribbles its handshake has ten seconds for it', async () => {
    const clock = new FakeClock();
    rig = await AgentRig.start({ ...SECURE, clock });
    const idleTimers = clock.pendingTimers;
    const [silent, slow] = [await bare(), await bare()];
    await vi.waitFor(() => expect(rig.agent.stats().connections).toBe(2));
    // A ClientHello that is to be 512 octets long, an octet at a time.
    slow.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]));
    for (let second = 0; second < 10; second++) {
      slow.write(Buffer.from([0x01]));
      clock.advance(1_000);
    }
    expect(rig.agent.stats().connections).toBe(2);
    clock.advance(2_000);
    await Promise.all([closed(silent), closed(slow)]);
    expect(rig.agent.stats().connections).toBe(0);
    expect(await failure()).toMatchObject({ reason: 'handshake not completed in time' });
    clock.advance(1_000);
    expect(clock.pendingTimers).toBe(idleTimers);
  });

  test('is refused while unknown sources hold 32 handshakes, unless its source is allowed', async () => {
    let isUnknown = true;
    rig = await AgentRig.start({ ...SECURE, allow: () => !isUnknown });
    const army = await Promise.all(Array.from({ length: 40 }, bare));
    await vi.waitFor(() => expect(rig.agent.stats().connections).toBe(32));
    expect(army.filter((socket) => !socket.destroyed).length).toBeLessThanOrEqual(40);
    isUnknown = false;
    await options(await rig.tlsPeer(TRUSTING));
    for (const socket of army) socket.destroy();
  });

  test('is sent a PONG, and keeps its connection by asking', async () => {
    rig = await AgentRig.start(SECURE);
    const socket = await secured();
    const pong = once(socket, 'data') as Promise<[Buffer]>;
    socket.write('\r\n\r\n');
    expect((await pong)[0].toString()).toBe('\r\n');
  });
});

describe('a certificate is renewed', () => {
  test('for connections to come; a call goes on over its own', async () => {
    rig = await (await AgentRig.start(SECURE)).withClient();
    const peer = await rig.tlsPeer(LOOPBACK);
    const call = new PeerCall(peer, rig.port('tls'));
    const answered = call.establish();
    const { request, response } = await rig.nextInvite();
    const dialog = await answer(rig.srf, request, response, ANSWER);
    await answered;

    rig.agent.renewTls(OTHER);
    const later = await secured({ ca: OTHER.ca, servername: 'pranthora.test' });
    expect(later.authorized).toBe(true);
    await expect(rig.tlsPeer(TRUSTING)).rejects.toThrow();

    const over = hangUp(dialog);
    respond(peer, await peer.next('BYE'), '200 OK');
    await over;
  });

  test('or not, when it is of no use', async () => {
    rig = await AgentRig.start(SECURE);
    expect(() => rig.agent.renewTls({ cert: LOOPBACK.cert, key: OTHER.key })).toThrow(/key values mismatch/);
    await options(await rig.tlsPeer(TRUSTING));
  });
});

describe('whom we connect to', () => {
  /** Calls a TLS server that is not ours, and reports the status the application gets. */
  async function call(uri: string): Promise<number> {
    try {
      await rig.srf.createUAC(uri, { localSdp: OFFER }, {});
      return 200;
    } catch (error) {
      return (error as { status: number }).status;
    }
  }

  test('is the one it was, and is shown our certificate; Via and Contact say TLS', async () => {
    const tls = { ...LOOPBACK, ca: `${LOOPBACK.ca}\n${OTHER.ca}`, clientCertificate: 'required' } as const;
    rig = await (await AgentRig.start({ ...SECURE, tls, names: EVERYBODY_HERE })).withClient();
    const peer = await rig.tlsPeer({ ...OTHER, ca: LOOPBACK.ca, requestCert: true });
    const calling = rig.srf.createUAC(`sip:peer@pranthora.test:${peer.port};transport=tls`, { localSdp: OFFER }, {});
    const invite = await peer.next('INVITE');
    expect(invite.header('Via')).toMatch(/^SIP\/2\.0\/TLS 127\.0\.0\.1:\d+;rport;alias;branch=z9hG4bK/);
    expect(invite.header('Contact')).toMatch(new RegExp(`127\\.0\\.0\\.1:${rig.port('tls')};transport=tls`));
    respond(peer, invite, '200 OK', { tag: 'callee', body: ANSWER });
    await peer.next('ACK');
    const over = hangUp(await calling);
    respond(peer, await peer.next('BYE'), '200 OK');
    await over;
    // Its own, and the one for all three of our requests.
    expect(peer.connections).toBe(2);
  });

  test('is reached by sips, and then everything is', async () => {
    rig = await (await AgentRig.start(SECURE)).withClient();
    const peer = await rig.tlsPeer(LOOPBACK);
    const calling = call(`sips:peer@127.0.0.1:${peer.port}`);
    const invite = await peer.next('INVITE');
    expect(invite.uri).toBe(`sips:peer@127.0.0.1:${peer.port}`);
    expect(invite.header('Contact')).toMatch(new RegExp(`<sips:[^>]*127\\.0\\.0\\.1:${rig.port('tls')}>`));
    respond(peer, invite, '486 Busy Here', { tag: 'callee' });
    expect(await calling).toBe(486);
  });

  test.each([
    ['another authority', OTHER, 'localhost', /self.signed/],
    ['another name', LOOPBACK, 'other.test', /does not match certificate's altnames/],
  ] as const)('shows a certificate of %s: 503, and not an octet of the call', async (_, shown, host, reason) => {
    rig = await (await AgentRig.start({ ...SECURE, names: EVERYBODY_HERE })).withClient();
    let heard = 0;
    const server = createServer(shown, (socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (bytes: Buffer) => (heard += bytes.length));
    });
    server.on('tlsClientError', () => undefined);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    release.push(() => new Promise((resolve) => server.close(resolve)));
    const { port } = server.address() as AddressInfo;
    expect(await call(`sip:peer@${host}:${port};transport=tls`)).toBe(503);
    const failed = await failure();
    expect(failed).toMatchObject({ address: '127.0.0.1', port });
    expect(failed.reason).toMatch(reason);
    expect(heard).toBe(0);
  });

  test('is not connected to again when it has connected to us, shown who it is, and offered that', async () => {
    rig = await (await AgentRig.start({ ...MUTUAL, names: EVERYBODY_HERE })).withClient();
    const peer = await rig.tlsPeer(LOOPBACK);
    const offer = new PeerCall(peer, rig.port('tls'));
    peer.send(offer.request('OPTIONS').replace(';rport', ';rport;alias'));
    await peer.next('200 OPTIONS');
    const calling = call(`sip:peer@127.0.0.1:${peer.port};transport=tls`);
    respond(peer, await peer.next('INVITE'), '486 Busy Here', { tag: 'callee' });
    expect(await calling).toBe(486);
    expect(peer.connections).toBe(1);
    // Under another name it would be somebody else.
    const other = call(`sip:peer@pranthora.test:${peer.port};transport=tls`);
    expect(await other).toBe(503);
  });

  test('is connected to all the same when it has offered that without showing who it is', async () => {
    rig = await (await AgentRig.start(SECURE)).withClient();
    const peer = await rig.tlsPeer(LOOPBACK);
    peer.send(new PeerCall(peer, rig.port('tls')).request('OPTIONS').replace(';rport', ';rport;alias'));
    await peer.next('200 OPTIONS');
    const calling = call(`sip:peer@127.0.0.1:${peer.port};transport=tls`);
    respond(peer, await peer.next('INVITE'), '486 Busy Here', { tag: 'callee' });
    expect(await calling).toBe(486);
    expect(peer.connections).toBe(2);
  });

  test('has five seconds to open a connection', async () => {
    const clock = new FakeClock();
    rig = await (await AgentRig.start({ ...SECURE, clock })).withClient();
    const { createServer: createPlainServer } = await import('node:net');
    const mute = createPlainServer((socket) => {
      release.push(() => socket.destroy());
      socket.on('error', () => undefined).resume();
    });
    mute.listen(0, '127.0.0.1');
    await once(mute, 'listening');
    release.push(() => mute.close());
    const calling = call(`sip:peer@127.0.0.1:${(mute.address() as AddressInfo).port};transport=tls`);
    await once(mute, 'connection');
    for (let second = 0; second < 7; second++) clock.advance(1_000);
    expect(await calling).toBe(503);
  });
});
