import { describe, expect, test } from 'vitest';
import {
  formatNameAddr,
  parseCSeq,
  parseNameAddr,
  parseParams,
  parseVia,
  splitHeaderList,
} from '../../../src/sip-agent/syntax/headers.js';

describe('splitHeaderList', () =>
  test.each([
    ['', []],
    ['a', ['a']],
    [' a ,b,\tc ', ['a', 'b', 'c']],
    ['a,,b,', ['a', 'b']],
    ['"x, y" <sip:a>, b', ['"x, y" <sip:a>', 'b']],
    ['"x\\", y" <sip:a>, b', ['"x\\", y" <sip:a>', 'b']],
    ['<sip:a,b@c;d="e">;q=1, <sip:f>', ['<sip:a,b@c;d="e">;q=1', '<sip:f>']],
    ['"never closed, b', ['"never closed, b']],
    ['<never closed, b', ['<never closed, b']],
  ])('%j', (value, entries) => expect(splitHeaderList(value)).toEqual(entries)));

describe('parseNameAddr', () => {
  test.each([
    ['sip:a@b', { uri: 'sip:a@b' }],
    ['sip:a@b;tag=1', { uri: 'sip:a@b', tag: '1' }],
    ['<sip:a@b;lr>;tag=1', { uri: 'sip:a@b;lr', tag: '1' }],
    ['<sip:a@b>', { uri: 'sip:a@b' }],
    ['Bob<sip:a@b>', { display: 'Bob', uri: 'sip:a@b' }],
    ['J. R. "Bob"', undefined],
    ['Bob Smith (Sales)  <sip:a@b>', { display: 'Bob Smith (Sales)', uri: 'sip:a@b' }],
    ['Jürgen <sip:a@b>', { display: 'Jürgen', uri: 'sip:a@b' }],
    ['"Bob \\"B\\" \\\\" <sip:a@b>', { display: 'Bob "B" \\', uri: 'sip:a@b' }],
    ['"<sip:x@y>" <sip:a@b> ; TAG = 1 ; x', { display: '<sip:x@y>', uri: 'sip:a@b', tag: '1' }],
    ['"" <sip:a@b>', { uri: 'sip:a@b' }],
    ['<tel:+1-201-555-0123>', { uri: 'tel:+1-201-555-0123' }],
    ['<urn:service:sos>', { uri: 'urn:service:sos' }],
    ['sip:a@b;x="1;2,3";tag=z', { uri: 'sip:a@b', tag: 'z' }],
    ['""unknown"" <sip:a@b>;tag=1', { display: 'unknown', uri: 'sip:a@b', tag: '1' }],
    ['"Bob" Smith <sip:a@b>', { display: 'Bob Smith', uri: 'sip:a@b' }],
    ['Bob "B" Smith <sip:a@b>', { display: 'Bob B Smith', uri: 'sip:a@b' }],
    ['Bell, A. <sip:a@b>;tag=1', { display: 'Bell, A.', uri: 'sip:a@b', tag: '1' }],
    ['Bell; A. (EU) <sip:a@b>;tag=1', { display: 'Bell; A. (EU)', uri: 'sip:a@b', tag: '1' }],
    ['< sip:a@b >', { uri: 'sip:a@b' }],
    ['<sip:a@b>;', { uri: 'sip:a@b' }],
    ['<sip:a@b>;;tag=1; ;x=;y', { uri: 'sip:a@b', tag: '1' }],
    ['<sip:a@b>;+sip.instance=<urn:uuid:0>;x=a "b;c" d;tag=1', { uri: 'sip:a@b', tag: '1' }],
  ])('%j', (text, expected) => {
    if (expected) expect(parseNameAddr(text)).toMatchObject(expected);
    else expect(parseNameAddr(text)).toBeUndefined();
  });

  test.each([
    ...['', ' ', '<', '<>', '"', '"a"', '"a" sip:a@b', '"a <sip:a@b>', '"a"" <sip:a@b>', '<sip:a@b', 'sip:a@b>'],
    ...['<sip:a b@c>', '<sip:a@b>x', '<sip:a@b>; x y', 'Bell, A <sip:a@b> <sip:c@d>', 'Bell, A <sip:a@b'],
    ...['<sip:a@b>;tag', '<sip:a@b>;tag=', '<sip:a@b>;tag=<1>', 'sip:a b;x=<sip:c@d>', '<sip:a@b>;tag="1"2'],
    ...['<sip:a@b>;=x', '<sip:a@b>;tag="1', '<sip:a@b>;tag=a|b'],
    ...['sip:a@b?c=d', '<sip:a@b:65536>', '<sip:a@b:>', '<a@b>', '<1x:y>', '<sip:>', '<sip:a@>', 'anonymous'],
    ...['<sip:a@b>;tag=ü', '<sip:a@b>, <sip:c@d>', 'sip:a@b,sip:c@d', '<sip:a%4@b>', '<http://a b>'],
  ])('%j is malformed', (text) => expect(parseNameAddr(text)).toBeUndefined());

  test.each(['<sip:a@b>', '"Bob \\"B\\" \\\\" <sip:a@b;lr>;tag=1;x="y z";flag', 'Bob <sip:a@b>', '"\\\0" <sip:a@b>'])(
    'what formatNameAddr makes of %j means the same',
    (text) => {
      const address = parseNameAddr(text);
      if (!address) throw new Error('malformed');
      expect(parseNameAddr(formatNameAddr(address))).toEqual(address);
    },
  );
});

