import type { Socket } from 'node:net';
import { afterEach, expect, it, vi } from 'vitest';
import { FakeClock } from '../support/fake-clock.js';
import { Call, numberedFrame, type CallOptions } from './agent-harness.js';
import { acceptUpgrade, HostileServer, OPCODE, START_FRAME, webSocketFrame } from './hostile-server.js';

let server: HostileServer | undefined;
let call: Call | undefined;

/** Before the server lets go of anything, our side must have: within the second a close may take. */
afterEach(async () => {
  call?.hangUp();
  expect(call?.session.state).toBe('ended');
  expect(call?.clock.pendingTimers).toBe(0);
  await vi.waitFor(() => expect(server?.sockets.size).toBe(0));
  await server?.stop();
  await vi.waitFor(() => expect(process.getActiveResourcesInfo().filter((kind) => kind.startsWith('TCP'))).toEqual([]));
});

async function dial(onSocket: (socket: Socket) => void, options: CallOptions = {}): Promise<Call> {
  server = new HostileServer(onSocket);
  call = new Call(await server.start(), { reconnect: NO_RETRY, ...options });
  return call.connect();
}

const NO_RETRY = { maxAttempts: 0, initialDelayMs: 10, maxDelayMs: 10, keepMs: 400 };

/** A server that upgrades and starts, then does its worst. */
function started(worst: (socket: Socket) => void): (socket: Socket) => void {
  return (socket) =>
    acceptUpgrade(socket, () => {
      socket.write(START_FRAME);
      worst(socket);
    });
}

function answering(status: string, headers = ''): (socket: Socket) => void {
  return (socket) => {
    socket.once('data', () => socket.write(`HTTP/1.1 ${status}\r\n${headers}Content-Length: 5\r\n\r\nhello`));
  };
}

it.each([
  ['401 Unauthorized', 'configuration', 401],
  ['403 Forbidden', 'configuration', 403],
  ['404 Not Found', 'configuration', 404],
  ['422 Unprocessable Entity', 'configuration', 422],
  ['200 OK', 'configuration', 200],
  ['429 Too Many Requests', 'unreachable', 429],
  ['500 Internal Server Error', 'unreachable', 500],
  ['503 Service Unavailable', 'unreachable', 503],
])('HTTP %s', async (status, kind, httpStatus) => {
  expect(await (await dial(answering(status))).ending()).toMatchObject({ kind, httpStatus });
});

it('a redirect is not followed, so the key goes nowhere else', async () => {
  let connections = 0;
  const redirect = answering('302 Found', 'Location: /elsewhere\r\n');
  const lost = await dial((socket) => {
    connections++;
    redirect(socket);
  });
  expect(await lost.ending()).toMatchObject({ kind: 'configuration', httpStatus: 302 });
  expect(connections).toBe(1);
});

it('an upgrade that never comes, a byte at a time', async () => {
  const lost = await dial(
    (socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nX-Slow: ');
      const drip = setInterval(() => socket.write('x'), 5);
      socket.on('close', () => clearInterval(drip));
    },
    { connectTimeoutMs: 80 },
  );
  const ending = await lost.ending();
  expect(ending).toEqual({ kind: 'unreachable', detail: 'no WebSocket within 80 ms (connect timeout)' });
});

it('a connection nobody answers', async () => {
  const clock = new FakeClock();
  const lost = await dial(() => undefined, { clock, connectTimeoutMs: 4_000 });
  clock.advance(3_999);
  expect(lost.events).toEqual([]);
  clock.advance(1);
  expect(lost.endings).toMatchObject([{ kind: 'unreachable' }]);
});

it('an answer that is not HTTP', async () => {
  const lost = await dial((socket) => socket.end('SSH-2.0-OpenSSH_9.6\r\n'));
  const ending = await lost.ending();
  expect(ending.kind).toBe('unreachable');
  expect(ending.detail).toContain('does not speak HTTP');
});

it('an upgrade with the wrong answer to our key', async () => {
  const lost = await dial((socket) => {
    socket.once('data', () =>
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n',
      ),
    );
  });
  expect(await lost.ending()).toMatchObject({ kind: 'unreachable' });
});

it('a message announced with a gigabyte is refused before it comes', async () => {
  const header = Buffer.of(0x82, 127, 0, 0, 0, 0, 0x40, 0, 0, 0);
  const lost = await dial(started((socket) => socket.write(Buffer.concat([header, Buffer.alloc(1_000)]))));
  const ending = await lost.ending();
  expect(ending.kind).toBe('unreachable');
  expect(ending.detail).toContain('size limit');
});

it('a message in endless fragments is refused', async () => {
  const lost = await dial(
    started((socket) => {
      const fragment = Buffer.concat([Buffer.of(0x00, 127, 0, 0, 0, 0, 0, 0x10, 0, 0), Buffer.alloc(1 << 20)]);
      socket.write(Buffer.of(0x02, 0));
      for (let i = 0; i < 20; i++) socket.write(fragment);
    }),
  );
  expect((await lost.ending()).detail).toContain('size limit');
  expect(lost.audio).toEqual([]);
});

