import { createServer } from 'node:net';
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DrachtioSipEndpoint } from '../../src/signaling/drachtio/drachtio.js';
import { DrachtioServer, type Reply } from '../support/drachtio-server.js';
import { FakeClock } from '../support/fake-clock.js';
import { RecordingLogger } from '../support/recording-logger.js';

/** At most this long between attempts. */
const RETRY_MAX_MS = 3_000;
const HOST_PORTS = 'udp/192.0.2.1:5060,tcp/192.0.2.1:5060';

interface State {
  readonly connected: boolean;
  readonly detail: string;
}

describe('the connection to drachtio-server', () => {
  let clock: FakeClock;
  let states: State[];
  let server: DrachtioServer | undefined;
  let endpoint: DrachtioSipEndpoint;
  let port: number;

  beforeEach(async () => {
    clock = new FakeClock();
    states = [];
    server = undefined;
    port = await freePort();
  });

  afterEach(async () => {
    endpoint.close();
    endpoint.close();
    expect(clock.pendingTimers).toBe(0);
    await nobodyConnected();
    const told = states.length;
    const attempts = server?.connections;
    clock.advance(60_000);
    await settled();
    expect([states.length, server?.connections]).toEqual([told, attempts]);
    await server?.close();
  });

  async function listen(authentication?: (reply: Reply) => void): Promise<DrachtioServer> {
    server = await DrachtioServer.listen(port, authentication);
    return server;
  }

  function connect(): Promise<boolean> {
    const logger = new RecordingLogger();
    endpoint = new DrachtioSipEndpoint(
      { host: '127.0.0.1', port, secret: 'cymru', clock, logger },
      { onInvite: () => undefined, onConnection: (state) => states.push(state) },
    );
    return endpoint.connect();
  }

  const nobodyConnected = (): Promise<void> => vi.waitFor(() => expect(server?.open ?? 0).toBe(0), { interval: 5 });

  const untilStates = (count: number): Promise<void> =>
    vi.waitFor(() => expect(states.length).toBeGreaterThanOrEqual(count), { interval: 5 });

  /** The attempt that is under way has failed: there is a time for the next one. */
  const untilWaiting = (): Promise<void> =>
    vi.waitFor(
      () => {
        // Of an attempt it is that of its time limit.
        expect(nextTimerMs(clock)).not.toBe(4_000);
        expect(clock.pendingTimers).toBe(1);
      },
      { interval: 2 },
    );

  it('is made, and told once', async () => {
    const { secrets, routes } = await listen();
    expect(await connect()).toBe(true);
    expect(states).toEqual([{ connected: true, detail: HOST_PORTS }]);
    expect(secrets).toEqual(['cymru']);
    await vi.waitFor(() => expect(routes).toEqual(['invite']));
    expect(clock.pendingTimers).toBe(0);
  });

  describe('to a server that is not there', () => {
    it('is told once, and tried again ever more slowly', async () => {
      expect(await connect()).toBe(false);
      const delaysMs: number[] = [];
      for (let i = 0; i < 8; i++) {
        await untilWaiting();
        const delayMs = nextTimerMs(clock);
        delaysMs.push(delayMs);
        clock.advance(delayMs - 1);
        expect(clock.pendingTimers).toBe(1);
        clock.advance(1);
      }
      expect(delaysMs).toEqual([250, 500, 1_000, 2_000, RETRY_MAX_MS, RETRY_MAX_MS, RETRY_MAX_MS, RETRY_MAX_MS]);
      await untilWaiting();
      expect(states).toEqual([{ connected: false, detail: `connect ECONNREFUSED 127.0.0.1:${port}` }]);
    });

    it('is made when it appears', async () => {
      expect(await connect()).toBe(false);
      await untilWaiting();
      const { routes } = await listen();
      clock.advance(250);
      await untilStates(2);
      expect(states.at(-1)).toEqual({ connected: true, detail: HOST_PORTS });
      await vi.waitFor(() => expect(routes).toEqual(['invite']));
    });

    it('is given up by close()', async () => {
      await connect();
      await untilWaiting();
      endpoint.close();
      expect(clock.pendingTimers).toBe(0);
      await listen();
      clock.advance(10_000);
      await settled();
      expect(server?.connections).toBe(0);
    });
  });

  describe('with a wrong secret', () => {
    it.each([
      {
        server: 'that goes',
        refuse: (reply: Reply) => reply.no('incorrect secret'),
      },
      {
        server: 'that stays',
        refuse: (reply: Reply) => reply.noAndStay('incorrect secret'),
      },
    ])('is told once, and tried again once in a while ($server)', async ({ refuse }) => {
      const { secrets } = await listen(refuse);
      expect(await connect()).toBe(false);
      for (let attempt = 1; attempt <= 5; attempt++) {
        await untilWaiting();
        await nobodyConnected();
        expect(secrets).toHaveLength(attempt);
        clock.advance(RETRY_MAX_MS - 1);
        await settled();
        expect(server?.connections).toBe(attempt);
        clock.advance(1);
      }
      await vi.waitFor(() => expect(secrets).toHaveLength(6));
      await untilWaiting();
      expect(states).toEqual([{ connected: false, detail: 'failed to authenticate to server' }]);
    });

    it('is made when the secret has been put right', async () => {
      const refusing = await listen((reply) => reply.no('incorrect secret'));
      await connect();
      await untilWaiting();
      refusing.authentication = (reply) => reply.ok();
      clock.advance(RETRY_MAX_MS);
      await untilStates(2);
      expect(states.map(({ connected }) => connected)).toEqual([false, true]);
    });

    it('is given up by close()', async () => {
      const { secrets } = await listen((reply) => reply.no('incorrect secret'));
      await connect();
      await untilWaiting();
      endpoint.close();
      expect(clock.pendingTimers).toBe(0);
      expect(secrets).toHaveLength(1);
    });
  });

  describe('that is lost', () => {
    it.each(['closed', 'reset'] as const)('by being %s is made again, at once when it can be', async (how) => {
      const first = await listen();
      await connect();
      if (how === 'closed') first.endConnections();
      else first.resetConnections();
      await untilStates(2);
      const detail = how === 'closed' ? 'connection closed' : 'read ECONNRESET';
      expect(states.at(-1)).toEqual({ connected: false, detail });
      await untilWaiting();
      clock.advance(250);
      await untilStates(3);
      expect(states.at(-1)).toEqual({ connected: true, detail: HOST_PORTS });
      expect(first.secrets).toEqual(['cymru', 'cymru']);
      await vi.waitFor(() => expect(first.routes).toEqual(['invite']));
      await vi.waitFor(() => expect(first.open).toBe(1));
    });

    it('with its server is made again when that is back', async () => {
      const first = await listen();
      await connect();
      await vi.waitFor(() => {
        expect(first.routes).toEqual(['invite']); // what a socket has not read makes its end a reset
      });
      await first.close();
      await untilStates(2);
      for (let i = 0; i < 4; i++) {
        await untilWaiting();
        clock.advance(nextTimerMs(clock));
      }
      await untilWaiting();
      const second = await listen();
      clock.advance(RETRY_MAX_MS);
      await untilStates(4);
      expect(states).toEqual([
        { connected: true, detail: HOST_PORTS },
        { connected: false, detail: 'connection closed' },
        { connected: false, detail: `connect ECONNREFUSED 127.0.0.1:${port}` },
        { connected: true, detail: HOST_PORTS },
      ]);
      expect(second.connections).toBe(1);
    });

    it('again and again is tried anew quickly each time', async () => {
      const flaky = await listen();
      await connect();
      for (let i = 1; i <= 5; i++) {
        flaky.endConnections();
        await untilStates(2 * i);
        await untilWaiting();
        expect(nextTimerMs(clock)).toBe(250);
        clock.advance(250);
        await untilStates(2 * i + 1);
      }
      expect(states.map(({ connected }) => connected)).toEqual([
        true,
        ...Array.from({ length: 5 }, () => [false, true]).flat(),
      ]);
    });
  });

  describe('to what is no drachtio-server', () => {
    it('is told and tried again ever more slowly when each connection is closed at once', async () => {
      const slamming = await listen();
      slamming.onConnection = (socket) => {
        socket.end();
      };
      expect(await connect()).toBe(false);
      for (const delayMs of [250, 500, 1_000, 2_000, RETRY_MAX_MS, RETRY_MAX_MS]) {
        await untilWaiting();
        expect(nextTimerMs(clock)).toBe(delayMs);
        clock.advance(delayMs);
      }
      await untilWaiting();
      expect(states).toHaveLength(1);
      expect(slamming.connections).toBe(7);
    });

    it.each(['', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'Content-Type: auth/request\n\n'])(
      'is given up in 4 s when it says %j and no more',
      async (greeting) => {
        const silent = await listen((reply) => reply.raw(greeting));
        const connected = connect();
        await vi.waitFor(() => expect(silent.secrets).toHaveLength(1));
        clock.advance(3_999);
        await settled();
        expect(states).toEqual([]);
        clock.advance(1);
        expect(await connected).toBe(false);
        expect(states).toEqual([{ connected: false, detail: 'no answer within 4000 ms' }]);
        await nobodyConnected();
        silent.authentication = (reply) => reply.ok();
        clock.advance(250);
        await untilStates(2);
        expect(states.at(-1)?.connected).toBe(true);
      },
    );

    it('that answers too late is not believed', async () => {
      let late: Reply | undefined;
      const slow = await listen((reply) => (late = reply));
      const connected = connect();
      await vi.waitFor(() => expect(late).toBeDefined());
      clock.advance(4_000);
      late?.ok();
      expect(await connected).toBe(false);
      await nobodyConnected();
      expect(states).toHaveLength(1);
      expect(slow.connections).toBe(1);
    });
  });

  describe('closed', () => {
    it('before it was ever asked for does nothing', async () => {
      const untouched = await listen();
      endpoint = new DrachtioSipEndpoint(
        { host: '127.0.0.1', port, secret: 'x', clock, logger: new RecordingLogger() },
        { onInvite: () => undefined, onConnection: (state) => states.push(state) },
      );
      endpoint.close();
      await settled();
      expect([untouched.connections, states]).toEqual([0, []]);
    });

    it('while it is being made: it is not, and whoever waits for it is told', async () => {
      const waiting = await listen();
      const connected = connect();
      endpoint.close();
      expect(await connected).toBe(false);
      await settled();
      await nobodyConnected();
      expect(waiting.routes).toEqual([]);
      expect(states).toEqual([]);
    });

    it('while the secret is looked at', async () => {
      let late: Reply | undefined;
      await listen((reply) => (late = reply));
      const connected = connect();
      await vi.waitFor(() => expect(late).toBeDefined());
      endpoint.close();
      late?.ok();
      expect(await connected).toBe(false);
      await nobodyConnected();
      expect(states).toEqual([]);
    });

    it('while it is up: it is left, and nothing is said of it', async () => {
      const first = await listen();
      await connect();
      expect(first.open).toBe(1);
      endpoint.close();
      await nobodyConnected();
      await settled();
      expect(states).toEqual([{ connected: true, detail: HOST_PORTS }]);
    });

    it('after it was lost', async () => {
      const first = await listen();
      await connect();
      first.endConnections();
      await untilStates(2);
      endpoint.close();
      expect(clock.pendingTimers).toBe(0);
    });
  });
});

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** What sockets on loopback still have to say has been said. */
async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

/** Until the one timer there is. */
function nextTimerMs(clock: FakeClock): number {
  return (clock.nextTimerAtMs ?? NaN) - clock.nowMs();
}
