import { describe, expect, test } from 'vitest';
import { Dialog } from '../../../src/sip-agent/dialog/dialog.js';
import type { Flow } from '../../../src/sip-agent/transport/flow.js';
import { IncomingRequest } from '../../../src/sip-agent/transaction/incoming-request.js';
import { SipRequest, SipResponse } from '../../../src/sip-agent/syntax/message.js';
import type { ReceivedResponse } from '../../../src/sip-agent/transaction/outgoing-request.js';
import { parseDatagram } from '../../../src/sip-agent/syntax/parse.js';
import { InviteServerTransaction } from '../../../src/sip-agent/transaction/server.js';
import { sipTimers } from '../../../src/sip-agent/transaction/timers.js';
import { FakeClock } from '../../support/fake-clock.js';
import { sipText } from '../../support/sip-peer.js';

function flow(protocol: 'udp' | 'tcp' = 'udp', usable = true, port = 5060): Flow {
  const self: Flow = {
    protocol,
    reliable: protocol === 'tcp',
    usable,
    remote: { address: '192.0.2.1', port },
    local: { address: '192.0.2.100', port: 5060 },
    toPort: () => self,
    send: () => undefined,
    onFailure: () => () => undefined,
    hold: () => () => undefined,
  };
  return self;
}

interface Parts {
  readonly contact?: string;
  readonly recordRoute?: readonly string[];
  readonly flow?: Flow;
}

function called({ contact = '<sip:bob@192.0.2.1:5060>', recordRoute = [], flow: from = flow() }: Parts = {}): Dialog {
  const text = sipText([
    'INVITE sip:1000@192.0.2.100 SIP/2.0',
    'Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa',
    'Max-Forwards: 70',
    'From: "Bob" <sip:bob@example.org>;tag=theirs',
    'To: <sip:1000@example.com>',
    'Call-ID: call',
    'CSeq: 10 INVITE',
    `Contact: ${contact}`,
    ...recordRoute.map((route) => `Record-Route: ${route}`),
  ]);
  const parsed = parseDatagram(Buffer.from(text));
  if (!parsed.ok || !(parsed.message instanceof SipRequest)) throw new Error('malformed');
  const transaction = new InviteServerTransaction({
    clock: new FakeClock(),
    timers: sipTimers(),
    reliable: false,
    send: () => undefined,
    terminated: () => undefined,
  });
  const incoming = new IncomingRequest(
    parsed.message,
    parsed.envelope,
    from,
    from,
    transaction,
    'ours',
    () => undefined,
  );
  return Dialog.fromInvite(incoming, '<sip:192.0.2.100:5060>');
}

function calling(): Dialog {
  const invite = new SipRequest('INVITE', 'sip:alice@192.0.2.1');
  invite.add('from', '<sip:me@192.0.2.100>;tag=ours').add('to', '<sip:alice@192.0.2.1>');
  invite.add('call-id', 'call').add('contact', '<sip:me@192.0.2.100:5060>');
  return Dialog.forInvite(invite, 'ours', 7, flow());
}

function response(status: number, tag: string, headers: readonly string[] = []): ReceivedResponse {
  const text = sipText([
    `SIP/2.0 ${status} Whatever`,
    'Via: SIP/2.0/UDP 192.0.2.100:5060;branch=z9hG4bKb',
    'From: <sip:me@192.0.2.100>;tag=ours',
    `To: <sip:alice@192.0.2.1>;tag=${tag}`,
    'Call-ID: call',
    'CSeq: 7 INVITE',
    ...headers,
  ]);
  const parsed = parseDatagram(Buffer.from(text));
  if (!parsed.ok || !(parsed.message instanceof SipResponse)) throw new Error('malformed');
  return { status, message: parsed.message, envelope: parsed.envelope, source: '192.0.2.9' };
}

function lines(request: SipRequest): string[] {
  return request.toString().split('\r\n').slice(0, -3);
}

