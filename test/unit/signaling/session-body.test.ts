import { describe, expect, it } from 'vitest';
import type { BodyHeaders } from '../../../src/signaling/multipart.js';
import { ACCEPT, readSessionBody } from '../../../src/signaling/session-body.js';

const SDP = 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n';
const OTHER_SDP = SDP.replace('1 1', '2 2');

interface Given extends Partial<BodyHeaders> {
  readonly body?: string;
}

/** `sdp`, `none`, or the status of the refusal. */
function read({ body = SDP, ...headers }: Given): string {
  const given = { contentType: undefined, contentDisposition: undefined, contentEncoding: undefined, ...headers };
  const result = readSessionBody(given, body);
  if (result.kind === 'session') return result.sdp;
  return result.kind === 'none' ? 'none' : String(result.refusal.status);
}

/** A multipart; each part is its headers and its body. */
function multipart(...parts: readonly (readonly [head: string, body: string])[]): string {
  return `${parts.map(([head, body]) => `--b1\r\n${head}\r\n\r\n${body}\r\n`).join('')}--b1--\r\n`;
}

const sdp = (head = '', body = SDP): [string, string] => [`Content-Type: application/sdp${head}`, body];
const isup = (handling: string): [string, string] => [
  `Content-Type: application/isup;version=itu-t92+\r\nContent-Disposition: signal${handling}`,
  '\x01\x11\0\r\n\ufffd\r\n\r\n--b',
];
const pidf: [string, string] = ['Content-Type: application/pidf+xml\r\nContent-ID: <loc@x>', '<presence/>'];
const metadata: [string, string] = [
  'Content-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session',
  '<recording/>',
];
const MIXED = 'multipart/mixed;boundary=b1';

describe('a body that is not a multipart', () => {
  it.each<[string, Given, string]>([
    ['none', { body: '', contentType: 'application/isup' }, 'none'],
    ['SDP', { contentType: 'application/sdp' }, SDP],
    ['capitals, blanks, parameters', { contentType: ' Application / SDP ; charset="utf-8"' }, SDP],
    ['the type twice', { contentType: 'application/sdp,application/sdp' }, SDP],
    ['no type, but what it is', {}, SDP],
    ['no type, and anything', { body: 'hello' }, '415'],
    ['blanks alone', { body: '\r\n\r\n' }, 'none'],
    ['no SDP', { contentType: 'application/isup', body: 'x' }, '415'],
    ['no SDP, with a disposition', { contentType: 'application/isup', contentDisposition: 'signal', body: 'x' }, '415'],
    [
      'no SDP, optional',
      { contentType: 'text/plain', contentDisposition: 'info;handling=optional', body: 'x' },
      'none',
    ],
    [
      'no SDP, optional in capitals',
      { contentType: 'text/plain', contentDisposition: 'render ; Handling = "Optional"', body: 'x' },
      'none',
    ],
    [
      'no SDP, required',
      { contentType: 'text/plain', contentDisposition: 'render;handling=required', body: 'x' },
      '415',
    ],
    ['a session', { contentType: 'application/sdp', contentDisposition: 'session;handling=required' }, SDP],
    ['to be rendered', { contentType: 'application/sdp', contentDisposition: 'render' }, SDP],
    [
      'handling without a disposition',
      { contentType: 'application/sdp', contentDisposition: ';handling=optional' },
      SDP,
    ],
    ['an early session', { contentType: 'application/sdp', contentDisposition: 'early-session' }, '415'],
    [
      'an early session, optional',
      { contentType: 'application/sdp', contentDisposition: 'early-session;handling=optional' },
      'none',
    ],
    [
      'metadata alone',
      { contentType: 'application/rs-metadata+xml', contentDisposition: 'recording-session', body: 'x' },
      'none',
    ],
    ['identity', { contentType: 'application/sdp', contentEncoding: 'Identity' }, SDP],
    ['gzip', { contentType: 'application/sdp', contentEncoding: 'gzip' }, '415'],
    [
      'gzip, optional',
      { contentType: 'x/y', contentDisposition: 'x;handling=optional', contentEncoding: 'gzip' },
      'none',
    ],
  ])('%s', (_, given, expected) => expect(read(given)).toBe(expected));

  it('is refused with what would be understood', () => {
    const refused = (given: Given) =>
      readSessionBody({ contentType: 'a/b', contentDisposition: undefined, contentEncoding: undefined, ...given }, 'x');
    expect(refused({})).toMatchObject({ refusal: { status: 415, headers: { Accept: ACCEPT } } });
    expect(refused({ contentEncoding: 'gzip' })).toMatchObject({
      refusal: { status: 415, headers: { 'Accept-Encoding': 'identity' } },
    });
  });
});

