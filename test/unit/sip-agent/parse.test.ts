import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../../src/sip-agent/syntax/limits.js';
import type { SipRequest } from '../../../src/sip-agent/syntax/message.js';
import { SipResponse } from '../../../src/sip-agent/syntax/message.js';
import { parseDatagram, parseMessage, type ParseFailure } from '../../../src/sip-agent/syntax/parse.js';
import { INVITE_LINES, inviteText, inviteWith, okText, sipText } from './sip-texts.js';

function accepted(bytes: Buffer): SipRequest | SipResponse {
  const result = parseDatagram(bytes);
  if (!result.ok) throw new Error(result.failure.reason);
  return result.message;
}

function refused(bytes: Buffer): ParseFailure {
  const result = parseDatagram(bytes);
  if (result.ok) throw new Error('accepted');
  return result.failure;
}

function replaceText(bytes: Buffer, from: string, to: string): Buffer {
  const text = bytes.toString('latin1');
  if (!text.includes(from)) throw new Error(`no ${from}`);
  return Buffer.from(text.replace(from, to), 'latin1');
}

describe('an ordinary message', () => {
  test('INVITE', () => {
    const result = parseDatagram(inviteText());
    expect(result).toMatchObject({
      ok: true,
      message: { method: 'INVITE', uri: 'sip:+15551234567@192.0.2.2:5060;user=phone' },
      envelope: {
        via: { transport: 'udp', host: '192.0.2.1', port: 5060, branch: 'z9hG4bK4f3a2b1c', rport: true },
        from: { display: 'Alice Example', uri: 'sip:+15557654321@192.0.2.1', tag: '1928301774' },
        to: { uri: 'sip:+15551234567@192.0.2.2' },
        callId: 'a84b4c76e66710@pbx.example.com',
        cseq: { number: 314_159, method: 'INVITE' },
        maxForwards: 70,
      },
    });
    expect(accepted(inviteText()).toBuffer()).toEqual(inviteText());
  });

  test('200', () => {
    const message = accepted(okText());
    expect(message).toBeInstanceOf(SipResponse);
    expect(message).toMatchObject({ status: 200, reason: 'OK' });
  });

  test('line breaks before the start line are skipped', () =>
    expect(accepted(Buffer.concat([Buffer.from('\r\n\r\n'), inviteText()])).toBuffer()).toEqual(inviteText()));

  test('the body is a copy: the receive buffer may be used again', () => {
    const bytes = inviteText();
    const message = accepted(bytes);
    bytes.fill(0);
    expect(message.body.toString()).toMatch(/^v=0/);
  });

  test('a display name in Latin-1 goes on as UTF-8', () => {
    const bytes = replaceText(inviteText(), 'Alice Example', 'J\xfcrgen');
    expect(accepted(bytes).toBuffer().includes(Buffer.from('"Jürgen"', 'utf8'))).toBe(true);
  });

  test('UTF-8 is kept octet for octet, its outer no-break spaces too', () => {
    const subject = '\u00a0Grüße 😀\ufeff';
    expect(accepted(sipText([...INVITE_LINES, `Subject: \t${subject} \t`])).get('subject')).toBe(subject);
  });

  test.each([
    ['a\r\n b', 'a b'],
    ['a \t\r\n\t b\r\n  c', 'a b c'],
    ['\r\n a', 'a'],
    ['a\r\n \r\n ', 'a'],
  ])('the fold in %j is one space', (folded, value) =>
    expect(accepted(sipText([...INVITE_LINES, `Subject: ${folded}`])).get('subject')).toBe(value),
  );
});

test('a Refer-To without the brackets its URI asks for', () => {
  const referTo = 'sip:bob@example.com?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2';
  expect(accepted(sipText([...INVITE_LINES, `r: ${referTo}`])).get('refer-to')).toBe(referTo);
});

test('a To with two tags, the first of which counts', () => {
  const result = parseDatagram(inviteWith('To', 'To: <sip:+15551234567@192.0.2.2>;tag=a;tag=b'));
  expect(result.ok && result.envelope.to.tag).toBe('a');
});

test('an ACK whose Request-URI leads nowhere, but no INVITE', () => {
  const [, ...headers] = INVITE_LINES;
  const sent = (method: string): Buffer => {
    const lines = headers.map((line) => line.replace(/^CSeq: .*/, `CSeq: 1 ${method}`));
    return sipText([`${method} sip:sip:192.0.2.2:5060 SIP/2.0`, ...lines]);
  };
  expect(accepted(sent('ACK')).get('cseq')).toBe('1 ACK');
  expect(refused(sent('INVITE')).reason).toBe('Malformed Request-URI');
});

