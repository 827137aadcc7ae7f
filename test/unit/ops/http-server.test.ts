import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CallSnapshot } from '../../../src/records/call-snapshot.js';
import type { LogFields, Logger } from '../../../src/logger.js';
import type { Health } from '../../../src/ops/health.js';
import { OpsHttpServer } from '../../../src/ops/http-server.js';

const errors: LogFields[] = [];
const logger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: (fields) => void errors.push(fields),
  child: () => logger,
};

const fine = { status: 'ok', detail: '' } as const;
const health: Health = {
  status: 'ok',
  version: '1.2.3',
  uptimeSec: 5,
  calls: { active: 1, max: 2 },
  components: { sip: fine, media: fine, pranthora: fine },
  registrations: [],
  log: { status: 'ok', droppedLines: 0, detail: 'written' },
  refused: { lastMinutes: 5, forbidden: 0, scanners: 0, limited: 0, callsPerSource: 0 },
};
const snapshot: CallSnapshot = {
  callId: 'a/b c@host',
  agentCallId: '7d3c4a52-8f0e-4d39-9c7b-0c9f3a5d2e11',
  from: 'sip:a@b',
  to: 'sip:c@d',
  did: 'c',
  sipEngine: 'embedded',
  mediaEngine: 'embedded',
  receivedAt: '2026-01-01T00:00:00.000Z',
  state: 'active',
  durationMs: 5,
};

class Source {
  current: Health = health;
  isReady = true;
  health(): Health {
    return this.current;
  }
  ready(): { ready: boolean; reason: string } {
    return { ready: this.isReady, reason: this.isReady ? 'accepting calls' : 'draining' };
  }
  calls(): CallSnapshot[] {
    return [snapshot];
  }
  call(callId: string): CallSnapshot | undefined {
    if (callId === 'explode') throw new Error('broken source');
    return callId === snapshot.callId ? snapshot : undefined;
  }
}

let source: Source;
let server: OpsHttpServer;
let url: string;

beforeEach(async () => {
  errors.length = 0;
  source = new Source();
  server = new OpsHttpServer({ host: '127.0.0.1', port: 0, source, logger });
  url = await server.start();
});

afterEach(async () => {
  await server.stop();
  await expect(fetch(`${url}/health`)).rejects.toThrow();
});

async function get(path: string, method = 'GET'): Promise<[number, unknown]> {
  const response = await fetch(url + path, { method });
  expect(response.headers.get('content-type')).toMatch(/^application\/json/);
  const text = await response.text();
  return [response.status, text === '' ? '' : JSON.parse(text)];
}

/** Sends raw bytes and collects everything until the server hangs up. */
async function raw(text: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  let received = '';
  socket.on('data', (chunk) => (received += chunk.toString()));
  // A server that hangs up on an endless header may reset the connection; what it said before still counts.
  socket.on('error', () => undefined);
  socket.write(text);
  await once(socket, 'close');
  return received;
}

describe('OpsHttpServer', () => {
  it('says how it is: 200 unless down', async () => {
    expect(await get('/health')).toEqual([200, health]);
    source.current = { ...health, status: 'degraded' };
    expect((await get('/health?verbose=1'))[0]).toBe(200);
    source.current = { ...health, status: 'down' };
    expect(await get('/health')).toEqual([503, { ...health, status: 'down' }]);
  });

  it('says whether it takes calls', async () => {
    expect(await get('/ready')).toEqual([200, { ready: true, reason: 'accepting calls' }]);
    source.isReady = false;
    expect(await get('/ready')).toEqual([503, { ready: false, reason: 'draining' }]);
  });

  it('shows the calls, and one by its Call-ID, percent-encoded', async () => {
    expect(await get('/calls')).toEqual([200, [snapshot]]);
    expect(await get(`/calls/${encodeURIComponent(snapshot.callId)}`)).toEqual([200, snapshot]);
    expect(await get('/calls/other')).toEqual([404, { error: 'no such call' }]);
    expect(await get('/calls/%E0%A4%A')).toEqual([400, { error: 'not percent-encoded UTF-8' }]);
  });

  it.each(['/', '/metrics', '/calls/', '/calls/a/b', '/health/', '//health'])('has nothing at %s', async (path) => {
    expect(await get(path)).toEqual([404, { error: 'no such resource' }]);
  });

  it('allows GET and HEAD only', async () => {
    expect(await get('/health', 'POST')).toEqual([405, { error: 'only GET is allowed' }]);
    expect(await get('/calls/x', 'DELETE')).toEqual([405, { error: 'only GET is allowed' }]);
    expect(await get('/health', 'HEAD')).toEqual([200, '']);
    expect((await fetch(`${url}/ready`, { method: 'PUT' })).headers.get('allow')).toBe('GET, HEAD');
  });

  it('answers 500 and says so in the log when a part fails', async () => {
    expect(await get('/calls/explode')).toEqual([500, { error: 'internal error' }]);
    expect(errors).toEqual([{ event: 'http.fault', url: '/calls/explode', error: 'broken source' }]);
    expect((await get('/ready'))[0]).toBe(200);
  });

  it('hangs up on a body, an endless header and nonsense', async () => {
    expect(await raw('GET /ready HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 200.*connection: close/is,
    );
    expect(await raw(`GET /ready HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(20_000)}`)).toMatch(/^HTTP\/1\.1 431/);
    expect(await raw('INVITE sip:x SIP/2.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 400/);
  });

  it('stops once, with connections open', async () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    await once(socket, 'connect');
    socket.resume();
    const closed = once(socket, 'close');
    await Promise.all([server.stop(), server.stop()]);
    await closed;
  });

  it('refuses a port that is taken', async () => {
    const second = new OpsHttpServer({ host: '127.0.0.1', port: Number(new URL(url).port), source, logger });
    await expect(second.start()).rejects.toThrow(/EADDRINUSE/);
    await second.stop();
  });
});
