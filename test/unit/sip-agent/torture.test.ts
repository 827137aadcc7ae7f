import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { SipRequest, SipResponse } from '../../../src/sip-agent/syntax/message.js';
import { parseNameAddr, splitHeaderList } from '../../../src/sip-agent/syntax/headers.js';
import { parseDatagram, type ParseFailure, type ParseResult } from '../../../src/sip-agent/syntax/parse.js';
import { parseSipUri } from '../../../src/sip-agent/syntax/uri.js';

const FOLDER = new URL('../../fixtures/sip/torture/', import.meta.url);

function parse(name: string): ParseResult {
  return parseDatagram(readFileSync(new URL(`${name}.dat`, FOLDER)));
}

function accepted(name: string): Extract<ParseResult, { ok: true }> {
  const result = parse(name);
  if (!result.ok) throw new Error(`${name} was refused: ${result.failure.reason}`);
  return result;
}

function acceptedRequest(name: string): SipRequest {
  const { message } = accepted(name);
  if (!(message instanceof SipRequest)) throw new Error(`${name} is no request`);
  return message;
}

function acceptedResponse(name: string): SipResponse {
  const { message } = accepted(name);
  if (!(message instanceof SipResponse)) throw new Error(`${name} is no response`);
  return message;
}

function refused(name: string): ParseFailure {
  const result = parse(name);
  if (result.ok) throw new Error(`${name} was accepted`);
  return result.failure;
}

/** RFC 4475 section 3.1.1, and those of 3.2 to 3.4 that are for the layers above to decide. */
const VALID = [
  ...['wsinv', 'intmeth', 'esc01', 'escnull', 'esc02', 'lwsdisp', 'longreq', 'dblreq', 'semiuri', 'transports'],
  ...['mpart01', 'unreason', 'noreason'],
  ...['badbranch', 'unksm2', 'bext01', 'invut', 'regaut01', 'bcast', 'zeromf', 'cparam01', 'cparam02', 'regescrt'],
  ...['sdp01', 'inv2543'],
  // Of section 3.1.2, those that leave no doubt about what is meant.
  ...['badaspec', 'baddate', 'baddn'],
];

/** Requests of sections 3.1.2 to 3.3 that are answered, with what. */
const ANSWERED: Record<string, [status: number, reason: RegExp]> = {
  badvers: [505, /Version/],
  clerr: [400, /Content-Length/],
  escruri: [400, /Request-URI/],
  insuf: [400, /Missing/],
  ltgtruri: [400, /Request-URI/],
  lwsruri: [400, /request line/],
  lwsstart: [400, /request line/],
  mcl01: [400, /Content-Length/],
  mismatch01: [400, /CSeq/],
  mismatch02: [400, /CSeq/],
  multi01: [400, /More than one/],
  ncl: [400, /Content-Length/],
  novelsc: [416, /Scheme/],
  quotbal: [400, /To/],
  regbadct: [400, /Contact/],
  scalar02: [400, /CSeq/],
  trws: [400, /request line/],
  unkscm: [416, /Scheme/],
};

/** Responses, and a request whose Via leads nowhere. */
const DROPPED = ['badinv01', 'bigcode', 'scalarlg'];