describe('what is refused', () => {
  test.each([
    ['nothing', '', 'Malformed start line'],
    ['a keep-alive', '\r\n\r\n', 'Malformed start line'],
    ['a binary keep-alive', '\0\0\0\0', 'Control character in header'],
    ['text', 'hello', 'Malformed start line'],
    ['HTTP', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'Malformed request line'],
    ['a status of two digits', 'SIP/2.0 20 OK\r\n\r\n', 'Malformed status line'],
    ['a status of four digits', 'SIP/2.0 2000 OK\r\n\r\n', 'Malformed status line'],
    ['a status of 700', 'SIP/2.0 700 OK\r\n\r\n', 'Malformed status line'],
    ['a response of another version', 'SIP/3.0 200 OK\r\n\r\n', 'Malformed status line'],
  ])('%s, unanswered', (_, text, reason) =>
    expect(refused(Buffer.from(text))).toEqual({ kind: 'malformed', status: 400, reason }),
  );

  test.each([
    ['Via', 'Missing Via'],
    ['From', 'Missing From'],
    ['To', 'Missing To'],
    ['Call-ID', 'Missing Call-ID'],
    ['CSeq', 'Missing CSeq'],
  ])('a request without %s', (name, reason) =>
    expect(refused(inviteWith(name))).toMatchObject({ status: 400, reason }),
  );

  test.each([
    ...['From: <sip:a@b:65536>;tag=1', 'To: "Bob <sip:a@b>', 'Contact: <sip:a@b:99999>', 'Contact: <sip:a@b>,,*'],
    ...['Route: sip:a@b', 'Route: <sip:a@b>,', 'Record-Route: <sip:a b>', 'Max-Forwards: 256'],
    ...['Max-Forwards: -1', 'Call-ID: a b', 'Call-ID: a;from-tag=b', 'Call-ID: a|b', 'Call-ID:', 'CSeq: 1 BYE'],
    ...['CSeq: 4294967296 INVITE', 'Via: SIP/2.0/UDP a, b'],
  ])('%s', (line) => expect(refused(inviteWith(line.slice(0, line.indexOf(':')), line)).status).toBe(400));

  test.each(['From', 'To', 'Call-ID', 'CSeq', 'Max-Forwards'])('%s twice', (name) => {
    const line = INVITE_LINES.find((each) => each.startsWith(`${name}:`)) ?? '';
    expect(refused(inviteWith(name, line, line)).reason).toBe(`More than one ${name}`);
  });

  test.each(['no colon', ': no name', ' folds nothing'])('a header line %j', (line) => {
    const [startLine, ...rest] = INVITE_LINES;
    const { reason, partial } = refused(sipText([startLine ?? '', line, ...rest]));
    expect(reason).toBe('Malformed header field');
    expect(partial?.get('call-id')).toBe('a84b4c76e66710@pbx.example.com');
  });

  test.each(['a\nb', 'a\rb', 'a\0b', 'a\x1bb', 'a\x7fb', 'a\\\\\0b', 'a\\\rb'])(
    'a header that could be read as two, %j, unanswered',
    (value) =>
      expect(refused(sipText([...INVITE_LINES, `Subject: ${value}`]))).toEqual({
        kind: 'malformed',
        status: 400,
        reason: 'Control character in header',
      }),
  );

  test('a header without its empty line', () => {
    const bytes = inviteText();
    const failure = refused(bytes.subarray(0, bytes.indexOf('\r\n\r\n') + 2));
    expect(failure.reason).toBe('No empty line after the header');
    expect(failure.partial?.has('cseq')).toBe(true);
  });

  test.each(['', 'x', '+5', '1.5', '0x10', '5, 5', '99999999999999999999'])('Content-Length %j', (length) => {
    const bytes = Buffer.from(`${INVITE_LINES.join('\r\n')}\r\nContent-Length: ${length}\r\n\r\nhello`);
    expect(refused(bytes)).toMatchObject({ status: 400, reason: 'Malformed Content-Length' });
  });

  test.each([
    ['INVITE sip:a@b SIP/3.0', 505],
    ['INVITE sip:a@b SIP/2.0.1', 400],
    ['INVITE sip:a@b', 400],
    ['INVITE  SIP/2.0', 400],
    ['INVITE a@b SIP/2.0', 400],
    ['INVITE http://a SIP/2.0', 416],
    ['INVITE sip:a@b:65536 SIP/2.0', 400],
    ['INVITE sip:a@b?subject=x SIP/2.0', 400],
    [`INVITE sip:${'a'.repeat(LIMITS.requestUriLength - 3)} SIP/2.0`, 414],
    ['IN/VITE sip:a@b SIP/2.0', 400],
  ])('%s', (startLine, status) => expect(refused(sipText([startLine, ...INVITE_LINES.slice(1)])).status).toBe(status));

  test('a partial request carries what an answer repeats, and nothing else', () => {
    const { partial } = refused(inviteWith('Max-Forwards', 'Max-Forwards: many'));
    expect(partial?.method).toBe('INVITE');
    expect(partial?.headers.map(([name]) => name)).toEqual(['via', 'via', 'from', 'to', 'call-id', 'cseq']);
  });
});