describe('a multipart', () => {
  it.each<[string, Given, string]>([
    ['SDP alone', { body: multipart(sdp()) }, SDP],
    ['ISUP behind the SDP', { body: multipart(sdp(), isup(';handling=optional')) }, SDP],
    ['ISUP in front of it', { body: multipart(isup(';handling=optional'), sdp()) }, SDP],
    ['ISUP that says nothing of its handling', { body: multipart(sdp(), isup('')) }, SDP],
    ['ISUP that has to be understood', { body: multipart(sdp(), isup(';handling=required')) }, '415'],
    ['a location', { body: multipart(pidf, sdp('\r\nContent-Disposition: session')) }, SDP],
    ['recording metadata', { body: multipart(sdp(), metadata) }, SDP],
    ['recording metadata alone', { body: multipart(metadata) }, 'none'],
    ['a location alone', { body: multipart(pidf) }, '415'],
    ['ISUP alone, optional', { body: multipart(isup(';handling=optional')) }, 'none'],
    ['two descriptions: the first', { body: multipart(sdp(), sdp('', OTHER_SDP)) }, SDP],
    ['a part without type', { body: multipart(['X-Nothing: 1', SDP]) }, SDP],
    ['a part in gzip', { body: multipart(sdp('\r\nContent-Encoding: gzip'), sdp('', OTHER_SDP)) }, OTHER_SDP],
    ['a preamble and an epilogue', { body: `preamble\r\n${multipart(sdp())}epilogue` }, SDP],
    ['capitals and quotes', { contentType: 'MULTIPART/MIXED ; BOUNDARY="b1"' }, 'replaced'],
    [
      'alternatives: the last',
      { contentType: 'multipart/alternative;boundary=b1', body: multipart(sdp('', OTHER_SDP), sdp()) },
      SDP,
    ],
    [
      'alternatives: the last that is understood',
      { contentType: 'multipart/alternative;boundary=b1', body: multipart(sdp(), isup(';handling=required')) },
      SDP,
    ],
    [
      'no alternative that is understood',
      { contentType: 'multipart/alternative;boundary=b1', body: multipart(pidf) },
      '415',
    ],
    [
      'related',
      { contentType: 'multipart/related;boundary=b1;type="application/sdp"', body: multipart(sdp(), pidf) },
      SDP,
    ],
    [
      'related, with its root elsewhere',
      {
        contentType: 'multipart/related;boundary=b1;start="<root@x>"',
        body: multipart(sdp('', OTHER_SDP), sdp('\r\nContent-ID: <root@x>')),
      },
      SDP,
    ],
    ['a subtype nobody knows', { contentType: 'multipart/x-new;boundary=b1', body: multipart(sdp()) }, SDP],
    ['no boundary', { contentType: 'multipart/mixed', body: multipart(sdp()) }, '400'],
    ['another boundary', { contentType: 'multipart/mixed;boundary=b2', body: multipart(sdp()) }, '400'],
    [
      'no boundary, optional',
      { contentType: 'multipart/mixed', contentDisposition: 'x;handling=optional', body: multipart(sdp()) },
      'none',
    ],
    [
      'optional, with a part that is not understood',
      { contentDisposition: 'x;handling=optional', body: multipart(isup(';handling=required')) },
      'none',
    ],
  ])('%s', (_, given, expected) => {
    const body = expected === 'replaced' ? multipart(sdp()) : given.body;
    const text = read({ contentType: MIXED, ...given, ...(body === undefined ? {} : { body }) });
    expect(text).toBe(expected === 'replaced' ? SDP : expected);
  });

  it('within multiparts is found, down to a depth nobody needs', () => {
    const nested = (depth: number): string => {
      let body = SDP;
      let type = 'application/sdp';
      for (let level = 1; level <= depth; level++) {
        body = `--l${level}\r\nContent-Type: ${type}\r\n\r\n${body}\r\n--l${level}--`;
        type = `multipart/mixed;boundary=l${level}`;
      }
      return read({ contentType: type, body });
    };
    expect([1, 2, 4].map(nested)).toEqual([SDP, SDP, SDP]);
    expect(nested(5)).toBe('400');
  });
});
