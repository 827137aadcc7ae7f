import { once } from 'node:events';
import { deflateRawSync } from 'node:zlib';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WebSocketServer } from 'ws';
import { FakeClock } from '../support/fake-clock.js';
import { Call, KEY, numberedFrame, type CallOptions } from './agent-harness.js';
import { acceptUpgrade, HostileServer, OPCODE, webSocketFrame } from './hostile-server.js';

let server: HostileServer | undefined;
let call: Call | undefined;

/** Before the server lets go of anything, our side must have: within the second a close may take. */
afterEach(async () => {
  call?.hangUp();
  expect(call?.session.state).toBe('ended');
  expect(call?.clock.pendingTimers).toBe(0);
  await vi.waitFor(() => expect(server?.sockets.size ?? 0).toBe(0));
  await server?.stop();
  server = undefined;
  await vi.waitFor(() => expect(process.getActiveResourcesInfo().filter((kind) => kind.startsWith('TCP'))).toEqual([]));
});

const NO_RETRY = { maxAttempts: 0, initialDelayMs: 10, maxDelayMs: 10, keepMs: 400 };

async function dial(onSocket: (socket: Socket) => void, options: CallOptions): Promise<Call> {
  server = new HostileServer(onSocket);
  call = new Call(await server.start(), { reconnect: NO_RETRY, ...options });
  return call.connect();
}

describe('the answer to a handshake', () => {
  const shake = (onSocket: (socket: Socket) => void, options: CallOptions = {}): Promise<Call> =>
    dial(onSocket, { mode: 'handshake', ...options });

  /** Answers the POST with these bytes. */
  const answering = (head: string, body = ''): ((socket: Socket) => void) => {
    return (socket) => {
      socket.once('data', () => socket.write(`HTTP/1.1 ${head}\r\n\r\n${body}`));
    };
  };
  const json = (body: string): ((socket: Socket) => void) =>
    answering(`200 OK\r\nContent-Length: ${Buffer.byteLength(body)}`, body);

  it('comes a byte at a time', async () => {
    const lost = await shake(
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{');
        const drip = setInterval(() => socket.write(' '), 5);
        socket.on('close', () => clearInterval(drip));
      },
      { connectTimeoutMs: 80 },
    );
    expect(await lost.ending()).toEqual({
      kind: 'unreachable',
      detail: 'no answer to the handshake within 80 ms (connect timeout)',
    });
  });

  it('never comes', async () => {
    const clock = new FakeClock();
    const lost = await shake(() => undefined, { clock, connectTimeoutMs: 4_000 });
    clock.advance(3_999);
    expect(lost.events).toEqual([]);
    clock.advance(1);
    expect(lost.endings).toMatchObject([{ kind: 'unreachable' }]);
  });

  it('leaves the WebSocket only what is left of the time', async () => {
    const clock = new FakeClock();
    let connections = 0;
    const lost = await shake(
      (socket) => {
        if (++connections > 1) return;
        socket.once('data', () => {
          clock.advance(3_000);
          const body = JSON.stringify({ websocket_url: `ws://127.0.0.1:${socket.localPort ?? 0}/media-stream/` });
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
        });
      },
      { clock, connectTimeoutMs: 4_000 },
    );
    await vi.waitFor(() => expect(connections).toBe(2));
    clock.advance(999);
    expect(lost.events).toEqual([]);
    clock.advance(1);
    expect(lost.endings).toMatchObject([{ detail: 'no WebSocket within 1000 ms (connect timeout)' }]);
  });

  it.each([
    ['announced', 'Content-Length: 1073741824'],
    ['in chunks', 'Transfer-Encoding: chunked'],
  ])('is a gigabyte, %s', async (_how, header) => {
    const chunk = Buffer.alloc(1 << 16, 0x20);
    const lost = await shake((socket) => {
      socket.once('data', () => {
        socket.write(`HTTP/1.1 200 OK\r\n${header}\r\n\r\n`);
        for (let i = 0; i < 4; i++) {
          if (header.startsWith('T')) socket.write('10000\r\n');
          socket.write(chunk);
          if (header.startsWith('T')) socket.write('\r\n');
        }
      });
    });
    expect(await lost.ending()).toMatchObject({
      kind: 'unreachable',
      detail: 'Pranthora answered the handshake with more than 64 KB',
    });
  });

  it.each([301, 302, 307, 308])('redirects (%i) and the key does not follow', async (status) => {
    let connections = 0;
    const lost = await shake((socket) => {
      connections++;
      answering(`${status} Moved\r\nLocation: /elsewhere\r\nContent-Length: 0`)(socket);
    });
    expect(await lost.ending()).toMatchObject({ kind: 'configuration', httpStatus: status });
    expect(connections).toBe(1);
  });

  it('sends the WebSocket to a stranger, who never hears of the key', async () => {
    const heard: Buffer[] = [];
    const stranger = new HostileServer((socket) => {
      socket.on('data', (data: Buffer) => heard.push(data));
    });
    const lost = await shake(
      json(JSON.stringify({ websocket_url: `${await stranger.start()}/media-stream/agents/a` })),
    );
    expect(await lost.ending()).toMatchObject({
      kind: 'configuration',
      detail: expect.stringMatching(
        /a host that is not allowed, 127\.0\.0\.1:\d+; pranthora\.allowHosts allows it$/,
      ) as string,
    });
    await stranger.stop();
    expect(heard).toEqual([]);
  });

  it.each(['', 'hello', '{}', '[]', '{"websocket_url": 7}', `{"a":${'['.repeat(30_000)}`])('is %.20s', async (body) => {
    expect(await (await shake(json(body))).ending()).toMatchObject({ kind: 'unreachable', httpStatus: 200 });
  });

  it.each(['ws+unix:///run/x:/media-stream/', 'https://127.0.0.1/media-stream/', '/api/call/media-stream/agents/a'])(
    'leads to %s',
    async (url) => {
      const lost = await shake(json(JSON.stringify({ websocket_url: url })));
      expect(await lost.ending()).toMatchObject({ kind: 'configuration' });
    },
  );

  it.each([
    ['is cut off', answering('200 OK\r\nContent-Length: 100', '{"websocket')],
    ['is not HTTP', (socket: Socket): void => void socket.end('SSH-2.0-OpenSSH_9.6\r\n')],
    ['is an upgrade nobody asked for', answering('101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade')],
    ['is a reset', (socket: Socket): void => void socket.once('data', () => socket.resetAndDestroy())],
    ['has endless headers', answering(`200 OK\r\nX: ${'x'.repeat(100_000)}`)],
  ])('%s', async (_what, onSocket) => {
    const lost = await shake((socket) => {
      onSocket(socket);
      // The one that is cut off.
      socket.once('data', () => setImmediate(() => socket.end()));
    });
    expect(await lost.ending()).toMatchObject({ kind: 'unreachable' });
  });

  it('has an impossible address or key, which is not told', async () => {
    call = new Call('not a url', { mode: 'handshake' }).connect();
    expect(call.events).toEqual([]);
    expect(await call.ending()).toMatchObject({ kind: 'configuration' });
    const lost = await shake(() => undefined, { apiKeys: ['secret\r\nx-other: 1'] });
    const ending = await lost.ending();
    expect(ending.detail).toBe('the API key holds characters no HTTP header may carry');
  });
});