describe('sizes', () => {
  const longest = (prefix: string, max: number, suffix = ''): string =>
    prefix + 'a'.repeat(max - prefix.length - suffix.length) + suffix;

  test.each([
    ['From', longest('<sip:', LIMITS.nameAddrLength, '@b>')],
    ['To', longest('"', LIMITS.nameAddrLength, '" <sip:a@b>')],
    ['Contact', longest('<sip:', LIMITS.nameAddrLength, '@b>')],
    ['Route', longest('<sip:', LIMITS.nameAddrLength, '@b>')],
    ['P-Asserted-Identity', longest('<sip:', LIMITS.nameAddrLength, '@b>')],
    ['Via', longest('SIP/2.0/UDP a;branch=', LIMITS.viaLength)],
    ['Call-ID', longest('', LIMITS.callIdLength)],
    ['Subject', longest('', LIMITS.headerLength - 'Subject'.length)],
  ])('the longest %s is accepted, one character more is not', (name, value) => {
    accepted(inviteWith(name, `${name}: ${value}`));
    expect(refused(inviteWith(name, `${name}: ${value.replace('aa', 'aaa')}`)).status).toBe(400);
  });

  test.each([
    ['Via', 'SIP/2.0/UDP a', LIMITS.viaHops],
    ['Contact', '<sip:a>', LIMITS.contacts],
    ['Route', '<sip:a;lr>', LIMITS.routeHops],
    ['Record-Route', '<sip:a;lr>', LIMITS.routeHops],
  ])('%s has a most', (name, entry, max) => {
    const some = Array<string>(max - 1)
      .fill(entry)
      .join(', ');
    accepted(inviteWith(name, `${name}: ${some}`, `${name}: ${entry}`));
    expect(refused(inviteWith(name, `${name}: ${some}`, `${name}: ${entry},${entry}`)).reason).toContain('Too many');
  });

  test('so have header fields', () => {
    const spare = LIMITS.headerCount - INVITE_LINES.length;
    const padding = Array<string>(spare).fill('X-A: 1');
    accepted(sipText([...INVITE_LINES, ...padding]));
    expect(refused(sipText([...INVITE_LINES, ...padding, 'X-A: 1'])).reason).toBe('Too many header fields');
  });

  test('a message is at most 64 KB', () => {
    const bytes = Buffer.concat([inviteText(), Buffer.alloc(LIMITS.messageBytes)]);
    expect(refused(bytes).status).toBe(413);
  });
});

describe('a message of our own side', () => {
  test('needs no mandatory header field', () => {
    const message = parseMessage(Buffer.from('SIP/2.0 200 OK\r\nContent-Length: 1\r\nX-A: b\r\n\r\nv=0\r\n'));
    expect(message).toMatchObject({ status: 200, reason: 'OK' });
    expect(message?.get('x-a')).toBe('b');
    expect(message?.body.toString()).toBe('v=0\r\n');
  });

  test('nor an empty line when there is no body', () =>
    expect(parseMessage(Buffer.from('INVITE sip:a@b SIP/2.0\r\nTo: x'))).toMatchObject({ method: 'INVITE' }));

  test('is undefined when it is none', () => {
    expect(parseMessage(Buffer.from('hello\r\n\r\n'))).toBeUndefined();
    expect(parseMessage(Buffer.from('BYE sip:a SIP/2.0\r\nbroken\r\n\r\n'))).toBeUndefined();
  });
});
