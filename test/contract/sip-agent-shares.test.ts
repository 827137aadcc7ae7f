import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { tcpSockets } from '../../src/sip-agent/transport/stream-sockets.js';
import { StreamTransport } from '../../src/sip-agent/transport/stream.js';
import type { Flow } from '../../src/sip-agent/transport/flow.js';
import { AgentRig, CollectingLogger } from '../support/agent-rig.js';
import { FakeClock } from '../support/fake-clock.js';
import { ANSWER, PeerCall } from '../support/sip-call.js';
import { sipText } from '../support/sip-peer.js';
import { answer } from '../support/srf-client.js';
import { steadyClock } from '../support/steady-clock.js';

const OPTIONS = sipText([
  'OPTIONS sip:x SIP/2.0',
  'Via: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1',
  'From: <sip:a@b>;tag=1',
  'To: <sip:a@b>',
  'Call-ID: 1',
  'CSeq: 1 OPTIONS',
]);

describe('TCP connections', () => {
  const MAX = 8;
  const sockets: Socket[] = [];
  const logger = new CollectingLogger();
  let transport: StreamTransport | undefined;
  let strange = false;
  /** Of each message that came, the way back. */
  let flows: Flow[] = [];

  async function open(): Promise<StreamTransport> {
    return (transport = await StreamTransport.open({
      listen: { protocol: 'tcp', address: '127.0.0.1', port: 0, text: '' },
      sockets: tcpSockets,
      sink: { message: (_, __, flow) => flows.push(flow), malformed: () => undefined },
      logger,
      clock: steadyClock,
      advertise: undefined,
      maxConnections: MAX,
      allow: () => !strange,
      failed: () => undefined,
    }));
  }

  /** A connection that has shown that it is taken, or been closed. */
  async function dial(localAddress: string): Promise<Socket> {
    const before = flows.length;
    const socket = connect({ port: transport?.bound.port ?? 0, host: '127.0.0.1', localAddress });
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.resume();
    socket.write(OPTIONS);
    await vi.waitFor(() => expect(flows.length > before || socket.closed).toBe(true));
    return socket;
  }

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await transport?.close();
    flows = [];
    strange = false;
    logger.lines.length = 0;
  });

  test('one source has a quarter of at most, and gets them back', async () => {
    await open();
    const first = await dial('127.0.0.7');
    await dial('127.0.0.7');
    expect((await dial('127.0.0.7')).closed).toBe(true);
    expect((await dial('127.0.0.8')).closed).toBe(false);
    first.destroy();
    await once(first, 'close');
    await vi.waitFor(() => expect(transport?.connections).toBe(2));
    expect((await dial('127.0.0.7')).closed).toBe(false);
    expect(logger.lines).toEqual([{ event: 'sip.connection_refused', address: '127.0.0.7', connections: 2 }]);
  });

  test('when there are no more, the longest idle without a call yields to a source that has fewer', async () => {
    await open();
    const held = await dial('127.0.0.11');
    flows[0]?.hold();
    const idle = await dial('127.0.0.11');
    const others: Socket[] = [];
    for (const source of [12, 12, 13, 13, 14, 14]) others.push(await dial(`127.0.0.${source}`));
    strange = true;
    expect((await dial('127.0.0.16')).closed).toBe(true);
    strange = false;
    expect((await dial('127.0.0.15')).closed).toBe(false);
    await vi.waitFor(() => expect(idle.closed).toBe(true));
    expect(held.closed).toBe(false);
    expect(others.every((socket) => !socket.closed)).toBe(true);
    // The others have one or two each: whoever has one gets no second at the cost of a source with one.
    expect((await dial('127.0.0.15')).closed).toBe(false);
    expect((await dial('127.0.0.15')).closed).toBe(true);
    expect(held.closed).toBe(false);
  });
});

describe('calls that nobody acknowledges', () => {
  let rig: AgentRig | undefined;

  afterEach(async () => {
    await rig?.close();
  });

  test('are 64 of one source; the next is lost until an ACK makes room, and after 4 s refused', async () => {
    const clock = new FakeClock();
    rig = await AgentRig.start({ clock });
    await rig.withClient();
    const peer = await rig.udpPeer();
    const newCall = (): PeerCall => new PeerCall(peer, rig?.port('udp') ?? 0);
    const calls = Array.from({ length: 64 }, newCall);
    for (const call of calls) {
      call.invite();
      const { request, response } = await rig.nextInvite();
      await answer(rig.srf, request, response, ANSWER);
    }
    const next = newCall();
    const text = next.invite();
    newCall().send('OPTIONS');
    await peer.next('200 OPTIONS');
    expect(rig.agent.stats().serverTransactions).toBe(65);
    clock.advance(4_000);
    const late = newCall();
    late.invite();
    const refused = await peer.next('503 INVITE');
    expect(refused.header('Call-ID')).toBe(late.callId);
    expect(Number(refused.header('Retry-After'))).toBeGreaterThan(0);
    const ok = peer.received.find(
      (message) => message.status === 200 && message.header('Call-ID') === calls[0]?.callId,
    );
    if (!ok) throw new Error('no 200');
    calls[0]?.ack(ok);
    peer.send(text);
    const { request } = await rig.nextInvite();
    expect(request.get('Call-ID')).toBe(next.callId);
    expect(peer.received.filter((message) => message.header('Call-ID') === next.callId)).toEqual([]);
    expect(rig.logger.events('sip.unacknowledged_calls')).toHaveLength(1);
  });
});
