import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../../src/sip-agent/syntax/limits.js';
import { StreamParser, type StreamItem } from '../../../src/sip-agent/syntax/parse.js';
import { INVITE_LINES, inviteText, okText, sipText } from './sip-texts.js';

const PING = Buffer.from('\r\n\r\n');
const PONG = Buffer.from('\r\n');

function bytewise(parser: StreamParser, bytes: Buffer): StreamItem[] {
  const items: StreamItem[] = [];
  for (let at = 0; at < bytes.length; at++) items.push(...parser.push(bytes.subarray(at, at + 1)));
  return items;
}

/** One word an item, for comparing whole streams. */
function kinds(items: StreamItem[]): string[] {
  return items.map((item) => {
    if ('kind' in item) return item.kind;
    return item.ok ? 'message' : `refused ${item.failure.status}`;
  });
}

function written(items: StreamItem[]): string[] {
  return items.flatMap((item) => ('kind' in item || !item.ok ? [] : [item.message.toString()]));
}

describe('framing', () => {
  test('two messages in one chunk', () => {
    const items = new StreamParser().push(Buffer.concat([inviteText(), okText()]));
    expect(written(items)).toEqual([inviteText().toString(), okText().toString()]);
  });

  test('two messages an octet at a time', () => {
    const parser = new StreamParser();
    expect(written(bytewise(parser, Buffer.concat([inviteText(), okText()])))).toEqual([
      inviteText().toString(),
      okText().toString(),
    ]);
    expect(parser.midMessage).toBe(false);
  });

  test.each([1, 3, 200, 700, 900, 1100])('cut after octet %i', (cut) => {
    const bytes = Buffer.concat([inviteText(), inviteText()]);
    const parser = new StreamParser();
    const items = [...parser.push(bytes.subarray(0, cut))];
    expect(parser.midMessage).toBe(true);
    items.push(...parser.push(bytes.subarray(cut)));
    expect(written(items)).toEqual([inviteText().toString(), inviteText().toString()]);
  });

  test('the chunk may be used again at once', () => {
    const parser = new StreamParser();
    const chunk = Buffer.from(inviteText());
    parser.push(chunk.subarray(0, 100));
    const items = parser.push(chunk.subarray(100));
    chunk.fill(0);
    expect(written(items)).toEqual([inviteText().toString()]);
  });

  test('without Content-Length there is no body', () => {
    const bytes = Buffer.from(`${INVITE_LINES.join('\r\n')}\r\n\r\n`);
    expect(kinds(new StreamParser().push(Buffer.concat([bytes, okText()])))).toEqual(['message', 'message']);
  });

  test('a malformed message that can be framed is answered and the stream goes on', () => {
    const broken = sipText([...INVITE_LINES, 'Max-Forwards: 1'], 'body');
    const items = new StreamParser().push(Buffer.concat([broken, okText()]));
    expect(kinds(items)).toEqual(['refused 400', 'message']);
  });
});

describe('keep-alive (RFC 5626 section 3.5.1)', () => {
  test('a double CRLF is a ping, a single one a pong', () => {
    const parser = new StreamParser();
    expect(kinds(parser.push(PING))).toEqual(['ping']);
    expect(parser.push(Buffer.concat([PONG, inviteText()]))).toHaveLength(1);
    expect(parser.midMessage).toBe(false);
  });

  test('also an octet at a time, before and after a message', () => {
    const bytes = Buffer.concat([PING, inviteText(), PING, okText()]);
    expect(kinds(bytewise(new StreamParser(), bytes))).toEqual(['ping', 'message', 'ping', 'message']);
  });

  test('a lone CR may yet be one', () => {
    const parser = new StreamParser();
    expect(parser.push(Buffer.from('\r\n\r'))).toEqual([]);
    expect(kinds(parser.push(Buffer.from('\n')))).toEqual(['ping']);
  });

  test('a flood of them is one', () =>
    expect(kinds(new StreamParser().push(Buffer.alloc(64_000, '\r\n')))).toEqual(['ping']));
});

describe('what cannot be framed ends the stream', () => {
  test.each([
    ['Content-Length: x', 400],
    ['Content-Length: -1', 400],
    ['Content-Length: 5\r\nContent-Length: 5', 400],
    [`Content-Length: ${LIMITS.messageBytes}`, 413],
    ['Content-Length: 9007199254740991', 413],
  ])('%s', (line, status) => {
    const parser = new StreamParser();
    const items = parser.push(Buffer.from(`${INVITE_LINES.join('\r\n')}\r\n${line}\r\n\r\nhello`));
    expect(kinds(items)).toEqual([`refused ${status}`, 'fatal']);
    expect(items[0]).toHaveProperty('failure.partial');
    expect(parser.midMessage).toBe(false);
    expect(parser.push(inviteText())).toEqual([]);
  });

  test('something that is not SIP', () =>
    expect(kinds(new StreamParser().push(Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')))).toEqual([
      'refused 400',
      'fatal',
    ]));

  test('a header that never ends, however it is cut', () => {
    const parser = new StreamParser();
    const chunk = Buffer.from('X-A: b\r\n'.repeat(128));
    let items: StreamItem[] = [];
    let taken = 0;
    for (; items.length === 0 && taken <= 2 * LIMITS.messageBytes; taken += chunk.length) items = parser.push(chunk);
    expect(items).toEqual([{ kind: 'fatal', reason: 'Message too large' }]);
    expect(taken).toBeLessThanOrEqual(LIMITS.messageBytes + chunk.length);
  });

  test('one chunk larger than any message', () =>
    expect(kinds(new StreamParser().push(Buffer.alloc(LIMITS.messageBytes + 1, 'a')))).toEqual(['fatal']));

  test('the largest message passes', () => {
    const empty = sipText(INVITE_LINES, '');
    const body = 'b'.repeat(LIMITS.messageBytes - empty.length - '65000'.length + '0'.length);
    const largest = sipText(INVITE_LINES, body);
    expect(largest).toHaveLength(LIMITS.messageBytes);
    expect(written(new StreamParser().push(largest))).toEqual([largest.toString()]);
    expect(kinds(new StreamParser().push(sipText(INVITE_LINES, `${body}b`)))).toEqual(['refused 413', 'fatal']);
  });
});
