import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { DrachtioSipEndpoint } from '../../src/signaling/drachtio/drachtio.js';
import type { IncomingInvite, SipRejection } from '../../src/signaling/sip-endpoint.js';
import { systemClock } from '../../src/clock.js';
import { AgentRig, type Protocol } from '../support/agent-rig.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { ANSWER, OFFER, PeerCall } from '../support/sip-call.js';
import { answer, hangUp, type SrfResponse } from '../support/srf-client.js';

/** What phones, PBXs and proxies do that the standard did not mean, over real sockets. */

let rig: AgentRig | undefined;
let endpoint: DrachtioSipEndpoint | undefined;

afterEach(async () => {
  endpoint?.close();
  endpoint = undefined;
  await rig?.close();
  expect(rig?.logger.events('sip.fault') ?? []).toEqual([]);
  rig = undefined;
});

async function begin(protocol: Protocol = 'udp') {
  const started = await AgentRig.start();
  rig = started;
  const peer = await started.peer(protocol);
  return { rig: started, peer, call: new PeerCall(peer, started.port(protocol)) };
}

/** With the bridge's own client behind the agent, which keeps its INVITEs. */
async function withEndpoint(onOptions?: (uri: string) => SipRejection | undefined) {
  const begun = await begin();
  const invites: IncomingInvite[] = [];
  let told: (() => void) | undefined;
  endpoint = new DrachtioSipEndpoint(
    { ...begun.rig.addresses.wire, secret: 'between us', clock: systemClock, logger: new RecordingLogger() },
    {
      onInvite: (invite) => {
        invites.push(invite);
        told?.();
      },
      ...(onOptions && { onOptions: ({ requestUri }) => onOptions(requestUri.uri) }),
      onConnection: () => undefined,
    },
  );
  await endpoint.connect();
  const next = async (): Promise<IncomingInvite> => {
    for (;;) {
      const invite = invites.shift();
      if (invite) return invite;
      await new Promise<void>((resolve) => (told = resolve));
    }
  };
  return { ...begun, next };
}

const HANDLERS = {
  onEnd: () => undefined,
  onAck: () => undefined,
  onRenegotiate: () => Promise.resolve(ANSWER),
};

const untagged = (text: string): string => text.replace(/(From: [^\r]*?);tag=\w+/, '$1');

test('a caller without a From tag: a whole call, ended by either side', async () => {
  const { rig: agent, peer, call } = await begin();
  await agent.withClient();
  for (const endedBy of ['caller', 'us'] as const) {
    const one = endedBy === 'caller' ? call : new PeerCall(peer, agent.port('udp'));
    peer.send(untagged(one.request('INVITE', { body: OFFER })));
    const { request, response } = await agent.nextInvite();
    const dialog = await answer(agent.srf, request, response, ANSWER);
    const ok = await peer.next('200 INVITE');
    one.remoteTag = ok.tag('To');
    peer.send(untagged(one.request('ACK')));
    if (endedBy === 'caller') {
      one.sequence = 2;
      peer.send(untagged(one.request('BYE')));
      await peer.next('200 BYE');
    } else {
      const ended = hangUp(dialog);
      const bye = await peer.next('BYE');
      expect(bye.tag('To')).toBe('');
      peer.send(
        `SIP/2.0 200 OK\r\nVia: ${bye.header('Via')}\r\nFrom: ${bye.header('From')}\r\nTo: ${bye.header('To')}\r\n` +
          `Call-ID: ${bye.header('Call-ID')}\r\nCSeq: ${bye.header('CSeq')}\r\nContent-Length: 0\r\n\r\n`,
      );
      await ended;
    }
    expect(agent.agent.stats().dialogs).toBe(0);
  }
});

test('a connection that is gone while it rings: the answer comes over another', async () => {
  const { rig: agent, call } = await begin('tcp');
  await agent.withClient();
  const heard: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('data', (chunk) => heard.push(chunk.toString()));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const gone = await agent.tcpPeer();
  const lost = new PeerCall(gone, agent.port('tcp'));
  gone.send(
    lost.request('INVITE', { body: OFFER }).replace(/Via: SIP\/2\.0\/TCP [^;]*/, `Via: SIP/2.0/TCP 127.0.0.1:${port}`),
  );
  const { request, response } = await agent.nextInvite();
  await gone.close();
  await expect.poll(() => agent.agent.stats().connections).toBe(1);
  const connected = once(server, 'connection');
  await answer(agent.srf, request, response, ANSWER);
  await connected;
  await expect.poll(() => heard.join('')).toContain('SIP/2.0 200 OK');
  expect(heard.join('')).toContain(`Call-ID: ${lost.callId}`);
  // Others are not disturbed.
  call.send('OPTIONS');
  await call.peer.next('200 OPTIONS');
  for (const socket of sockets) socket.destroy();
  server.close();
});

test.each(['first', 'second'] as const)('two INVITEs of one Call-ID ring, the %s is cancelled', async (which) => {
  const { rig: agent, peer, call, next } = await withEndpoint();
  const other = new PeerCall(peer, agent.port('udp'));
  Object.assign(other, { callId: call.callId });
  call.invite();
  const one = await next();
  other.invite();
  const two = await next();
  expect([one.callId, two.callId]).toEqual([call.callId, call.callId]);
  const cancelled: string[] = [];
  one.onCancel = () => cancelled.push('first');
  two.onCancel = () => cancelled.push('second');
  const [gone, left] = which === 'first' ? [call, other] : [other, call];
  gone.cancel();
  gone.ack(await peer.next('487 INVITE'));
  await expect.poll(() => cancelled).toEqual([which]);
  const answered = (which === 'first' ? two : one).answer(ANSWER, HANDLERS);
  left.ack(await peer.next('200 INVITE'));
  const dialog = await answered;
  left.next('BYE');
  await peer.next('200 BYE');
  await dialog.bye();
});

