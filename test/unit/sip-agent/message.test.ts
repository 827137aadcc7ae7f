import { describe, expect, test } from 'vitest';
import { SipRequest, SipResponse } from '../../../src/sip-agent/syntax/message.js';
import { canonicalHeaderName, spellHeaderName } from '../../../src/sip-agent/syntax/header-names.js';

function request(): SipRequest {
  return new SipRequest('OPTIONS', 'sip:bob@example.com')
    .add('via', 'SIP/2.0/UDP a')
    .add('subject', 'one')
    .add('via', 'SIP/2.0/UDP b')
    .add('subject', 'two');
}

describe('a message', () => {
  test('gives the first header field of a name, and all of them in order', () => {
    expect(request().get('via')).toBe('SIP/2.0/UDP a');
    expect(request().getAll('subject')).toEqual(['one', 'two']);
    expect(request().has('subject')).toBe(true);
    expect(request().has('route')).toBe(false);
    expect(request().get('route')).toBeUndefined();
  });

  test('set leaves one field of the name, where the first one stood', () =>
    expect(request().set('subject', 'new').headers).toEqual([
      ['via', 'SIP/2.0/UDP a'],
      ['subject', 'new'],
      ['via', 'SIP/2.0/UDP b'],
    ]));

  test('set appends what was not there', () =>
    expect(request().set('route', '<sip:p>').headers.at(-1)).toEqual(['route', '<sip:p>']));

  test('prepend goes before everything, remove takes every field of the name', () => {
    const message = request().prepend('via', 'SIP/2.0/UDP top').remove('subject');
    expect(message.headers.map(([, value]) => value)).toEqual(['SIP/2.0/UDP top', 'SIP/2.0/UDP a', 'SIP/2.0/UDP b']);
    expect(request().remove('route').headers).toHaveLength(4);
  });

  test.each(['a\r\nb', 'a\nb', 'a\rb'])('takes no value with a line break: %j', (value) => {
    const message = request();
    expect(() => message.add('subject', value)).toThrow(TypeError);
    expect(() => message.set('subject', value)).toThrow(TypeError);
    expect(() => message.prepend('subject', value)).toThrow(TypeError);
    expect(message).toEqual(request());
  });
});

describe('writing', () => {
  test('a request, Content-Length counted in octets whatever was set', () => {
    const message = request().set('content-length', '3');
    message.body = Buffer.from('grüß');
    expect(message.toBuffer().toString()).toBe(
      'OPTIONS sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nSubject: one\r\n' +
        'Via: SIP/2.0/UDP b\r\nSubject: two\r\nContent-Length: 6\r\n\r\ngrüß',
    );
    expect(message.toString()).toBe(message.toBuffer().toString());
  });

  test('a response without a reason phrase keeps the space before it', () =>
    expect(new SipResponse(180, '').toString()).toBe('SIP/2.0 180 \r\nContent-Length: 0\r\n\r\n'));
});

describe('header names', () => {
  test.each([
    ['v', 'via'],
    ['V', 'via'],
    ['I', 'call-id'],
    ['CALL-ID', 'call-id'],
    ['x', 'session-expires'],
    ['X-Trunk', 'x-trunk'],
  ])('%s is read as %s', (spelling, name) => expect(canonicalHeaderName(spelling)).toBe(name));

  test.each([
    ['call-id', 'Call-ID'],
    ['cseq', 'CSeq'],
    ['www-authenticate', 'WWW-Authenticate'],
    ['content-length', 'Content-Length'],
    ['x-trunk-name', 'X-Trunk-Name'],
  ])('%s is written as %s', (name, spelling) => expect(spellHeaderName(name)).toBe(spelling));
});
