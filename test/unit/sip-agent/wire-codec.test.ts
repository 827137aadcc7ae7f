import { describe, expect, test } from 'vitest';
import { encodeFrame, WireDecoder, WireError, type WireFrame } from '../../../src/sip-agent/wire/codec.js';

function decode(decoder: WireDecoder, ...chunks: (Buffer | string)[]): WireFrame[] {
  return chunks.flatMap((chunk) => [...decoder.push(Buffer.from(chunk))]);
}

describe('wire frames', () => {
  const invite = Buffer.from('INVITE sip:a@b SIP/2.0\r\nX: a|b\r\n\r\nbödy');

  test('the length counts octets, everything after the #', () => {
    expect(encodeFrame('id|ping').toString()).toBe('7#id|ping');
    expect(encodeFrame('id|sip|é').toString()).toBe('9#id|sip|é');
    expect(encodeFrame('id|sip', Buffer.from('x')).toString()).toBe('9#id|sip\r\nx');
  });

  test('only the first line is split', () => {
    const [frame] = decode(new WireDecoder(1_000), encodeFrame('id|sip|txn|', invite));
    expect(frame?.tokens).toEqual(['id', 'sip', 'txn', '']);
    expect(frame?.payload.equals(invite)).toBe(true);
  });

  test('octet by octet, and several at once', () => {
    const both = Buffer.concat([encodeFrame('1|sip|', invite), encodeFrame('2|ping')]);
    const slowly = decode(new WireDecoder(1_000), ...[...both].map((octet) => Buffer.from([octet])));
    const atOnce = decode(new WireDecoder(1_000), both);
    for (const frames of [slowly, atOnce]) {
      expect(frames.map(({ tokens }) => tokens[0])).toEqual(['1', '2']);
      expect(frames[0]?.payload.equals(invite)).toBe(true);
      expect(frames[1]?.payload).toHaveLength(0);
    }
  });

  test.each(['x#a', '#a', '0#', '-1#a', '1e3#a', '1234567890', 'GET / HTTP/1.1\r\n', '99999999#'])(
    'refuses %j',
    (text) => expect(() => decode(new WireDecoder(1_000), text)).toThrow(WireError),
  );

  test('refuses a frame beyond the limit before it has come', () => {
    const decoder = new WireDecoder(10);
    expect(decode(decoder, '10#1234567890')).toHaveLength(1);
    expect(() => decode(decoder, '11#')).toThrow('frame too long');
    decoder.maxFrameBytes = 100;
    expect(decode(new WireDecoder(100), '11#12345678901')).toHaveLength(1);
  });
});