describe('parseParams', () =>
  test('keeps order, quotes and the difference between no value and one', () => {
    expect([...(parseParams(' ; A=b ;c ; d="e\\";" ;f=[2001:db8::1]') ?? [])]).toEqual([
      ['a', 'b'],
      ['c', undefined],
      ['d', '"e\\";"'],
      ['f', '[2001:db8::1]'],
    ]);
    expect(parseParams('')).toEqual(new Map());
  }));

describe('parseVia', () => {
  test('with everything', () =>
    expect(parseVia('SIP/2.0/UDP 192.0.2.1:5061;rport;branch=z9hG4bKx;received=192.0.2.7')).toEqual({
      transport: 'udp',
      host: '192.0.2.1',
      port: 5061,
      params: new Map([
        ['rport', undefined],
        ['branch', 'z9hG4bKx'],
        ['received', '192.0.2.7'],
      ]),
      branch: 'z9hG4bKx',
      rport: true,
    }));

  test.each([
    ['SIP / 2.0 / TCP\t host.example.com : 5060 ; branch = a', { host: 'host.example.com', port: 5060, branch: 'a' }],
    ['sip/2.0/tls [2001:db8::9:1]:5061', { transport: 'tls', host: '2001:db8::9:1', port: 5061, rport: false }],
    ['SIP/2.0/UDP [::1];received=2001:db8::1', { host: '::1' }],
    ['SIP/2.0/WSS df7jal23ls0d.invalid;rport=5060', { transport: 'wss', host: 'df7jal23ls0d.invalid', rport: true }],
    ['SIP/2.0/UDP a:0', { port: 0 }],
    ['SIP/2.0/UDP a:65535', { port: 65_535 }],
  ])('%j', (text, expected) => expect(parseVia(text)).toMatchObject(expected));

  test.each([
    ...['', 'SIP', 'SIP/2.0', 'SIP/2.0/UDP', 'SIP/2.0/UDP ', 'SIP/2.0/ a', 'HTTP/2.0/UDP a', 'SIP/2.0/UDP;a'],
    ...['SIP/2.0/UDP a:65536', 'SIP/2.0/UDP a:', 'SIP/2.0/UDP a:-1', 'SIP/2.0/UDP a:99999999999999999999'],
    ...['SIP/2.0/UDP a b', 'SIP/2.0/UDP [::1', 'SIP/2.0/UDP [::g]', 'SIP/2.0/UDP ::1', 'SIP/2.0/UDP [::1%eth0]'],
    ...['SIP/2.0/UDP a;;', 'SIP/2.0/UDP a;branch=', 'SIP/2.0/UDP a, SIP/2.0/UDP b', 'SIP/2.0/UDP ü'],
  ])('%j is malformed', (text) => expect(parseVia(text)).toBeUndefined());
});

describe('parseCSeq', () => {
  test.each([
    ['1 INVITE', { number: 1, method: 'INVITE' }],
    ['0009 \t INVITE', { number: 9, method: 'INVITE' }],
    ['2147483647 bye', { number: 2_147_483_647, method: 'bye' }],
    ['4294967295 OPTIONS', { number: 4_294_967_295, method: 'OPTIONS' }],
    ['0 X', { number: 0, method: 'X' }],
  ])('%j', (text, expected) => expect(parseCSeq(text)).toEqual(expected));

  test.each(['', '1', 'INVITE', '1INVITE', '-1 INVITE', '4294967296 INVITE', '1 IN VITE', '1 INVITE;x', '1e3 BYE'])(
    '%j is malformed',
    (text) => expect(parseCSeq(text)).toBeUndefined(),
  );
});
