import { beforeEach, describe, expect, test } from 'vitest';
import type { Flow } from '../../../src/sip-agent/transport/flow.js';
import type { IncomingRequest } from '../../../src/sip-agent/transaction/incoming-request.js';
import { SipRequest, SipResponse } from '../../../src/sip-agent/syntax/message.js';
import { parseDatagram } from '../../../src/sip-agent/syntax/parse.js';
import { sipTimers } from '../../../src/sip-agent/transaction/timers.js';
import { TransactionLayer, type TransactionUser } from '../../../src/sip-agent/transaction/layer.js';
import { FakeClock } from '../../support/fake-clock.js';
import { sipText, SipText } from '../../support/sip-peer.js';

/** A flow that keeps what it is given to send. */
class CollectingFlow implements Flow {
  readonly protocol = 'udp';
  readonly reliable = false;
  readonly usable = true;
  readonly remote: { address: string; port: number };
  readonly local = { address: '192.0.2.100', port: 5060 };
  readonly sent: SipText[] = [];

  constructor(address = '192.0.2.1') {
    this.remote = { address, port: 5060 };
  }

  toPort(): Flow {
    return this;
  }

  send(bytes: Buffer): void {
    this.sent.push(new SipText(bytes.toString()));
  }

  onFailure(): () => void {
    return () => undefined;
  }

  hold(): () => void {
    return () => undefined;
  }

  get statuses(): string[] {
    return this.sent.map((message) => `${message.status} ${message.method}`);
  }
}

class RecordingUser implements TransactionUser {
  readonly requests: IncomingRequest[] = [];
  readonly events: string[] = [];

  request(incoming: IncomingRequest): void {
    this.requests.push(incoming);
  }

  acknowledge(ack: SipRequest): void {
    this.events.push(`acknowledge ${ack.get('cseq') ?? ''}`);
  }

  cancel(invite: IncomingRequest): void {
    this.events.push(`cancel ${invite.envelope.callId}`);
    invite.reply(487);
  }

  abandoned(incoming: IncomingRequest): void {
    this.events.push(`abandoned ${incoming.method}`);
  }
}

let clock: FakeClock;
let layer: TransactionLayer;
let user: RecordingUser;
let flow: CollectingFlow;

beforeEach(() => {
  clock = new FakeClock();
  layer = new TransactionLayer({ clock, timers: sipTimers(), maxServerTransactions: 3 });
  user = new RecordingUser();
  flow = new CollectingFlow();
  layer.serve(user);
});

interface Parts {
  readonly branch?: string;
  readonly callId?: string;
  readonly sentBy?: string;
  readonly toTag?: string | undefined;
  readonly filler?: string;
  readonly from?: CollectingFlow;
}

function receive(method: string, parts: Parts = {}): void {
  const { branch = 'z9hG4bKa', callId = 'call', sentBy = '192.0.2.1', toTag, filler = '', from = flow } = parts;
  const text = sipText([
    `${method} sip:1000@192.0.2.100 SIP/2.0`,
    `Via: SIP/2.0/UDP ${sentBy};branch=${branch}`,
    'Max-Forwards: 70',
    'From: <sip:a@192.0.2.1>;tag=from',
    `To: <sip:1000@192.0.2.100>${toTag === undefined ? '' : `;tag=${toTag}`}`,
    `Call-ID: ${callId}`,
    `CSeq: 1 ${method}`,
    `X-Filler: ${filler}`,
  ]);
  const parsed = parseDatagram(Buffer.from(text));
  if (!parsed.ok || !(parsed.message instanceof SipRequest)) throw new Error('malformed');
  layer.receiveRequest(parsed.message, parsed.envelope, from);
}

function respond(request: SipText, status: number): void {
  const text = sipText([
    `SIP/2.0 ${status} Whatever`,
    ...['Via', 'From', 'Call-ID', 'CSeq'].map((name) => `${name}: ${request.header(name)}`),
    `To: ${request.header('To')};tag=theirs`,
  ]);
  const parsed = parseDatagram(Buffer.from(text));
  if (!parsed.ok || !(parsed.message instanceof SipResponse)) throw new Error('malformed');
  layer.receiveResponse(parsed.message, parsed.envelope, '192.0.2.9');
}