test('requests before the answer are answered, and the call is too', async () => {
  const { peer, call, next } = await withEndpoint(() => ({ status: 503 }));
  call.invite();
  const invite = await next();
  invite.ring();
  const { status, ...ringing } = await peer
    .next('180 INVITE')
    .then((response) => ({ status: response.status, tag: response.tag('To') }));
  expect(status).toBe(180);
  call.remoteTag = ringing.tag;
  call.next('UPDATE');
  expect((await peer.next('200 UPDATE')).header('Contact')).toContain('sip:');
  call.next('UPDATE', { body: OFFER });
  expect((await peer.next('500 UPDATE')).header('Retry-After')).toMatch(/^\d+$/);
  call.next('UPDATE', {
    body: 'note',
    headers: ['Content-Type: text/plain', 'Content-Disposition: render;handling=optional'],
  });
  // While the offer is unanswered any body may be another: the agent does not look into it.
  await peer.next('500 UPDATE');
  call.next('OPTIONS');
  const options = await peer.next('200 OPTIONS');
  for (const name of ['Allow', 'Accept', 'Supported']) expect(options.header(name)).not.toBe('');
  call.next('INFO', { body: 'Signal=1\r\n', headers: ['Content-Type: application/dtmf-relay'] });
  await peer.next('200 INFO');
  call.next('PRACK', { headers: ['RAck: 1 1 INVITE'] });
  await peer.next('481 PRACK');
  call.next('NOTIFY', { headers: ['Event: refer'] });
  await peer.next('481 NOTIFY');
  const answered = invite.answer(ANSWER, HANDLERS);
  const ok = await peer.next('200 INVITE');
  call.ack(ok, { sequence: 1 });
  await answered;
  call.next('BYE');
  await peer.next('200 BYE');
});

test('OPTIONS is what the client says, and 481 in a dialog there is not', async () => {
  const asked: string[] = [];
  let verdict: SipRejection | undefined = { status: 503, retryAfterSec: 5, warning: 'draining' };
  const { peer, call } = await withEndpoint((uri) => {
    asked.push(uri);
    return verdict;
  });
  call.send('OPTIONS');
  const refused = await peer.next('503 OPTIONS');
  expect([refused.header('Retry-After'), refused.header('Warning')]).toEqual([
    '5',
    expect.stringContaining('draining'),
  ]);
  verdict = undefined;
  call.next('OPTIONS');
  const ok = await peer.next('200 OPTIONS');
  for (const name of ['Allow', 'Accept', 'Supported']) expect(ok.header(name)).not.toBe('');
  expect(ok.header('Supported')).toContain('timer');
  call.next('OPTIONS', { toTag: 'unheard' });
  await peer.next('481 OPTIONS');
  expect(asked).toEqual([call.target, call.target]);
});

test('a body that has to be understood: 415 with what would be, in a call as well', async () => {
  const { peer, call, next } = await withEndpoint();
  call.invite({ body: 'x', headers: ['Content-Type: application/isup'] });
  const refused = await next();
  expect(refused.offer).toBeUndefined();
  refused.reject(refused.bodyRefusal ?? { status: 500 });
  const response = await peer.next('415 INVITE');
  call.ack(response);
  expect(response.header('Accept')).toContain('application/sdp');
  const two = new PeerCall(peer, Number(/:(\d+)$/.exec(call.target)?.[1]));
  const multipart = `--b\r\nContent-Type: application/sdp\r\n\r\n${OFFER}\r\n--b--\r\n`;
  two.invite({ body: multipart, headers: ['Content-Type: multipart/mixed;boundary=b'] });
  const invite = await next();
  expect(invite.offer).toBe(OFFER);
  const offers: (string | undefined)[] = [];
  const answered = invite.answer(ANSWER, {
    ...HANDLERS,
    onRenegotiate: ({ offer }) => {
      offers.push(offer);
      return Promise.resolve(ANSWER);
    },
  });
  two.ack(await peer.next('200 INVITE'));
  await answered;
  for (const method of ['INVITE', 'UPDATE']) {
    two.next(method, { body: multipart, headers: ['Content-Type: multipart/related;boundary=b'] });
    const ok = await peer.next(`200 ${method}`);
    if (method === 'INVITE') two.ack(ok);
    two.next(method, { body: 'x', headers: ['Content-Type: text/html'] });
    const no = await peer.next(`415 ${method}`);
    expect(no.header('Accept')).toContain('application/sdp');
    if (method === 'INVITE') two.ack(no);
  }
  expect(offers).toEqual([OFFER, OFFER]);
  two.next('BYE');
  await peer.next('200 BYE');
});

test('OPTIONS that the client leaves unanswered: 256 wait, further ones get 503, and they go on when it answers', async () => {
  const { rig: agent, peer, call } = await begin('tcp');
  const held: SrfResponse[] = [];
  await agent.withClient((srf) => srf.options((_, response) => held.push(response)));
  for (let sequence = 1; sequence <= 257; sequence++) call.send('OPTIONS', { sequence, toTag: '' });
  expect((await peer.next('503 OPTIONS')).header('Retry-After')).toBe('1');
  await expect.poll(() => held.length).toBe(256);
  for (const response of held.splice(0)) response.send(200);
  for (let count = 0; count < 256; count++) await peer.next('200 OPTIONS');
  call.send('OPTIONS', { sequence: 258, toTag: '' });
  await expect.poll(() => held.length).toBe(1);
  held[0]?.send(200);
  await peer.next('200 OPTIONS');
});
