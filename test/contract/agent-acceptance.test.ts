import type { IncomingHttpHeaders } from 'node:http';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WebSocketServer, type WebSocket } from 'ws';
import type { AgentMode } from '../../src/pranthora/agent-session.js';
import { Call, KEY, type CallOptions } from './agent-harness.js';

/** Pranthora as one test wants it: each connection in turn gets the next of `answers`, the last of them for good. */
class ScriptedPranthora {
  readonly keys: (string | undefined)[] = [];
  readonly headers: IncomingHttpHeaders[] = [];
  readonly posts: IncomingHttpHeaders[] = [];
  readonly texts: string[] = [];
  readonly sockets: WebSocket[] = [];
  readonly #http: Server;
  readonly #webSockets = new WebSocketServer({ noServer: true });

  constructor(
    answers: ((socket: WebSocket) => void)[],
    post: (request: IncomingMessage, response: ServerResponse, url: string) => void = (_request, response, url) => {
      response.end(JSON.stringify({ websocket_url: `${url}/opaque` }));
    },
  ) {
    this.#http = createServer((request, response) => {
      this.posts.push(request.headers);
      request.resume();
      post(request, response, this.url);
    });
    this.#http.on('upgrade', (request, socket, head) => {
      this.headers.push(request.headers);
      this.keys.push(String(request.headers['x-api-key']));
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        this.sockets.push(webSocket);
        webSocket.on('message', (data) => this.texts.push((data as Buffer).toString('utf8')));
        answer?.(webSocket);
      });
    });
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  start(): Promise<void> {
    return new Promise((resolve) => this.#http.listen(0, '127.0.0.1', resolve));
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.terminate();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }
}

let pranthora: ScriptedPranthora | undefined;
let call: Call | undefined;

afterEach(async () => {
  call?.hangUp();
  expect(call?.clock.pendingTimers).toBe(0);
  await pranthora?.stop();
  pranthora = undefined;
});

type Answer = (socket: WebSocket) => void;

async function dial(
  answers: Answer[],
  options: CallOptions,
  post?: ConstructorParameters<typeof ScriptedPranthora>[1],
) {
  pranthora = new ScriptedPranthora(answers, post);
  await pranthora.start();
  call = new Call(pranthora.url, options).connect();
  return { call, server: pranthora };
}

const START = '{"event_type":"start_media_streaming"}';
const silent: Answer = () => undefined;
const starts: Answer = (socket) => socket.send(START);
const closes =
  (code: number, reason = '', afterMs = 0): Answer =>
  (socket) =>
    void setTimeout(() => socket.close(code, reason), afterMs);
const says =
  (text: string): Answer =>
  (socket) =>
    socket.send(text);

describe.each<AgentMode>(['telephony', 'handshake'])('an agent without a start message (%s)', (mode) => {
  it.each([4001, 4002, 4003, 1008])('is refused by %i long after the upgrade, and was never ready', async (code) => {
    const { call } = await dial([closes(code, 'no', 150)], { mode, settleMs: 60_000 });
    expect(await call.ending()).toMatchObject({ kind: 'configuration', closeCode: code });
    expect(call.events).toEqual(['ended']);
  });

  it('is ready once it has not refused the call for so long', async () => {
    const { call } = await dial([silent], { mode, settleMs: 60 });
    await call.until('ready');
    expect(call.readyInfo?.startMs).toBeGreaterThanOrEqual(59);
  });

  it.each([
    '{"event":"media","media":{"payload":"AAAA"}}',
    '{"event":"mark","mark":{"name":"m"}}',
    '{"event":"clear"}',
    '{"event":"connected"}',
    '{"type":"first_response"}',
    START,
  ])('is ready at its first message, %s', async (text) => {
    const { call } = await dial([says(text)], { mode, settleMs: 60_000 });
    await call.until('ready');
    expect(call.events[0]).toBe('ready');
  });

  it('is not ready for an error, which may be the beginning of a refusal', async () => {
    const refuses: Answer = (socket) => {
      socket.send('{"type":"error","message":"Unauthorized"}');
      setTimeout(() => socket.close(4001), 50);
    };
    const { call } = await dial([refuses], { mode, settleMs: 60_000 });
    expect(await call.ending()).toMatchObject({ closeCode: 4001 });
    expect(call.events).toEqual(['ended']);
  });

  it('is not waited for when it comes back in the middle of a call', async () => {
    const speaksAndDies: Answer = (socket) => {
      socket.send('{"event":"media","media":{"payload":"AAAA"}}');
      socket.close(1012);
    };
    const { call } = await dial([speaksAndDies, silent], { mode, settleMs: 60_000 });
    await call.until('reconnected');
  });
});

describe('an agent with a start message', () => {
  it('is not waited for any longer', async () => {
    const { call } = await dial([starts], { settleMs: 60_000 });
    await call.until('ready');
  });

  it('is not ready for anything else', async () => {
    const { call } = await dial([says('{"type":"first_response"}')], { settleMs: 0, startTimeoutMs: 100 });
    expect((await call.ending()).detail).toContain('start_media_streaming within 100 ms');
  });
});