describe('requests received', () => {
  test('belong to a transaction by branch, sent-by and method', () => {
    receive('OPTIONS');
    receive('OPTIONS');
    expect(user.requests).toHaveLength(1);
    receive('OPTIONS', { sentBy: '192.0.2.2', callId: 'second' });
    receive('INFO', { callId: 'third' });
    expect(user.requests).toHaveLength(3);
  });

  test('beyond the limit get 503 and no transaction', () => {
    for (const callId of ['1', '2', '3', '4', '5']) receive('OPTIONS', { branch: `z9hG4bK${callId}`, callId });
    receive('ACK', { branch: 'z9hG4bK6', callId: '6', toTag: 'x' });
    expect(flow.statuses).toEqual(['503 OPTIONS', '503 OPTIONS']);
    expect(layer.serverTransactions).toBe(3);
    clock.advance(32_000);
    expect(layer.serverTransactions).toBe(0);
    expect(user.events.filter((event) => event === 'abandoned OPTIONS')).toHaveLength(3);
    expect(clock.pendingTimers).toBe(0);
  });

  test('what ends work under way is still heard beyond the limit, up to a limit of its own', () => {
    layer = new TransactionLayer({ clock, timers: sipTimers(), maxServerTransactions: 4 });
    layer.serve(user);
    receive('INVITE', { branch: 'z9hG4bKinvite', callId: 'invite' });
    for (const callId of ['1', '2', '3', '4']) receive('OPTIONS', { branch: `z9hG4bK${callId}`, callId });
    expect(flow.statuses).toEqual(['503 OPTIONS']);
    receive('CANCEL', { branch: 'z9hG4bKinvite', callId: 'invite' });
    expect(flow.statuses.slice(1)).toEqual(['200 CANCEL', '487 INVITE']);
    // The CANCEL and its INVITE are answered, and make room.
    for (const id of [1, 2]) receive('BYE', { branch: `z9hG4bKbye${id}`, toTag: 'x' });
    expect(user.requests.filter(({ method }) => method === 'BYE')).toHaveLength(2);
    receive('BYE', { branch: 'z9hG4bKbye3', toTag: 'x' });
    expect(flow.statuses.at(-1)).toBe('503 BYE');
    expect(layer.shed).toBe(2);
    layer.close();
    expect(clock.pendingTimers).toBe(0);
  });

  test('of those outside calls the one answered longest ago makes room for new work', () => {
    layer = new TransactionLayer({ clock, timers: sipTimers(), maxServerTransactions: 5 });
    layer.serve(user);
    const request = (method: string, id: string, toTag?: string) => {
      receive(method, { branch: `z9hG4bK${id}`, callId: id, toTag });
      return user.requests.at(-1);
    };
    request('INVITE', 'call')?.send(new SipResponse(200, 'OK'));
    request('BYE', 'bye', 'x')?.reply(200);
    request('OPTIONS', 'pending');
    request('INVITE', 'refused')?.reply(404);
    request('OPTIONS', 'answered')?.reply(200);
    flow.sent.length = 0;
    request('INVITE', 'new');
    request('OPTIONS', 'newer');
    expect(user.requests).toHaveLength(7);
    // What is forgotten is answered anew; the others absorb repetitions still, and make no room.
    request('INVITE', 'call');
    request('BYE', 'bye', 'x');
    request('OPTIONS', 'pending');
    expect(user.requests).toHaveLength(7);
    request('INVITE', 'refused');
    expect(flow.statuses).toEqual(['200 BYE', '503 INVITE']);
    layer.close();
    expect(clock.pendingTimers).toBe(0);
  });

  test('make room in octets, too', () => {
    layer = new TransactionLayer({ clock, timers: sipTimers(), maxServerTransactions: 100, maxServerOctets: 20_000 });
    layer.serve(user);
    const sources = Array.from({ length: 10 }, (_, index) => new CollectingFlow(`192.0.2.${index}`));
    for (const [index, from] of sources.entries()) {
      receive('OPTIONS', { branch: `z9hG4bK${index}`, callId: String(index), filler: 'f'.repeat(6_000), from });
      user.requests.at(-1)?.send(new SipResponse(200, 'OK').add('warning', 'w'.repeat(6_000)));
    }
    expect(user.requests).toHaveLength(10);
    expect(layer.serverOctets).toBeLessThan(30_000);
  });

  test('hold no more octets than they may, and those of one source no more than half of that', () => {
    layer = new TransactionLayer({ clock, timers: sipTimers(), maxServerTransactions: 100, maxServerOctets: 20_000 });
    layer.serve(user);
    const other = new CollectingFlow('192.0.2.2');
    const filler = 'f'.repeat(6_000);
    const options = (index: number, from: CollectingFlow) =>
      receive('OPTIONS', { branch: `z9hG4bK${index}`, callId: String(index), filler, from });
    for (const index of [1, 2, 3]) options(index, flow);
    expect(flow.statuses).toEqual(['503 OPTIONS']);
    receive('BYE', { branch: 'z9hG4bKbye', toTag: 'x', filler });
    expect(user.requests.map(({ method }) => method)).toEqual(['OPTIONS', 'OPTIONS', 'BYE']);
    for (const index of [4, 5]) options(index, other);
    expect(user.requests).toHaveLength(4);
    expect(other.statuses).toEqual(['503 OPTIONS']);
    expect(layer.serverOctets).toBeGreaterThan(20_000);
    // Of what is answered, the answer is kept.
    for (const request of user.requests) request.reply(200);
    expect(layer.serverOctets).toBeLessThan(2_000);
    options(6, flow);
    expect(user.requests).toHaveLength(5);
    clock.advance(64_000);
    expect(layer.serverOctets).toBe(0);
  });

  test('overloaded, new work gets 503 and a time to come back, each copy the same tag', () => {
    layer = new TransactionLayer({
      clock,
      timers: sipTimers(),
      maxServerTransactions: 4,
      overloaded: () => true,
    });
    layer.serve(user);
    receive('INVITE');
    receive('INVITE');
    receive('INVITE', { branch: 'z9hG4bKother', callId: 'other' });
    const [first, again, other] = flow.sent;
    expect(flow.statuses).toEqual(['503 INVITE', '503 INVITE', '503 INVITE']);
    expect(first?.tag('To')).toMatch(/^[0-9a-f]{16}$/);
    expect(again?.tag('To')).toBe(first?.tag('To'));
    expect(other?.tag('To')).not.toBe(first?.tag('To'));
    for (const refused of flow.sent) expect(Number(refused.header('Retry-After'))).toBeGreaterThanOrEqual(5);
    receive('BYE', { branch: 'z9hG4bKbye', toTag: 'x' });
    expect(user.requests.map(({ method }) => method)).toEqual(['BYE']);
    expect(layer.shed).toBe(3);
    layer.close();
    expect(clock.pendingTimers).toBe(0);
  });

  test('copies that came another way get 482 while the first is under way', () => {
    receive('OPTIONS', { branch: 'z9hG4bK1' });
    receive('OPTIONS', { branch: 'z9hG4bK2' });
    expect(flow.statuses).toEqual(['482 OPTIONS']);
    user.requests[0]?.reply(503);
    receive('OPTIONS', { branch: 'z9hG4bK3' });
    expect(user.requests).toHaveLength(2);
    clock.advance(64_000);
    receive('OPTIONS', { branch: 'z9hG4bK4' });
    expect(user.requests).toHaveLength(3);
    layer.close();
    expect(clock.pendingTimers).toBe(0);
  });

  test('a CANCEL is answered with the tag of its INVITE, and reaches the user while there is something to cancel', () => {
    receive('INVITE');
    receive('CANCEL');
    const [cancelled, terminated] = flow.sent;
    expect(flow.statuses).toEqual(['200 CANCEL', '487 INVITE']);
    expect(cancelled?.tag('To')).toBe(terminated?.tag('To'));
    receive('CANCEL');
    expect(flow.statuses.at(-1)).toBe('200 CANCEL');
    expect(user.events).toEqual(['cancel call']);
    receive('ACK', { toTag: terminated?.tag('To') ?? '' });
    expect(user.events).toEqual(['cancel call']);
    clock.advance(64_000);
    expect(layer.serverTransactions).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  test('an ACK for a 2xx reaches the user', () => {
    receive('INVITE');
    const [incoming] = user.requests;
    incoming?.reply(200);
    receive('ACK', { branch: 'z9hG4bKother', toTag: incoming?.toTag ?? '' });
    expect(user.events).toEqual(['acknowledge 1 ACK']);
    layer.close();
  });
});

describe('requests sent', () => {
  function request(method: string): SipRequest {
    const sent = new SipRequest(method, 'sip:b@192.0.2.1');
    sent.add('from', '<sip:me@192.0.2.100>;tag=ours').add('to', '<sip:b@192.0.2.1>');
    return sent.add('call-id', 'out').add('cseq', `5 ${method}`);
  }

  test('a response without a transaction is dropped', () => {
    const heard: number[] = [];
    layer.send(request('INFO'), flow, {
      response: ({ status }) => heard.push(status),
      failed: () => heard.push(0),
    });
    const [sent] = flow.sent;
    if (!sent) throw new Error('nothing sent');
    expect(sent.header('Via')).toMatch(/^SIP\/2\.0\/UDP 192\.0\.2\.100:5060;rport;branch=z9hG4bK[0-9a-f]{24}$/);
    respond(new SipText(sent.raw.replace(/branch=\w+/, 'branch=z9hG4bKguess')), 200);
    expect(heard).toEqual([]);
    respond(sent, 200);
    respond(sent, 200);
    expect(heard).toEqual([200]);
    clock.advance(5_000);
    expect(layer.clientTransactions).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  test('an INVITE that rings too long is cancelled, and given up when even that brings nothing', () => {
    const heard: string[] = [];
    layer.sendInvite(request('INVITE'), flow, {
      response: ({ status }) => heard.push(String(status)),
      failed: (failure) => heard.push(failure),
    });
    const [invite] = flow.sent;
    if (!invite) throw new Error('nothing sent');
    respond(invite, 180);
    clock.advance(200_000);
    const cancel = flow.sent.find(({ method }) => method === 'CANCEL');
    expect(cancel?.header('Via')).toBe(invite.header('Via'));
    expect(cancel?.header('CSeq')).toBe('5 CANCEL');
    clock.advance(32_000);
    expect(heard).toEqual(['180', 'timeout']);
    expect(layer.clientTransactions).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  test('nothing is sent once it is closed', () => {
    layer.close();
    const handlers = { response: () => undefined, failed: () => undefined };
    expect(() => layer.send(request('INFO'), flow, handlers)).toThrow('agent stopped');
    expect(() => layer.sendInvite(request('INVITE'), flow, handlers)).toThrow('agent stopped');
    expect(() => layer.sendAck(request('ACK'), flow)).toThrow('agent stopped');
    expect([flow.sent.length, clock.pendingTimers]).toEqual([0, 0]);
  });
});
