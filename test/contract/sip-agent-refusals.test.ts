import { connect } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { SipAgent, type SipAgentOptions } from '../../src/sip-agent/agent.js';
import { AgentRig, CollectingLogger, type Protocol } from '../support/agent-rig.js';
import { ANSWER, branch, OFFER, PeerCall } from '../support/sip-call.js';
import { closed, TcpPeer } from '../support/sip-peer.js';
import { FakeClock } from '../support/fake-clock.js';
import { answer, connectSrf } from '../support/srf-client.js';
import { steadyClock } from '../support/steady-clock.js';

let rig: AgentRig | undefined;

afterEach(async () => {
  await rig?.close();
  expect(rig?.logger.events('sip.fault') ?? []).toEqual([]);
  rig = undefined;
});

async function begin(protocol: Protocol = 'udp', options: Partial<SipAgentOptions> = {}, client = true) {
  const started = await AgentRig.start(options);
  rig = started;
  if (client) await started.withClient();
  const peer = await started.peer(protocol);
  return { rig: started, peer, call: new PeerCall(peer, started.port(protocol)) };
}

describe('without asking anybody', () => {
  test('OPTIONS is answered with what the agent can do', async () => {
    const { peer, call } = await begin('udp', {}, false);
    call.send('OPTIONS');
    const ok = await peer.next('200 OPTIONS');
    expect(ok.header('Allow')).toBe('INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY, MESSAGE, REFER');
    expect(ok.header('Accept')).toMatch(/^application\/sdp, multipart\/mixed/);
    expect(ok.tag('To')).not.toBe('');
  });

  test.each([
    ['INVITE', 503],
    ['MESSAGE', 503],
    ['REGISTER', 405],
    ['BLURB', 501],
    ['BYE', 481],
    ['UPDATE', 481],
  ])('%s is refused with %d', async (method, status) => {
    const { peer, call } = await begin('udp', {}, false);
    call.send(method, method === 'INVITE' ? { branch: (call.inviteBranch = branch()) } : {});
    const refused = await peer.next(`${status} ${method}`);
    expect(refused.tag('To')).not.toBe('');
    if (status === 405) expect(refused.header('Allow')).toContain('INVITE');
    if (method === 'INVITE') call.ack(refused);
  });

  test('an extension it does not have: 420 and its name', async () => {
    const { peer, call } = await begin();
    call.invite({ headers: ['Require: 100rel, x-unheard-of', 'Require: timer, x-nor-that'] });
    const refused = await peer.next('420 INVITE');
    expect(refused.header('Unsupported')).toBe('x-unheard-of, x-nor-that');
    call.ack(refused);
  });

  test('Replaces in anything but an INVITE: 400 (RFC 3891 section 3)', async () => {
    const { peer, call } = await begin();
    const headers = ['Replaces: a@b;to-tag=1;from-tag=2', 'Require: replaces'];
    call.send('OPTIONS', { headers });
    await peer.next('400 OPTIONS');
    call.send('OPTIONS', { headers: ['Require: replaces'], sequence: 2 });
    expect((await peer.next('200 OPTIONS')).header('Supported')).toBe('100rel, timer, replaces');
  });

  test('a request that has gone round too often: 483', async () => {
    const { peer, call } = await begin();
    const spent = (text: string): string => text.replace('Max-Forwards: 70', 'Max-Forwards: 0');
    peer.send(spent(call.request('INVITE', { body: OFFER })));
    await peer.next('483 INVITE');
    peer.send(spent(call.request('OPTIONS')));
    await peer.next('200 OPTIONS');
  });

  test.each([
    ['no Contact', (text: string) => text.replace(/Contact: .*\r\n/, '')],
    [
      'a Contact that is no SIP address',
      (text: string) => text.replace(/Contact: .*\r\n/, 'Contact: <tel:+4930123>\r\n'),
    ],
    ['a From tag that is no token', (text: string) => text.replace(/(From: .*?;tag=)\w+/, '$1"a|b"')],
  ])('an INVITE with %s: 400', async (_, damage) => {
    const { rig, peer, call } = await begin();
    peer.send(damage(call.request('INVITE', { body: OFFER })));
    await peer.next('400 INVITE');
    expect(rig.agent.stats().dialogs).toBe(0);
  });

  test('another copy of a request under way: 482', async () => {
    const { rig, peer, call } = await begin();
    call.invite();
    const { response } = await rig.nextInvite();
    const first = call.inviteBranch;
    call.invite();
    const merged = await peer.next('482 INVITE');
    call.ack(merged);
    response.send(486);
    call.inviteBranch = first;
    call.ack(await peer.next('486 INVITE'));
  });

  test.each(['INVITE', 'OPTIONS'])(
    'the same %s sent on another way once it is answered: a request of its own',
    async (method) => {
      const { rig, peer, call } = await begin();
      for (const status of [486, 404]) {
        call.send(method, { toTag: '', sequence: 1 });
        if (method === 'OPTIONS') {
          await peer.next('200 OPTIONS');
          continue;
        }
        const { response } = await rig.nextInvite();
        response.send(status);
        await peer.next(`${status} INVITE`);
      }
      expect(peer.count(`482 ${method}`)).toBe(0);
    },
  );

  test('a second INVITE that would make a dialog of the same name: 482', async () => {
    const { rig, peer, call } = await begin();
    call.invite();
    const { response } = await rig.nextInvite();
    call.sequence = 2;
    call.invite();
    await peer.next('482 INVITE');
    expect(rig.agent.stats().dialogs).toBe(1);
    response.send(486);
    await peer.next('486 INVITE');
  });

  test('malformed messages: 400 and the like, or silence', async () => {
    const { rig, peer, call } = await begin();
    peer.send(call.request('OPTIONS').replace('SIP/2.0\r\n', 'SIP/3.0\r\n'));
    await peer.next('505 OPTIONS');
    peer.send(call.request('OPTIONS').replace(/Call-ID: .*\r\n/, ''));
    await peer.next('400 OPTIONS');
    peer.send(call.request('OPTIONS').replace(/^OPTIONS sip:[^ ]*/, 'OPTIONS news:alt.sip'));
    await peer.next('416 OPTIONS');
    const answers = peer.received.length;
    peer.send('\r\n\r\n');
    peer.send('hello');
    peer.send(call.request('ACK').replace(/Call-ID: .*\r\n/, ''));
    call.send('OPTIONS');
    await peer.next('200 OPTIONS');
    expect(peer.received).toHaveLength(answers + 1);
    expect(rig.agent.stats().malformed).toBe(5);
  });

  test('answers go to the source, to its port when it asks so, else to that of its Via', async () => {
    const { rig, peer, call } = await begin();
    const other = await rig.peer('udp');
    // The Via names another host; the answer comes back here all the same.
    peer.send(call.request('OPTIONS').replace(`UDP 127.0.0.1:${peer.port}`, 'UDP 192.0.2.66:9'));
    const answered = await peer.next('200 OPTIONS');
    expect(answered.header('Via')).toContain(`;rport=${peer.port};received=127.0.0.1`);
    peer.send(call.request('OPTIONS', { sequence: 2 }).replace(`${peer.port};rport`, String(other.port)));
    await other.next('200 OPTIONS');
    // Node cannot send to port 0: nothing happens, and nobody falls over.
    peer.send(call.request('OPTIONS', { sequence: 3 }).replace(`${peer.port};rport`, '0'));
    call.send('OPTIONS', { sequence: 4 });
    await peer.next('200 OPTIONS');
  });

  test('unknown sources get 403 and are logged once', async () => {
    const { rig, peer, call } = await begin('udp', { allow: () => false });
    call.invite();
    const refused = await peer.next('403 INVITE');
    call.ack(refused);
    call.send('OPTIONS', { toTag: '' });
    await peer.next('403 OPTIONS');
    peer.send('OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP x;rport\r\n\r\n');
    expect(rig.logger.events('sip.forbidden')).toEqual([
      {
        ...{ event: 'sip.forbidden', address: '127.0.0.1', method: 'INVITE', from: 'sip:peer@127.0.0.1', did: '1000' },
        ...{ setting: 'sip.allow', reason: 'its address is not in sip.allow' },
      },
    ]);
    expect(rig.agent.stats()).toMatchObject({ forbidden: 2, serverTransactions: 0, dialogs: 0 });
    expect(rig.offered).toEqual([]);
  });

  test('an RFC 2543 peer, whose branch says nothing', async () => {
    const { rig, peer, call } = await begin();
    const text = call.invite({ branch: '1' });
    const { response } = await rig.nextInvite();
    peer.send(text);
    response.send(486);
    const refused = await peer.next('486 INVITE');
    call.ack(refused, { branch: '1' });
    expect(rig.offered).toEqual([]);
  });
});