describe('two keys', () => {
  const takes =
    (key: string, then: Answer): Answer =>
    (socket) => {
      if (pranthora?.keys.at(-1) === key) then(socket);
      else socket.close(4001, 'Unauthorized');
    };

  it('are shown one after the other while the caller waits', async () => {
    const { call, server } = await dial([takes('new', starts)], { apiKeys: ['old', 'new'] });
    await call.until('ready');
    expect(server.keys).toEqual(['old', 'new']);
  });

  it.each([401, 403])('are shown one after the other where the POST is answered %i', async (status) => {
    const { call, server } = await dial(
      [silent],
      { mode: 'handshake', apiKeys: ['old', 'new'] },
      (request, response, url) => {
        if (request.headers['x-api-key'] === 'new') response.end(JSON.stringify({ websocket_url: url }));
        else response.writeHead(status).end('{}');
      },
    );
    await call.until('ready');
    expect(server.posts.map((headers) => headers['x-api-key'])).toEqual(['old', 'new']);
    expect(server.keys).toEqual(['new']);
  });

  it('are both refused: that is the end, after one try of each', async () => {
    const { call, server } = await dial([closes(4001)], { mode: 'telephony', settleMs: 500, apiKeys: ['a', 'b'] });
    expect(await call.ending()).toMatchObject({ kind: 'configuration', closeCode: 4001 });
    expect(server.keys).toEqual(['a', 'b']);
  });

  it('change places when the first is withdrawn in the middle of a call', async () => {
    const { call, server } = await dial([starts, takes('b', starts)], { apiKeys: ['a', 'b'] });
    await call.until('ready');
    server.sockets[0]?.close(4001, 'Unauthorized');
    await call.until('reconnected');
    expect(server.keys).toEqual(['a', 'b']);
    expect(call.reconnects).toMatchObject([{ delayMs: 0, ending: { isKeyRefused: true } }]);
  });

  it('are for a key that is refused, not for an agent that is unknown', async () => {
    const { call, server } = await dial([closes(4003)], { apiKeys: ['a', 'b'] });
    expect(await call.ending()).toMatchObject({ closeCode: 4003 });
    expect(server.keys).toEqual(['a']);
  });
});

describe('keys that are renewed', () => {
  it('are shown from the next connection on', async () => {
    const { call, server } = await dial([closes(1000, 'Session timeout reached', 80), silent], {
      mode: 'handshake',
      apiKeys: ['old'],
      settleMs: 20,
    });
    await call.until('ready');
    call.session.renewKeys(['new']);
    await call.until('reconnected');
    expect(server.posts.map((headers) => headers['x-api-key'])).toEqual(['old', 'new']);
    expect(server.keys).toEqual(['old', 'new']);
  });

  it('are shown when the old one, already on its way, is refused', async () => {
    const { call, server } = await dial([closes(4001, '', 50), starts], { apiKeys: ['old'] });
    await vi.waitFor(() => expect(server.sockets).toHaveLength(1));
    call.session.renewKeys(['new']);
    await call.until('ready');
    expect(server.keys).toEqual(['old', 'new']);
  });
});

it('knows when to come again, from a POST and from an upgrade', async () => {
  const busy = (_request: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(503, { 'retry-after': '17' }).end();
  };
  const { call } = await dial([silent], { mode: 'handshake' }, busy);
  expect(await call.ending()).toMatchObject({ kind: 'unreachable', httpStatus: 503, retryAfterSec: 17 });
});

describe('the call’s name', () => {
  it('goes with every POST and every upgrade, the same over all of them', async () => {
    const agentCallId = '7d3c4a52-8f0e-4d39-9c7b-0c9f3a5d2e11';
    const { call, server } = await dial([closes(1012, '', 50), silent], { mode: 'handshake', agentCallId });
    await call.until('reconnected');
    const told = [...server.posts, ...server.headers].map((headers) => headers['x-pranthora-callid']);
    expect(told).toEqual([agentCallId, agentCallId, agentCallId, agentCallId]);
  });

  it('is left out where it is not to be told', async () => {
    const { call, server } = await dial([starts], {});
    await call.until('ready');
    expect(server.headers[0]).not.toHaveProperty('x-pranthora-callid');
    expect(server.keys).toEqual([KEY]);
  });
});

it('tells of keys pressed where they can be told, and sends no text where it must not', async () => {
  const telephony = await dial([silent], { mode: 'telephony' });
  await telephony.call.until('ready');
  telephony.call.session.sendDigit('5');
  await vi.waitFor(() =>
    expect(telephony.server.texts.at(-1)).toContain('"dtmf":{"track":"inbound_track","digit":"5"}'),
  );
  telephony.call.hangUp();
  await telephony.server.stop();
  const pure = await dial([starts], {});
  await pure.call.until('ready');
  pure.call.session.sendDigit('5');
  pure.call.session.sendFrame(new Uint8Array(640), pure.call.clock.nowMs());
  await vi.waitFor(() => expect(pure.server.texts).toHaveLength(1));
  expect(pure.server.texts[0]).toHaveLength(640);
});
