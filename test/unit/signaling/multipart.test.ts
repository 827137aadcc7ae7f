import { describe, expect, it } from 'vitest';
import { parseMultipart, readField } from '../../../src/signaling/multipart.js';
import { Random } from '../../support/sip-fuzz.js';

const bodies = (text: string, boundary = 'b'): string[] | undefined =>
  parseMultipart(text, boundary)?.map(({ body }) => body);

describe('parseMultipart', () => {
  it('takes the parts between the lines with the boundary, and nothing around them', () => {
    const text =
      'pre\r\n--b\r\nContent-Type: x/y\r\n\r\none\r\n--b \t\r\n\r\ntwo\r\n\r\n--b--\r\nepilogue\r\n--b\r\n\r\nno';
    expect(parseMultipart(text, 'b')).toEqual([
      { headers: { contentType: 'x/y' }, body: 'one' },
      { headers: {}, body: 'two\r\n' },
    ]);
  });

  it.each([
    ['a last line without its line break', '--b\r\n\r\none\r\n--b--', ['one']],
    ['no last line', '--b\r\n\r\none\r\n--b\r\n\r\ntwo', ['one', 'two']],
    ['bare LF', '--b\nContent-Type: x/y\n\none\n--b--\n', ['one']],
    ['an empty part', '--b\r\n\r\n\r\n--b\r\n\r\n--b--', ['', '']],
    ['the boundary within a line', '--b\r\n\r\none --b\r\n--bc\r\n --b\r\n--b--', ['one --b\r\n--bc\r\n --b']],
    ['headers alone', '--b\r\nContent-Type: x/y\r\n--b--', ['']],
  ])('%s', (_, text, expected) => expect(bodies(text)).toEqual(expected));

  it('reads headers in any spelling, folded, the first of a name, and base64', () => {
    const head = 'content-TYPE :application/sdp;\r\n\tx="a;b"\r\nContent-ID: <1@x>\r\nno colon\r\nContent-Type: late';
    const [folded] = parseMultipart(`--b\r\n${head}\r\n\r\nx\r\n--b--`, 'b') ?? [];
    expect(folded).toMatchObject({ contentId: '<1@x>', headers: { contentType: 'application/sdp; x="a;b"' } });
    const encoded = `--b\r\nContent-Transfer-Encoding: BASE64\r\n\r\n${Buffer.from('v=0\r\n').toString('base64')}\r\n--b--`;
    expect(bodies(encoded)).toEqual(['v=0\r\n']);
    const [other] = parseMultipart(encoded.replace('BASE64', 'x-uuencode'), 'b') ?? [];
    expect(other?.headers.contentEncoding).toBe('x-uuencode');
  });

  it.each([
    ['no boundary', '--\r\n\r\none\r\n----', ''],
    ['a boundary of no length anybody uses', `--${'b'.repeat(201)}\r\n\r\none`, 'b'.repeat(201)],
    ['no part', 'nothing', 'b'],
    ['the end alone', '--b--\r\n', 'b'],
    ['too many parts', '--b\r\n\r\nx\r\n'.repeat(33), 'b'],
  ])('%s: none', (_, text, boundary) => expect(parseMultipart(text, boundary)).toBeUndefined());

  // With quadratic work these would take minutes.
  it.each(['--b', '\n--b', '\n--b\n', '--b--', '-', '\n', '\r\n\r\n', ' ', '\n--b \t', 'a:\n ', ';', '"', '\\'])(
    'comes to an end with many of %j',
    (piece) => {
      const text = piece.repeat(400_000);
      parseMultipart(text, 'b');
      parseMultipart(text, '-'.repeat(70));
      parseMultipart(`--b\n${text}`, 'b');
      readField(text);
    },
  );

  it('makes of any octets a list of parts or none', () => {
    const random = new Random(7);
    const pieces = ['--b', '--', '\r\n', '\n', '\r', ' ', 'b', ':', 'Content-Type', '\0', 'é', ';', '"', 'v=0', ''];
    for (let round = 0; round < 3_000; round++) {
      const text = Array.from({ length: random.next(40) }, () => random.pick(pieces)).join('');
      const parts = parseMultipart(text, 'b') ?? [];
      for (const { body } of parts) expect(text).toContain(body);
      expect(parts.length).toBeLessThanOrEqual(32);
    }
  });
});

describe('readField', () =>
  it.each([
    ['Application / SDP ; Charset="UTF-8"; x', 'application/sdp', { charset: 'UTF-8', x: '' }],
    ['multipart/mixed;boundary="a;\\"b, c";boundary=late', 'multipart/mixed', { boundary: 'a;"b, c' }],
    ['application/sdp, application/isup;x=1', 'application/sdp', {}],
    ['x;y="never closed', 'x', { y: 'never closed' }],
    ['', '', {}],
  ])('%s', (text, value, params) => {
    const field = readField(text);
    expect(field.value).toBe(value);
    expect(Object.fromEntries(field.params)).toEqual(params);
  }));
