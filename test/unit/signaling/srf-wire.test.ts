import { EventEmitter } from 'node:events';
import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { fromSrf, guardWire, isCopy, plainCallId, toSrf } from '../../../src/signaling/drachtio/srf-wire.js';
import type { SrfClient } from '../../../src/signaling/drachtio/srf-types.js';
import { Random } from '../../support/sip-fuzz.js';

/** A message as a server tells of it. */
const message = (startLine: string, ...lines: readonly string[]): string =>
  [`sip|network|120|udp|192.0.2.1|5060|12:00:00.000001|id|`, startLine, ...lines, '', 'body'].join('\r\n');

const header = (text: string, name: string): string | undefined =>
  new RegExp(`^${name}: (.*)$`, 'im').exec(text)?.[1]?.trim();

const FROM = 'From: <sip:1@a.example>;tag=f1';
const nothing = (): boolean => false;

describe('what drachtio-srf is given', () => {
  it.each(['INVITE', 'CANCEL'])('%s has the From tag in its Call-ID', (method) => {
    const text = toSrf(message(`${method} sip:2@b.example SIP/2.0`, FROM, 'Call-ID: one@a'), nothing);
    expect(header(text, 'Call-ID')).toBe('one@a;from-tag=f1');
    expect(plainCallId(header(text, 'Call-ID') ?? '')).toBe('one@a');
    const short = toSrf(message(`${method} sip:2@b.example SIP/2.0`, 'f: sip:1@a.example', 'i: one@a'), nothing);
    expect(header(short, 'i')).toBe('one@a;from-tag=');
  });

  it('a second INVITE with it says that it is a copy, its CANCEL and whatever comes later do not', () => {
    const isPending = (callId: string): boolean => callId === 'one@a;from-tag=f1';
    const given = (method: string, from = FROM): string =>
      header(toSrf(message(`${method} sip:2@b.example SIP/2.0`, from, 'Call-ID: one@a'), isPending), 'Call-ID') ?? '';
    expect(given('INVITE')).toBe('one@a;from-tag=f1;copy');
    expect(plainCallId(given('INVITE'))).toBe('one@a');
    expect(given('CANCEL')).toBe('one@a;from-tag=f1');
    expect([given('INVITE'), given('CANCEL'), given('INVITE', FROM.replace('f1', 'f2'))].map(isCopy)).toEqual([
      true,
      false,
      false,
    ]);
    expect(fromSrf('sip|id|\r\nSIP/2.0 482 x\r\ncall-id: one@a;from-tag=f1;copy\r\n\r\n')).toContain(
      '\r\ncall-id: one@a\r\n',
    );
  });

  it('an UPDATE has it while its INVITE is unanswered, and other messages never', () => {
    const update = message('UPDATE sip:2@b.example SIP/2.0', FROM, 'Call-ID: one@a');
    expect(
      header(
        toSrf(update, (callId) => callId === 'one@a;from-tag=f1'),
        'Call-ID',
      ),
    ).toBe('one@a;from-tag=f1');
    expect(toSrf(update, nothing)).toBe(update);
    for (const startLine of ['BYE sip:2@b.example SIP/2.0', 'SIP/2.0 200 OK']) {
      const other = message(startLine, FROM, 'Call-ID: one@a');
      expect(toSrf(other, () => true)).toBe(other);
    }
  });

  it.each([
    ['Jürgen Müller <sip:1@a>;tag=7', '"Jürgen Müller" <sip:1@a>;tag=7'],
    ['A/B (EU) <sip:1@a>', '"A/B (EU)" <sip:1@a>'],
    ['""unknown"" <sip:1@a>;tag=7', '"unknown" <sip:1@a>;tag=7'],
    ['Bell, "A" <sip:1@a>;tag=7', '"Bell, A" <sip:1@a>;tag=7'],
    ...['<sip:1@a>;tag=7', 'sip:1@a;tag=7', 'tel:+1', 'Bob B. <sip:1@a>', '"a \\"b\\" <c>" <sip:1@a>', 'anything'].map(
      (value): [string, string] => [value, value],
    ),
  ])('From and To %s', (value, expected) => {
    const text = toSrf(message('BYE sip:2@b SIP/2.0', `From: ${value}`, `To: ${value}`), nothing);
    expect([header(text, 'From'), header(text, 'To')]).toEqual([expected, expected]);
  });

  it('a multipart that it does not take apart', () => {
    const text = toSrf(
      message('ACK sip:2@b SIP/2.0', 'Content-Type: multipart/mixed;boundary=b', 'c: text/plain'),
      nothing,
    );
    expect(header(text, 'Content-Type')).toBe('MULTIPART/mixed;boundary=b');
    expect(header(text, 'c')).toBe('text/plain');
    expect(text.endsWith('\r\n\r\nbody')).toBe(true);
  });

  it('whatever has no header stays as it is, and nothing takes long', () => {
    for (const text of ['', 'response|1|OK', 'sip|x\r\n', 'sip|x\r\nINVITE sip:a SIP/2.0\r\n']) {
      expect(toSrf(text, nothing)).toBe(text);
    }
    for (const piece of ['a ', '"', '\\"', ';tag=', 'a\t', 'From:', ' ', '<']) {
      toSrf(message('INVITE sip:a SIP/2.0', `From: ${piece.repeat(100_000)}`, 'Call-ID: x'), nothing);
    }
    const random = new Random(3);
    const pieces = ['From', ':', ' ', '"', '<', '>', 'sip:a', ';tag=1', '\r\n', 'Call-ID', 'é', '\\', 'INVITE '];
    for (let round = 0; round < 2_000; round++) {
      const text = Array.from({ length: random.next(30) }, () => random.pick(pieces)).join('');
      expect(typeof toSrf(message('INVITE sip:a SIP/2.0', text), nothing)).toBe('string');
    }
  });
});

describe('what it sends', () =>
  it('has the Call-ID as it was, and everything else', () => {
    const sent =
      'sip|id|\r\nSIP/2.0 200 OK\r\nReplaces: x;from-tag=1\r\nCall-ID: one@a;from-tag=f1\r\nTo: <sip:a>\r\n\r\nx;from-tag=2';
    expect(fromSrf(sent)).toBe(sent.replace('one@a;from-tag=f1', 'one@a'));
    for (const other of ['route|invite', 'sip|id|\r\nSIP/2.0 200 OK\r\n\r\nCall-ID: x;from-tag=2']) {
      expect(fromSrf(other)).toBe(other);
    }
  }));

it('stands between the two for both directions', () => {
  const wp = new EventEmitter() as SrfClient['wp'];
  const came: string[] = [];
  const sent: string[] = [];
  const socket = new Socket();
  wp.on('msg', (_: Socket, text: string) => came.push(text));
  wp.send = (_, text) => String(sent.push(text));
  const mapServer = new Map([[socket, { pendingNetworkInvites: new Map() }]]);
  guardWire(Object.assign(new EventEmitter(), { wp, mapServer }));
  wp.emit('msg', socket, message('INVITE sip:a SIP/2.0', FROM, 'Call-ID: x'));
  expect(header(came[0] ?? '', 'Call-ID')).toBe('x;from-tag=f1');
  expect(wp.send(socket, 'sip|1|\r\nSIP/2.0 180 Ringing\r\ncall-id: x;from-tag=f1\r\n\r\n')).toBe('1');
  expect(header(sent[0] ?? '', 'call-id')).toBe('x');
});