describe('a telephony stream', () => {
  const stream = (worst: (socket: Socket) => void, options: CallOptions = {}): Promise<Call> =>
    dial((socket) => acceptUpgrade(socket, () => worst(socket)), { mode: 'telephony', ...options });
  const event = (value: object): Buffer => webSocketFrame(OPCODE.text, JSON.stringify(value));
  const media = (payload: string): Buffer => event({ event: 'media', media: { payload } });

  it('brings base64 that is none, binary, and junk; what is good between is played', async () => {
    const talked = await stream((socket) => {
      for (const payload of ['!!!!', 'A', 'AA=A', '']) socket.write(media(payload));
      socket.write(webSocketFrame(OPCODE.binary, Buffer.alloc(160)));
      socket.write(webSocketFrame(OPCODE.text, '{"event":"media","media":'));
      socket.write(media(Buffer.from('good').toString('base64')));
    });
    await talked.until('audio');
    expect(talked.audio.map(String)).toEqual(['good']);
    expect(talked.session.stats.ignoredMessages).toBe(5);
    expect(talked.logged).toHaveLength(1);
  });

  it('brings marks without end: no more than 256 wait', async () => {
    const flood = Buffer.concat(Array.from({ length: 5_000 }, () => event({ event: 'mark', mark: { name: 'm' } })));
    const marked = await stream((socket) => {
      socket.write(flood);
      socket.write(event({ event: 'clear' }));
    });
    await marked.until('interruption event:clear');
    expect(marked.events.filter((one) => one === 'mark m')).toHaveLength(256);
    expect(marked.session.stats.ignoredMessages).toBe(5_000 - 256);
  });

  it('asks for echoes without end and reads none of them: they are not kept for it', async () => {
    const name = 'm'.repeat(250);
    const mark = event({ event: 'mark', mark: { name } });
    let peer: Socket | undefined;
    const marked = await stream((socket) => {
      peer = socket;
      socket.pause();
      socket.write(mark);
    });
    await marked.until(`mark ${name}`);
    const before = process.memoryUsage().arrayBuffers;
    marked.onEvent = () => marked.session.echoMark(name);
    marked.session.echoMark(name);
    const batch = Buffer.concat(Array.from({ length: 1_000 }, () => mark));
    for (let sent = 1_000; sent <= 50_000; sent += 1_000) {
      peer?.write(batch);
      await marked.until(`mark ${name}`, sent);
    }
    // 50,000 echoes are 15 MB and more; the kernel takes some of them.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8_000_000);
    peer?.resume();
  }, 20_000);

  it('brings a message beyond the limit', async () => {
    const header = Buffer.of(0x81, 127, 0, 0, 0, 0, 0, 0x20, 0, 0);
    const lost = await stream((socket) => socket.write(Buffer.concat([header, Buffer.alloc(1_000, 0x20)])));
    expect((await lost.ending()).detail).toContain('size limit');
  });

  it('brings a compressed bomb, though nobody offered to unpack it', async () => {
    const bomb = deflateRawSync(Buffer.alloc(64 << 20));
    const frame = webSocketFrame(OPCODE.text, bomb.subarray(0, 60_000));
    frame[0] = 0x80 | 0x40 | OPCODE.text;
    const lost = await stream((socket) => socket.write(frame));
    expect((await lost.ending()).detail).toContain('WS_ERR_UNEXPECTED_RSV_1');
  });

  it('takes no audio: what waits is bounded, what is lost is counted', async () => {
    let peer: Socket | undefined;
    const congested = await stream((socket) => {
      peer = socket;
      socket.write(event({ event: 'connected' }));
      socket.pause();
    });
    await congested.until('ready');
    const FRAMES = 30_000;
    for (let i = 0; i < FRAMES; i++) {
      congested.session.sendFrame(numberedFrame(i, 'mulaw'), i * 20);
      congested.session.tick(i * 20);
    }
    const { framesSent, framesDropped } = congested.session.stats;
    expect(framesDropped).toBeGreaterThan(1_000);
    expect(FRAMES - framesSent - framesDropped).toBeLessThanOrEqual(11);
    peer?.resume();
  });
});

