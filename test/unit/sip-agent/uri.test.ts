import { describe, expect, test } from 'vitest';
import { parseSipUri, uriScheme } from '../../../src/sip-agent/syntax/uri.js';

describe('parseSipUri', () => {
  test.each([
    ['sip:example.com', { scheme: 'sip', host: 'example.com', params: new Map() }],
    ['SIPS:bob@Example.com', { scheme: 'sips', user: 'bob', host: 'Example.com' }],
    ['sip:bob:secret@192.0.2.1:5061', { user: 'bob', password: 'secret', host: '192.0.2.1', port: 5061 }],
    ['sip:+1(555)123*#@gw', { user: '+1(555)123*#', host: 'gw' }],
    ['sip:@gw', { user: '', host: 'gw' }],
    ['sip:a@[2001:db8::10]:5070;transport=tcp', { host: '2001:db8::10', port: 5070 }],
    ['sip:[::ffff:192.0.2.1]', { host: '::ffff:192.0.2.1' }],
    ['sip:a?b;c@d;e?f=g@', undefined],
    ['sip:a?b;c@d;e=1;F?subject=x&y=z', { user: 'a?b;c', host: 'd', headers: 'subject=x&y=z' }],
    ['sip:host?x=1;2', { host: 'host', headers: 'x=1;2', params: new Map() }],
    ['sip:a@under_score.local:0', { host: 'under_score.local', port: 0 }],
    ['tel:+1-201-555-0123;phone-context=example.com', { scheme: 'tel', user: '+1-201-555-0123', host: '' }],
  ])('%j', (text, expected) => {
    if (expected) expect(parseSipUri(text)).toMatchObject(expected);
    else expect(parseSipUri(text)).toBeUndefined();
  });

  test('parameters have lower-case names and a value or none', () =>
    expect(parseSipUri('sip:a@b;LR;transport=UDP;x=')?.params).toEqual(
      new Map([
        ['lr', undefined],
        ['transport', 'UDP'],
        ['x', ''],
      ]),
    ));

  test.each([
    ...['', 'sip', 'sip:', ':', 'sip:a@', 'sip:a@b@c', 'http://a', 'isbn:1', 'sip:a b', ' sip:a', 'sip:a\t', 'sip:a\0'],
    ...['sip:a:65536', 'sip:a:99999', 'sip:a:-1', 'sip:a:', 'sip:a:1x', 'sip:[::1', 'sip:[::1]x', 'sip:[1.2.3.4]'],
    ...['sip:[]', 'sip:::1', 'sip:a;', 'sip:a;;b', 'sip:a;=b', 'sip:a;b;B=1', 'sip:a%@b', 'sip:a%4g@b', 'sip:%41%4'],
    ...['sip:a"b@c', 'sip:a<b@c', 'sip:a>', 'sip:a\\b@c', 'sip:a|b@c', 'sip:ü', 'tel:', 'tel:alice', 'tel:+1 2'],
    `sip:${'a'.repeat(256)}`,
  ])('%j is malformed', (text) => expect(parseSipUri(text)).toBeUndefined());
});

test.each([
  ['SIP:a', 'sip'],
  ['soap.beep://192.0.2.103:3002', 'soap.beep'],
  ['1a:b', undefined],
  ['a', undefined],
  [':a', undefined],
  ['a b:c', undefined],
])('the scheme of %j', (text, scheme) => expect(uriScheme(text)).toBe(scheme));
