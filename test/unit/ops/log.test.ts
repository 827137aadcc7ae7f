import { describe, expect, it } from 'vitest';
import { createLog } from '../../../src/ops/log.js';
import type { LogOptions } from '../../../src/ops/log.js';
import { redactNumber, redactQuotedNumbers } from '../../../src/ops/redact-numbers.js';

type Line = Record<string, unknown>;

function collect(
  options: Partial<LogOptions> = {},
): ReturnType<typeof createLog> & { text: string[]; lines: () => Line[] } {
  const text: string[] = [];
  const destination = { write: (line: string) => void text.push(line) };
  const log = createLog({ level: 'info', pretty: false, redactNumbers: false, destination, ...options });
  return { ...log, text, lines: () => text.map((line) => JSON.parse(line) as Line) };
}

describe('createLog', () => {
  it('writes one JSON object a line: level by name, ISO time, event, message, and what the children carry', () => {
    const { logger, text, lines } = collect();
    logger.child({ callId: 'c1' }).warn({ event: 'agent.reconnecting', attempt: 2 }, 'lost\nthe agent');
    expect(text).toHaveLength(1);
    expect(text[0]).toMatch(/^[^\n]*\n$/);
    const [line] = lines();
    expect(line).toEqual({
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as unknown,
      callId: 'c1',
      event: 'agent.reconnecting',
      attempt: 2,
      msg: 'lost\nthe agent',
    });
  });

  it('changes the level of all loggers at run time', () => {
    const { logger, setLevel, lines } = collect();
    const child = logger.child({ callId: 'c1' });
    child.debug({ event: 'unseen' });
    setLevel('debug');
    child.debug({ event: 'seen' });
    setLevel('silent');
    child.error({ event: 'unseen' });
    expect(lines().map(({ event }) => event)).toEqual(['seen']);
  });

  it('shows an error with its stack', () => {
    const { logger, lines } = collect();
    logger.error({ event: 'bridge.fault', error: new TypeError('broken') });
    expect(lines()[0]?.['error']).toMatchObject({
      type: 'TypeError',
      message: 'broken',
      stack: expect.any(String) as unknown,
    });
  });

  it('never shows an API key: not by name, not inside another text, not after keys were changed', () => {
    const { logger, setSecrets, text } = collect({ secrets: ['first"key-123', 'short'] });
    logger.info({ event: 'a', apiKey: 'any', options: { apiKey: 'any', 'x-api-key': 'any' }, 'x-api-key': 'any' });
    logger.info({ event: 'b', error: new Error('401 for first"key-123') }, 'tried first"key-123 in a short time');
    setSecrets(['second-key-456']);
    logger.child({ note: 'second-key-456' }).info({ event: 'c' });
    const all = text.join('');
    expect(all).not.toMatch(/"any"|first|second-key/);
    expect(all).toContain('tried [redacted] in a short time');
  });

  it('masks numbers only when asked to', () => {
    const fields = {
      event: 'call.received',
      from: 'sip:+15551234@10.0.0.1',
      to: '+15559876',
      did: '15559876',
      route: 'did:+15559876',
      referTo: 'sip:15559877@10.0.0.2',
      user: '5559876',
      registration: '+15559876@pbx.example',
    };
    const open = collect();
    open.logger.info(fields);
    expect(open.lines()[0]).toMatchObject(fields);
    const masked = collect({ redactNumbers: true });
    masked.logger.child({ from: '+15551234' }).info(fields);
    expect(masked.text.join('')).not.toMatch(/5551234|555987/);
    expect(masked.lines()[0]).toMatchObject({ to: '+******76', did: '******76', route: 'did:+******76' });
  });

  it('masks numbers in every text, and leaves addresses, ports, dates and what correlates lines', () => {
    const { logger, lines } = collect({ redactNumbers: true });
    logger.info(
      {
        event: 'call.ended',
        callId: '15559876543@10.1.2.3',
        from: '1001',
        did: '+15559876543',
        detail: 'no route for +1 (555) 987-6543, called by 1001',
        verdict: 'RTP came from 10.100.200.30:48733, not from 192.168.100.200',
        receivedAt: '2026-12-01T10:20:30.400Z',
        media: { errors: ['refer to sip:15551112222@pbx.example failed'], packets: 15551112222 },
        error: new Error('5551112222 is busy'),
        digit: '7',
      },
      'placed 15559876543',
    );
    const [line] = lines();
    expect(line).toMatchObject({
      callId: '15559876543@10.1.2.3',
      from: '**01',
      did: '+*********43',
      detail: 'no route for +* (***) ***-**43, called by **01',
      verdict: 'RTP came from 10.100.200.30:48733, not from 192.168.100.200',
      receivedAt: '2026-12-01T10:20:30.400Z',
      media: { errors: ['refer to sip:*********22@pbx.example failed'] },
      digit: '[redacted]',
      msg: 'placed *********43',
    });
    expect(JSON.stringify(line?.['error'])).not.toContain('5551112222');
  });

  it('never shows the password of a URI', () => {
    const { logger, text } = collect();
    logger.info(
      { event: 'a', from: 'sip:alice:s3cret@pbx', to: '"A" <sips:bob;x=1:s3cret@pbx:5061>' },
      'sip:c:s3cret@h',
    );
    logger.info({ event: 'b', sip: ['udp://[::1]:5060'], to: 'sip:10.0.0.1:5060', from: 'alice@pbx' });
    expect(text[0]).not.toContain('s3cret');
    expect(text[0]).toContain('sip:alice@pbx');
    expect(text[1]).toContain('"sip:10.0.0.1:5060","from":"alice@pbx"');
  });

  it.each([false, true])('lets no text command a terminal or forge a line (pretty: %s)', (pretty) => {
    const { logger, text } = collect({ pretty });
    const hostile = '\u009b31m \u0085 \u007f \u202e \u2066 \u2028 \u200f \ufeff \u001b[2J \b\r\0 \\u009b';
    logger.warn({ event: 'sip.forbidden', userAgent: hostile, [hostile]: 1 }, hostile);
    const [line = ''] = text;
    // Colours are ours.
    // eslint-disable-next-line no-control-regex
    expect(line.replace(/\u001b\[\d+m/g, '')).toMatch(/^[\x20-\x7e]*\n$/);
    expect(line).toContain('u009b31m');
    if (!pretty) expect(JSON.parse(line)).toMatchObject({ userAgent: hostile, msg: hostile });
  });

  it('writes what can be written of anything, and throws nothing', () => {
    const { logger, lines } = collect();
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    const throwing = (): never => {
      throw new Error('not to be had');
    };
    const fields = {
      event: 'odd',
      get value() {
        return throwing();
      },
    };
    logger.info({ event: 'circular', circular });
    logger.info({ event: 'big', big: 2n ** 70n });
    logger.info({ event: 'json', value: { toJSON: throwing } });
    logger.info(fields);
    logger.info({
      get event() {
        return throwing();
      },
    });
    logger.info({ event: 'error', error: Object.defineProperty(new Error('x'), 'message', { get: throwing }) });
    logger.info({ event: 'huge', huge: 'x'.repeat(100_000) });
    logger
      .child({
        callId: 'c1',
        get value() {
          return throwing();
        },
      })
      .info({ event: 'child' });
    logger.info(undefined as never);
    expect(lines().map(({ event }) => event)).toEqual([
      'circular',
      'big',
      'json',
      'odd',
      'error',
      'huge',
      'child',
      undefined,
    ]);
    expect(lines()[3]).toMatchObject({ level: 'info', unwritable: 'not to be had' });
    expect(lines()[5]).toMatchObject({
      unwritable: expect.stringMatching(/^a line of 100\d{3} characters$/) as string,
    });
  });

  it('outlives a destination that throws', () => {
    const { logger } = collect({
      destination: {
        write: () => {
          throw new Error('ENOSPC');
        },
      },
    });
    logger.info({ event: 'a' });
  });

  it('is readable for a person, and then hides the same things', () => {
    const { logger, text } = collect({ pretty: true, secrets: ['first-key-123'] });
    logger.info({ event: 'bridge.ready', note: 'first-key-123' }, 'taking calls');
    expect(text.join('')).toMatch(/INFO.*bridge\.ready taking calls.*\[redacted\]/);
    expect(text.join('')).not.toContain('first-key-123');
  });
});

describe('redactNumber', () => {
  it.each([
    ['+15551234', '+******34'],
    ['sip:+15551234@10.0.0.99:5060', 'sip:+******34@10.0.0.99:5060'],
    ['"Ann 555" <sip:5551234@pbx>', '"Ann ***" <sip:*****34@pbx>'],
    ['alice', 'alice'],
    ['12', '12'],
    ['', ''],
  ])('%s becomes %s', (text, masked) => expect(redactNumber(text)).toBe(masked));

  it('masks long runs of digits in a name', () =>
    expect(redactQuotedNumbers('prefix:+4930 did:+15551234 v2')).toBe('prefix:+4930 did:+******34 v2'));
});