describe('a telephony server that answers no ping', () => {
  it('is not ready, and is told start and stop', async () => {
    const mute = new WebSocketServer({ port: 0, host: '127.0.0.1', autoPong: false });
    await once(mute, 'listening');
    const events: string[] = [];
    const done = new Promise<number>((resolve) => {
      mute.on('connection', (socket) => {
        socket.on('message', (data) => {
          if (Buffer.isBuffer(data)) events.push((JSON.parse(data.toString()) as { event: string }).event);
        });
        socket.on('close', resolve);
      });
    });
    const { port } = mute.address() as AddressInfo;
    const clock = new FakeClock();
    call = new Call(`ws://127.0.0.1:${port}`, { mode: 'telephony', clock, startTimeoutMs: 500, reconnect: NO_RETRY });
    call.connect();
    await vi.waitFor(() => expect(events).toEqual(['start']));
    clock.advance(499);
    expect(call.events).toEqual([]);
    call.hangUp();
    expect(await done).toBe(1000);
    expect(events).toEqual(['start', 'stop']);
    mute.close();
  });

  it('counts as one that never starts', async () => {
    const clock = new FakeClock();
    const lost = await dial((socket) => acceptUpgrade(socket, () => undefined), {
      mode: 'telephony',
      clock,
      startTimeoutMs: 500,
    });
    await vi.waitFor(() => expect(lost.session.state).toBe('awaiting-start'));
    clock.advance(500);
    expect(lost.endings).toEqual([{ kind: 'unreachable', detail: 'no sign of life within 500 ms (start timeout)' }]);
    expect(JSON.stringify(lost.endings)).not.toContain(KEY);
  });
});