describe('a dialog we were called in', () => {
  test('requests carry its identity the other way round', () => {
    const dialog = called();
    expect(dialog.id).toBe('call;from-tag=theirs');
    const sequence = Number(/\d+/.exec(dialog.request('INFO').get('cseq') ?? '')?.[0]);
    expect(lines(dialog.request('BYE'))).toEqual([
      'BYE sip:bob@192.0.2.1:5060 SIP/2.0',
      'Max-Forwards: 70',
      'From: <sip:1000@example.com>;tag=ours',
      'To: "Bob" <sip:bob@example.org>;tag=theirs',
      'Call-ID: call',
      `CSeq: ${sequence + 1} BYE`,
    ]);
  });

  test('numbers of the peer have to grow', () => {
    const dialog = called();
    expect(dialog.acceptSequence(10)).toBe(false);
    expect(dialog.acceptSequence(11)).toBe(true);
    expect(dialog.acceptSequence(15)).toBe(true);
    expect(dialog.acceptSequence(15)).toBe(false);
    expect(dialog.acceptSequence(12)).toBe(false);
  });

  test('loose routers stay in Route in order', () => {
    const request = called({ recordRoute: ['<sip:p1;lr>, <sip:p2;lr>', '<sip:p3>'] }).request('BYE');
    expect(request.uri).toBe('sip:bob@192.0.2.1:5060');
    expect(request.getAll('route')).toEqual(['<sip:p1;lr>', '<sip:p2;lr>', '<sip:p3>']);
  });

  test('a strict router takes the Request-URI, the target goes to the end', () => {
    const request = called({ recordRoute: ['<sip:p1;x=y>', '<sip:p2;lr>'] }).request('BYE');
    expect(request.uri).toBe('sip:p1;x=y');
    expect(request.getAll('route')).toEqual(['<sip:p2;lr>', '<sip:bob@192.0.2.1:5060>']);
  });

  test('a Request-URI has neither headers nor a method parameter, whoever wrote it', () => {
    const contact = '<sip:bob;method=a@192.0.2.1:5060;Method=BYE;ob?Subject=x>';
    expect(called({ contact }).request('BYE').uri).toBe('sip:bob;method=a@192.0.2.1:5060;ob');
    const strict = called({ contact, recordRoute: ['<sip:p1;method=INVITE;x=y?Priority=urgent>'] }).request('BYE');
    expect(strict.uri).toBe('sip:p1;x=y');
    expect(strict.getAll('route')).toEqual([contact]);
  });

  test('the target follows the Contact, the route set does not', () => {
    const dialog = called({ recordRoute: ['<sip:p1;lr>'] });
    const refresh = new SipRequest('INVITE', 'sip:x');
    refresh.add('contact', '"B, o" <sip:bob@192.0.2.9>;expires=3').add('record-route', '<sip:p9;lr>');
    dialog.refreshTarget(refresh, flow());
    expect(dialog.remoteTarget).toBe('sip:bob@192.0.2.9');
    expect(dialog.request('BYE').getAll('route')).toEqual(['<sip:p1;lr>']);
    dialog.refreshTarget(new SipRequest('UPDATE', 'sip:x'), flow());
    expect(dialog.remoteTarget).toBe('sip:bob@192.0.2.9');
  });

  test('an ACK does not use up a number, a client that counts itself sets it', () => {
    const dialog = called();
    const first = Number.parseInt(dialog.request('INVITE').get('cseq') ?? '', 10);
    expect(dialog.request('ACK', first).get('cseq')).toBe(`${first} ACK`);
    expect(dialog.request('INVITE', first + 5).get('cseq')).toBe(`${first + 5} INVITE`);
    expect(dialog.request('BYE').get('cseq')).toBe(`${first + 6} BYE`);
  });
});

describe('the way requests leave', () => {
  const udp = flow('udp');

  test.each([
    ['the Contact is where the call came from', '<sip:bob@192.0.2.1>', { uri: 'sip:bob@192.0.2.1' }],
    ['the Contact is another address', '<sip:bob@10.0.0.7:5060>', { flow: udp }],
    ['the Contact is a name', '<sip:bob@pbx.local>', { flow: udp }],
    ['the Contact has another port: a NAT changed it', '<sip:bob@192.0.2.1:40000>', { flow: udp }],
  ])('%s', (_, contact, expected) => expect(called({ contact, flow: udp }).nextHop()).toEqual(expected));

  test('with Record-Route it is the first router', () => {
    const dialog = called({ contact: '<sip:bob@10.0.0.7>', recordRoute: ['<sip:p1:5080;lr>'], flow: udp });
    expect(dialog.nextHop()).toEqual({ uri: 'sip:p1:5080;lr' });
  });

  test('a connection is used again while it lives', () => {
    const alive = flow('tcp', true, 45_678);
    expect(called({ contact: '<sip:bob@10.0.0.7>', flow: alive }).nextHop()).toEqual({ flow: alive });
    expect(called({ recordRoute: ['<sip:192.0.2.1;lr>'], flow: alive }).nextHop()).toEqual({ flow: alive });
    expect(called({ recordRoute: ['<sip:192.0.2.2;lr>'], flow: alive }).nextHop()).toEqual({ uri: 'sip:192.0.2.2;lr' });
    expect(called({ flow: flow('tcp', false, 45_678) }).nextHop()).toEqual({ uri: 'sip:bob@192.0.2.1:5060' });
  });
});

describe('a dialog of our own call', () => {
  test('is early until the 2xx, which has the last word on the other side', () => {
    const dialog = calling();
    expect(dialog.id).toBe('call;from-tag=ours');
    dialog.learnFrom(response(180, 'first', ['Contact: <sip:alice@192.0.2.1:6000>']));
    expect([dialog.state, dialog.remoteTag]).toEqual(['early', 'first']);
    dialog.learnFrom(
      response(200, 'second', [
        'Contact: <sip:alice@192.0.2.2>',
        'Record-Route: <sip:p1;lr>',
        'Record-Route: <sip:p2;lr>',
      ]),
    );
    expect([dialog.state, dialog.remoteTag, dialog.remoteTarget]).toEqual([
      'confirmed',
      'second',
      'sip:alice@192.0.2.2',
    ]);
    const bye = dialog.request('BYE');
    expect(bye.get('cseq')).toBe('8 BYE');
    expect(bye.get('to')).toBe('<sip:alice@192.0.2.1>;tag=second');
    expect(bye.getAll('route')).toEqual(['<sip:p2;lr>', '<sip:p1;lr>']);
    expect(dialog.acceptSequence(1)).toBe(true);
  });

  test('a fork has the same side of ours and another of theirs', () => {
    const dialog = calling();
    dialog.learnFrom(response(200, 'first', ['Contact: <sip:a@192.0.2.1>']));
    const fork = dialog.fork(response(200, 'second', ['Contact: <sip:b@192.0.2.1>']));
    expect(fork.request('ACK', 7).uri).toBe('sip:b@192.0.2.1');
    expect(fork.request('BYE').get('to')).toBe('<sip:alice@192.0.2.1>;tag=second');
    expect(dialog.request('BYE').get('to')).toBe('<sip:alice@192.0.2.1>;tag=first');
  });
});