describe('TCP connections', () => {
  test('several messages in one segment, one message in many', async () => {
    const { peer, call } = await begin('tcp');
    peer.send(call.request('OPTIONS') + call.request('OPTIONS', { sequence: 2 }));
    await peer.next('200 OPTIONS');
    await peer.next('200 OPTIONS');
    for (const octet of call.request('OPTIONS', { sequence: 3 })) peer.send(octet);
    await peer.next('200 OPTIONS');
  });

  test('a double CRLF is answered with one', async () => {
    const { rig } = await begin('tcp');
    const socket = connect(rig.port('tcp'), '127.0.0.1');
    socket.write('\r\n\r\n');
    const [pong] = (await once(socket, 'data')) as [Buffer];
    expect(pong.toString()).toBe('\r\n');
    socket.destroy();
    await closed(socket);
  });

  test('nonsense is closed', async () => {
    const { rig } = await begin('tcp');
    const peer = await rig.tcpPeer();
    const gone = peer.closedByAgent();
    peer.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await gone;
  });

  test('a message that is never finished is given up', async () => {
    const clock = new FakeClock();
    const { rig } = await begin('udp', { clock });
    const peer = await rig.tcpPeer();
    const call = new PeerCall(peer, rig.port('tcp'));
    // One segment: when the first message is answered, the beginning of the second has been read.
    peer.send(call.request('OPTIONS') + call.request('OPTIONS', { sequence: 2 }).slice(0, 100));
    await peer.next('200 OPTIONS');
    const gone = peer.closedByAgent();
    clock.advance(9_000);
    expect(peer.connections).toBe(1);
    clock.advance(3_000);
    await gone;
    await vi.waitFor(() => expect(rig.agent.stats().connections).toBe(0));
  });

  test('idle connections are closed, one a call depends on is not', async () => {
    const clock = new FakeClock();
    const { rig } = await begin('udp', { clock });
    const idle = await rig.tcpPeer();
    const peer = await rig.tcpPeer();
    const call = new PeerCall(peer, rig.port('tcp'));
    call.invite();
    const { response } = await rig.nextInvite();
    expect(rig.agent.stats().connections).toBe(2);
    const idleClosed = idle.closedByAgent();
    clock.advance(16 * 60_000);
    await idleClosed;
    await vi.waitFor(() => expect(rig.agent.stats()).toMatchObject({ connections: 1, dialogs: 1 }));
    response.send(486);
    await peer.next('486 INVITE');
    const gone = peer.closedByAgent();
    clock.advance(16 * 60_000);
    await gone;
  });

  test('connections of unknown sources are closed after 10 s', async () => {
    const clock = new FakeClock();
    const { rig } = await begin('udp', { clock, allow: () => false });
    const peer = await rig.tcpPeer();
    new PeerCall(peer, rig.port('tcp')).send('OPTIONS');
    await peer.next('403 OPTIONS');
    const gone = peer.closedByAgent();
    clock.advance(12_000);
    await gone;
  });

  test('a request of ours to nobody there: 503', async () => {
    const { rig } = await begin('tcp');
    const gone = await TcpPeer.open({ address: '127.0.0.1', port: rig.port('tcp') });
    const { port } = gone;
    await gone.close();
    const calling = rig.srf.createUAC(`sip:x@127.0.0.1:${port};transport=tcp`, { localSdp: OFFER }, {});
    await expect(calling).rejects.toMatchObject({ status: 503 });
    expect(rig.agent.stats()).toMatchObject({ dialogs: 0, clientTransactions: 0 });
  });

  test('after the connection is lost a BYE of ours opens another', async () => {
    const { rig } = await begin('tcp');
    const peer = await rig.tcpPeer();
    const call = new PeerCall(peer, rig.port('tcp'));
    call.invite();
    const { request, response } = await rig.nextInvite();
    const dialog = await answer(rig.srf, request, response, ANSWER);
    const acknowledged = once(dialog, 'ack');
    call.ack(await peer.next('200 INVITE'));
    await acknowledged;
    await peer.hangUp();
    await vi.waitFor(() => expect(rig.agent.stats().connections).toBe(1));
    dialog.destroy({}, () => undefined);
    const bye = await peer.next('BYE');
    expect(bye.header('Via')).toContain('SIP/2.0/TCP');
  });
});