it('a flood of text costs neither memory nor the next message', async () => {
  const junk = Buffer.concat(Array.from({ length: 1_000 }, () => webSocketFrame(OPCODE.text, '{"event":"junk"}')));
  const flooded = await dial(
    started((socket) => {
      for (let i = 0; i < 20; i++) socket.write(junk);
      socket.write(webSocketFrame(OPCODE.text, 'x'.repeat(65_000)));
      socket.write(webSocketFrame(OPCODE.text, 'stop'));
    }),
  );
  await flooded.until('interruption stop');
  expect(flooded.session.stats.ignoredMessages).toBe(20_001);
  expect(flooded.logged).toHaveLength(1);
});

it.each([
  ['invalid UTF-8', webSocketFrame(OPCODE.text, Buffer.of(0xc3, 0x28)), 'not UTF-8'],
  ['a reserved opcode', webSocketFrame(3, ''), 'WS_ERR_INVALID_OPCODE'],
  ['a reserved bit', Buffer.of(0xc2, 0), 'WS_ERR_UNEXPECTED_RSV_1'],
  ['a masked frame', Buffer.of(0x82, 0x81, 1, 2, 3, 4, 5), 'WS_ERR_UNEXPECTED_MASK'],
])('%s', async (_what, bytes, detail) => {
  const ending = await (await dial(started((socket) => socket.write(bytes)))).ending();
  expect(ending.kind).toBe('unreachable');
  expect(ending.detail).toContain(detail);
});

it('a close frame without a code', async () => {
  const lost = await dial(started((socket) => socket.write(webSocketFrame(OPCODE.close, ''))));
  expect(await lost.ending()).toMatchObject({ kind: 'unreachable', closeCode: 1005 });
});

it('a TCP reset', async () => {
  const lost = await dial(started((socket) => socket.resetAndDestroy()));
  expect(await lost.ending()).toMatchObject({ kind: 'unreachable' });
});

it('a half-open server that never answers our close', async () => {
  const left = await dial(started(() => undefined));
  await left.until('ready');
  left.hangUp();
  // That the socket is gone all the same is checked after every test.
});

it('no pong and no data for 10 s after a ping is the end; any data keeps it alive', async () => {
  const clock = new FakeClock();
  let peer: Socket | undefined;
  const lost = await dial(
    started((socket) => {
      peer = socket;
    }),
    { clock },
  );
  await lost.until('ready');
  peer?.write(webSocketFrame(OPCODE.binary, 'ab'));
  await lost.until('audio');
  clock.advance(10_000);
  expect(lost.endings).toEqual([]);
  clock.advance(9_999);
  expect(lost.endings).toEqual([]);
  clock.advance(1);
  expect(lost.endings).toEqual([{ kind: 'unreachable', detail: 'no pong and no data for 10000 ms (ping timeout)' }]);
});

it('a pong alone keeps it alive', async () => {
  const clock = new FakeClock();
  let answered = 0;
  const alive = await dial(
    started((socket) => {
      socket.on('data', (data) => {
        const opcode = (data[0] ?? 0) & 0x0f;
        // Our own ping, which is no sign of life, comes back when the pong before it has been read.
        if (opcode === OPCODE.ping) {
          socket.write(Buffer.concat([webSocketFrame(OPCODE.pong, ''), webSocketFrame(OPCODE.ping, '')]));
        } else if (opcode === OPCODE.pong) {
          answered++;
        }
      });
    }),
    { clock },
  );
  for (let ping = 1; ping <= 3; ping++) {
    await vi.waitFor(() => expect(answered).toBe(ping));
    clock.advance(10_000);
  }
  expect(alive.session.state).toBe('streaming');
});

it('a server that does not read gets no backlog: what waits is bounded, what is lost is counted', async () => {
  let peer: Socket | undefined;
  const congested = await dial(
    started((socket) => {
      peer = socket;
      socket.pause();
    }),
  );
  await congested.until('ready');
  // Ten minutes of audio at the pace of a call, but without waiting for it: the kernel's buffers fill up first.
  const FRAMES = 30_000;
  for (let i = 0; i < FRAMES; i++) {
    congested.session.sendFrame(numberedFrame(i), i * 20);
    congested.session.tick(i * 20);
  }
  const { framesSent, framesDropped } = congested.session.stats;
  expect(framesDropped).toBeGreaterThan(1_000);
  expect(FRAMES - framesSent - framesDropped).toBeLessThanOrEqual(11);
  let received = 0;
  peer?.on('data', (data) => {
    received += data.length;
  });
  peer?.resume();
  await vi.waitFor(() => expect(received).toBeGreaterThanOrEqual(framesSent * 648));
  congested.session.sendFrame(numberedFrame(0), FRAMES * 20);
  congested.session.tick(FRAMES * 20);
  expect(congested.session.stats.framesSent).toBeGreaterThan(framesSent);
});
