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
  ])('%s becomes %s', (text, masked) => {
    expect(redactNumber(text)).toBe(masked);
  });

  it('masks long runs of digits in a name', () => {
    expect(redactQuotedNumbers('prefix:+4930 did:+15551234 v2')).toBe('prefix:+4930 did:+******34 v2');
  });
});