describe('starting and stopping', () => {
  const options = { secret: 's', clock: steadyClock, logger: new CollectingLogger() };

  test('all listeners or none, and the one at fault is named', async () => {
    const taken = new SipAgent({ ...options, listen: ['tcp://127.0.0.1:0'] });
    const { bound } = await taken.start();
    const port = bound[0]?.port ?? 0;
    const second = new SipAgent({ ...options, listen: ['udp://127.0.0.1:0', `tcp://127.0.0.1:${port}`] });
    await expect(second.start()).rejects.toThrow(`Cannot listen on tcp://127.0.0.1:${port}: `);
    const third = new SipAgent({ ...options, listen: [`udp://127.0.0.1:${port}`] });
    await third.start();
    await Promise.all([taken.stop(), taken.stop(), second.stop(), third.stop()]);
  });

  test.each([
    ['tls://127.0.0.1:0', 'tls needs a certificate and its key'],
    ['sctp://127.0.0.1:5060', 'expected udp://, tcp:// or tls://, address:port'],
    ['127.0.0.1:5060', 'expected udp://, tcp:// or tls://, address:port'],
    ['udp://localhost:5060', 'expected an IP address and a port'],
    ['udp://127.0.0.1:99999', 'expected an IP address and a port'],
  ])('%s cannot be listened on', async (text, why) => {
    const agent = new SipAgent({ ...options, listen: [text] });
    await expect(agent.start()).rejects.toThrow(`Cannot listen on ${text}: ${why}`);
  });

  test('on every interface, peers are told the address they reach', async () => {
    const { peer, call, rig } = await begin('udp', { listen: ['udp://0.0.0.0:0', 'tcp://0.0.0.0:0'] });
    call.invite();
    const { request, response } = await rig.nextInvite();
    expect(request.receivedOn).toBe(`127.0.0.1:${rig.port('udp')}`);
    response.send(180);
    expect((await peer.next(180)).header('Contact')).toBe(`<sip:127.0.0.1:${rig.port('udp')}>`);
    response.send(486);
    call.ack(await peer.next('486 INVITE'));
  });

  test.each(['udp', 'tcp'] as const)(
    'an advertised host stands in Contact over %s, for whom it is for',
    async (protocol) => {
      const advertise = (peerAddress: string): string => `to-${peerAddress.replaceAll('.', '-')}.example.org`;
      const { peer, call, rig } = await begin(protocol, { advertise });
      call.invite();
      const { response } = await rig.nextInvite();
      response.send(180);
      const transport = protocol === 'tcp' ? ';transport=tcp' : '';
      const contact = `<sip:to-127-0-0-1.example.org:${rig.port(protocol)}${transport}>`;
      expect((await peer.next(180)).header('Contact')).toBe(contact);
      response.send(486);
      call.ack(await peer.next('486 INVITE'));
    },
  );

  test('stopping in the middle of calls leaves nothing', async () => {
    const { rig, call, peer } = await begin();
    call.invite();
    await rig.nextInvite();
    const calling = rig.srf.createUAC(`sip:x@127.0.0.1:${peer.port}`, { localSdp: OFFER }, {});
    calling.catch(() => undefined);
    await peer.next('INVITE');
    await rig.agent.stop();
    expect(rig.agent.stats()).toMatchObject({
      ...{ dialogs: 0, serverTransactions: 0, clientTransactions: 0, connections: 0, clients: 0 },
    });
  });
});