describe('the RFC 4475 torture messages', () => {
  test('are all here', () => {
    const files = readdirSync(FOLDER).map((file) => file.replace('.dat', ''));
    expect(files.sort()).toEqual([...VALID, ...Object.keys(ANSWERED), ...DROPPED].sort());
  });

  test.each(VALID)('%s is accepted and survives being written and read again', (name) => {
    const { message, envelope } = accepted(name);
    const again = parseDatagram(message.toBuffer());
    expect(again).toMatchObject({ ok: true, envelope });
    expect(again.ok && again.message.toBuffer()).toEqual(message.toBuffer());
    expect(again.ok && again.message.body).toEqual(message.body);
  });

  test.each(Object.entries(ANSWERED))('%s is answered', (name, [status, reason]) => {
    const failure = refused(name);
    expect(failure).toMatchObject({ kind: 'malformed', status });
    expect(failure.reason).toMatch(reason);
    expect(failure.partial?.has('via')).toBe(true);
    expect(failure.partial?.has('cseq')).toBe(true);
  });

  test.each(DROPPED)('%s is dropped', (name) => expect(refused(name).partial).toBeUndefined());

  test('wsinv: folding and blanks everywhere', () => {
    const { envelope, message } = accepted('wsinv');
    expect(envelope.to).toMatchObject({ uri: 'sip:vivekg@chair-dnrc.example.com', tag: '1918181833n' });
    expect(envelope.from).toMatchObject({ display: 'J Rosenberg \\"', uri: 'sip:jdrosen@example.com', tag: '98asjd8' });
    expect(envelope.maxForwards).toBe(68);
    expect(envelope.cseq).toEqual({ number: 9, method: 'INVITE' });
    expect(envelope.via).toMatchObject({ transport: 'udp', host: '192.0.2.2', branch: '390skdjuw', rport: false });
    expect(message.getAll('via').flatMap(splitHeaderList)).toHaveLength(3);
    expect(message.get('subject')).toBe('');
    expect(message.get('newfangledheader')).toBe('newfangled value continued newfangled value');
    expect(message.get('unknownheaderwithunusualvalue')).toBe(';;,,;;,;');
    expect(message.body).toHaveLength(150);
    const contact = parseNameAddr(message.get('contact') ?? '');
    expect(contact).toMatchObject({ display: 'Quoted string ""', uri: 'sip:jdrosen@example.com' });
    expect(contact?.params).toEqual(
      new Map([
        ['newparam', 'newvalue'],
        ['secondparam', undefined],
        ['q', '0.33'],
      ]),
    );
  });

  test('intmeth: every unusual character that is allowed, octets kept', () => {
    const { envelope, message } = accepted('intmeth');
    expect(acceptedRequest('intmeth').method).toBe("!interesting-Method0123456789_*+`.%indeed'~");
    expect(envelope.to.display).toBe('BEL:\x07 NUL:\0 DEL:\x7f');
    expect(envelope.from.display).toBe("token1~` token2'+_ token3*%!.-");
    expect(envelope.from.tag).toBe("_token~1'+`*%!-.");
    expect(envelope.callId).toBe('intmeth.word%ZK-!.*_+\'@word`~)(><:\\/"][?}{');
    expect(message.get("extensionheader-!.%*+_`'~")).toBe('\ufeff大停電');
    expect(message.toBuffer().includes(Buffer.from('fromParam\'\'~+*_!.-%="работающий"'))).toBe(true);
    expect(message.toBuffer().includes(Buffer.from('"BEL:\\\x07 NUL:\\\0 DEL:\\\x7f"'))).toBe(true);
  });

  test('esc01 and escnull: escapes are left as they stood', () => {
    expect(acceptedRequest('esc01').uri).toBe('sip:sips%3Auser%40example.com@example.net');
    expect(parseSipUri(acceptedRequest('esc01').uri)).toMatchObject({ user: 'sips%3Auser%40example.com' });
    expect(acceptedRequest('escnull').getAll('contact')).toHaveLength(2);
  });

  test('esc02: a percent sign in a token is no escape', () => {
    const message = acceptedRequest('esc02');
    expect(message.method).toBe('RE%47IST%45R');
    expect(message.getAll('contact')).toHaveLength(2);
    expect(message.get('c%6fntact')).toBe('<sip:alias2@host2.example.com>');
  });

  test('lwsdisp: no blank before the angle bracket', () =>
    expect(accepted('lwsdisp').envelope.from).toMatchObject({ display: 'caller', uri: 'sip:caller@example.com' }));

  test('longreq: 34 hops and very long names', () => {
    const { envelope, message } = accepted('longreq');
    expect(message.getAll('via')).toHaveLength(34);
    expect(envelope.via).toMatchObject({ transport: 'tcp', host: 'sip33.example.com' });
    expect(envelope.from.tag).toMatch(/^12982982982/);
  });

  test('dblreq: what follows the Content-Length is ignored', () => {
    const { message, envelope } = accepted('dblreq');
    expect(envelope.cseq.method).toBe('REGISTER');
    expect(message.body).toHaveLength(0);
  });

  test('semiuri: a semicolon in the user part begins no parameter', () =>
    expect(parseSipUri(acceptedRequest('semiuri').uri)).toEqual({
      scheme: 'sip',
      user: 'user;par=u%40example.net',
      host: 'example.com',
      params: new Map(),
    }));

  test('mpart01: a binary body is kept octet for octet', () => {
    const raw = readFileSync(new URL('mpart01.dat', FOLDER));
    const { message } = accepted('mpart01');
    expect(message.body).toHaveLength(553);
    expect(raw.includes(message.body)).toBe(true);
  });

  test('unreason and noreason: a phrase in UTF-8, and none', () => {
    expect(acceptedResponse('unreason')).toMatchObject({
      status: 200,
      reason: '= 2**3 * 5**2 но сто девяносто девять - простое',
    });
    expect(acceptedResponse('noreason')).toMatchObject({ status: 100, reason: '' });
  });

  test('inv2543: no branch, no tag, no Max-Forwards', () => {
    const { envelope, message } = accepted('inv2543');
    expect(envelope.via.branch).toBeUndefined();
    expect(envelope.from.tag).toBeUndefined();
    expect(envelope.to.params).toEqual(new Map([['user', 'phone']]));
    expect(envelope).not.toHaveProperty('maxForwards');
    expect(message.body).toHaveLength(105);
  });

  test('badaspec, baddate and baddn: broken, but clear', () => {
    expect(accepted('badaspec').envelope.to).toMatchObject({
      display: 'Watson, Thomas',
      uri: 'sip:t.watson@example.org',
    });
    expect(acceptedRequest('baddate').get('date')).toMatch(/EST$/);
    expect(accepted('baddn').envelope.from).toMatchObject({ display: 'Bell, Alexander', tag: '43' });
  });

  test('multi01: an answer repeats each header field once', () => {
    const { partial } = refused('multi01');
    expect(partial?.getAll('from')).toEqual(['sip:caller@example.com;tag=3413415']);
    expect(partial?.getAll('cseq')).toEqual(['5 INVITE']);
  });
});
