import { describe, expect, it } from 'vitest';
import { readHandshakeAnswer } from '../../../src/pranthora/handshake-answer.js';
import { AgentNetwork } from '../../../src/pranthora/network.js';

const read = (body: string, base = 'wss://p.example', allowHosts: string[] = []): unknown =>
  readHandshakeAnswer(Buffer.from(body), 200, new URL(base), new AgentNetwork({ allowHosts }));
const leadingTo = (url: unknown, base?: string, allowHosts?: string[]): unknown =>
  read(JSON.stringify({ websocket_url: url, other: 1 }), base, allowHosts);

describe('the path decides the protocol, and the URL is used as given', () => {
  it.each([
    ['wss://p.example/api/call/media-stream/agents/a1', 'telephony'],
    ['wss://P.example:443/api/call/media-stream/workflows/w1?token=x', 'telephony'],
    ['wss://p.example/v2/media-stream', 'telephony'],
    ['wss://p.example/api/call/web-media-stream?agent_id=a1', 'websocket'],
    // Whatever else it is, the guide has the telephony protocol spoken there.
    ['wss://p.example/s/0c9f3a5d2e11', 'telephony'],
    ['wss://p.example', 'telephony'],
    ['wss://p.example/?x=/web-media-stream/', 'telephony'],
    ['wss://p.example/my-web-media-stream/a', 'telephony'],
  ])('%s', (url, protocol) => expect(leadingTo(url)).toEqual({ url, protocol }));

  it.each(['\ufeff', ' \n', ''])('and the answer may begin with %j', (before) =>
    expect(read(`${before}{"websocket_url":"wss://p.example/a"}\n`)).toEqual({
      url: 'wss://p.example/a',
      protocol: 'telephony',
    }),
  );
});

describe('where the key may be shown', () => {
  it.each([
    ['wss://evil.example/media-stream/', 'evil.example'],
    ['wss://p.example.evil.example/media-stream/', 'p.example.evil.example'],
    ['wss://p.example:8443/media-stream/', 'p.example:8443'],
  ])('%s is a stranger', (url, shown) => {
    const answer = leadingTo(url);
    expect(answer).toMatchObject({ kind: 'configuration' });
    expect(JSON.stringify(answer)).toContain(`not allowed, ${shown}; pranthora.allowHosts allows it`);
  });

  it.each([
    ['wss://media.example/media-stream/', 'media.example'],
    ['wss://media.example:8443/media-stream/', 'media.example'],
    ['wss://media.example/media-stream/', 'media.example:443'],
    ['wss://media.example:8443/media-stream/', 'media.example:8443'],
    ['wss://[::1]:8443/media-stream/', '[::1]'],
  ])('%s is allowed by %s', (url, allowed) =>
    expect(leadingTo(url, 'wss://p.example', [allowed])).toMatchObject({ protocol: 'telephony' }),
  );

  it('another port than the one named is not', () =>
    expect(leadingTo('wss://media.example/media-stream/', 'wss://p.example', ['media.example:8443'])).toMatchObject({
      kind: 'configuration',
    }));

  it('encryption is not given up, but may be taken up', () => {
    expect(leadingTo('ws://p.example/media-stream/')).toMatchObject({ kind: 'configuration' });
    expect(leadingTo('wss://p.example/media-stream/', 'ws://p.example')).toMatchObject({ protocol: 'telephony' });
  });

  it.each([
    'https://p.example/media-stream/',
    'ws+unix:///run/media-stream/',
    'wss://user:password@p.example/media-stream/',
    'wss://p.example/media-stream/#x',
    '/api/call/media-stream/agents/a1',
    'wss://',
    `wss://p.example/media-stream/${'x'.repeat(5_000)}`,
  ])('%.60s is no plain WebSocket URL', (url) => {
    const answer = leadingTo(url);
    expect(answer).toMatchObject({ kind: 'configuration' });
    expect(JSON.stringify(answer)).not.toContain('password');
  });
});

it.each(['', 'hello', '[]', 'null', '{}', '{"websocket_url":7}', '['.repeat(60_000), '{"websocket_url":"wss://'])(
  'the answer %.20s is broken',
  (body) => expect(read(body)).toMatchObject({ kind: 'unreachable', httpStatus: 200 }),
);