describe('the wire', () => {
  test('a wrong secret is refused', async () => {
    const { rig } = await begin('udp', {}, false);
    await expect(connectSrf(rig.addresses.wire, 'guess', () => undefined)).rejects.toThrow('failed to authenticate');
    expect(rig.agent.stats().clients).toBe(0);
  });

  test('nothing is done before the secret', async () => {
    const { rig } = await begin('udp', {}, false);
    expect(await converse(rig, '14#id|route|invite')).toMatch(/\|response\|id\|NO\|not authenticated$/);
  });

  test('noise is closed', async () => {
    const { rig } = await begin('udp', {}, false);
    expect(await converse(rig, 'GET / HTTP/1.1\r\n\r\n')).toBe('');
    expect(await converse(rig, '99999#')).toBe('');
  });

  test('who says nothing is closed', async () => {
    const clock = new FakeClock();
    const { rig } = await begin('udp', { clock }, false);
    const heard = converse(rig, '');
    const timersBefore = clock.pendingTimers;
    await vi.waitFor(() => expect(clock.pendingTimers).toBeGreaterThan(timersBefore));
    clock.advance(5_000);
    expect(await heard).toBe('');
  });

  test('commands that cannot be carried out get NOK, and nothing breaks', async () => {
    const { rig } = await begin('udp', {}, false);
    const socket = connect(rig.addresses.wire.port, '127.0.0.1');
    const replies = frames(socket);
    const say = async (text: string): Promise<string> => {
      socket.write(`${Buffer.byteLength(text)}#${text}`);
      return (await replies.next()).value as string;
    };
    expect(await say('1|authenticate|between us|')).toMatch(
      /\|response\|1\|OK\|udp\/127.0.0.1:\d+,tcp\/.*\|v0\.9\.10\|udp/,
    );
    expect(await say('2|ping')).toMatch(/\|response\|2\|OK\|pong$/);
    expect(await say('3|proxy|x')).toMatch(/\|3\|NOK\|/);
    expect(await say('4|sip|unknown|\r\nSIP/2.0 200 OK\r\n\r\n')).toMatch(/\|4\|NOK\|Response not sent/);
    expect(await say('5|sip||no-dialog\r\nBYE sip:placeholder SIP/2.0\r\n\r\n')).toMatch(/NOK\|unable to find dialog/);
    expect(await say('6|sip||no-dialog\r\nACK sip:placeholder SIP/2.0\r\n\r\n')).toMatch(/NOK\|ACK for non-success/);
    expect(await say('7|sip|unknown|\r\nCANCEL sip:a SIP/2.0\r\n\r\n')).toMatch(/NOK\|unable to cancel unknown/);
    expect(await say('8|sip||\r\nOPTIONS garbage SIP/2.0\r\n\r\n')).toMatch(/NOK\|/);
    expect(await say('9|sip||\r\nOPTIONS sips:a@127.0.0.1 SIP/2.0\r\n\r\n')).toMatch(/NOK\|requested protocol/);
    // Sent, and not delivered.
    expect(await say('10|sip||\r\nOPTIONS sip:a@nohost.invalid SIP/2.0\r\n\r\n')).toMatch(/\|10\|OK\|/);
    expect((await replies.next()).value).toMatch(/\|sip\|network\|.*SIP\/2\.0 503 /s);
    expect(await say('11|sip||\r\n\r\n')).toMatch(/NOK\|invalid SIP message/);
    expect(await say('12|sip||\r\nINFO sip:a@127.0.0.1 SIP/2.0\r\n\r\nx')).toMatch(/NOK\|missing content-type/);
    expect(await say('13|ping')).toMatch(/OK\|pong$/);
    socket.destroy();
    await closed(socket);
  });
});

/** What the agent says on a fresh wire connection until it closes it. */
async function converse(rig: AgentRig, text: string): Promise<string> {
  const socket = connect(rig.addresses.wire.port, '127.0.0.1');
  let heard = '';
  socket.on('data', (chunk) => (heard += chunk.toString()));
  socket.on('error', () => undefined);
  if (text !== '') socket.write(text);
  await closed(socket);
  return heard;
}

async function* frames(socket: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let text = '';
  for await (const chunk of socket) {
    text += chunk.toString();
    for (let hash = text.indexOf('#'); hash > 0; hash = text.indexOf('#')) {
      const end = hash + 1 + Number(text.slice(0, hash));
      if (text.length < end) break;
      yield text.slice(hash + 1, end);
      text = text.slice(end);
    }
  }
}
