import { once } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { TestIo } from './support.js';

const fixture = (name: string): string => new URL(`../../fixtures/tls/${name}`, import.meta.url).pathname;

/** The simulator's URL, once it has said it. */
async function urlOf(io: TestIo): Promise<string> {
  return vi.waitFor(() => {
    const [, url] = /simulator at (\S+),/.exec(io.stdout) ?? [];
    if (url === undefined) throw new Error(`no URL in ${io.stdout}`);
    return url;
  });
}

describe('simulate --report', () =>
  it('says at the end what each client kept and broke', async () => {
    const io = new TestIo();
    const done = io.run(['simulate', '--port', '0', '--report', '--scenario', 'silent']);
    const url = await urlOf(io);
    const headers = { 'x-api-key': 'any', 'content-type': 'application/json' };
    await fetch(`${url.replace('ws:', 'http:')}/api/call`, { method: 'POST', body: '{}', headers });
    const socket = new WebSocket(`${url}/api/call/media-stream/agents/a1`, { headers });
    await once(socket, 'open');
    socket.send('{"event":"start","start":{"streamSid":"MZ1","callSid":"CA1"}}');
    socket.close(1000);
    await vi.waitFor(() => expect(io.stdout).toContain('closed 1000'));
    io.signals.emit('SIGTERM', 'SIGTERM');
    expect(await done).toBe(0);
    expect(io.stdout).toContain('HTTP 422  VIOLATION agent-id: neither agent_id nor workflow_id\n');
    expect(io.stdout).toContain('#1  start event received\n');
    expect(io.stdout).toContain('0 handshakes, 0 pure, 1 telephony sessions\n');
    expect(io.stdout).toContain('  BROKEN     a stop event ends the stream');
    expect(io.stdout).toContain('  kept       one start event, with streamSid and callSid, begins the stream\n');
    expect(io.stdout).toContain('  not tried  audio comes in whole 20 ms frames\n');
    expect(io.listening).toBe(0);
  }));

describe('simulate --tls-key --tls-cert', () => {
  it('serves wss:', async () => {
    const io = new TestIo();
    const files = ['--tls-key', fixture('loopback.key'), '--tls-cert', fixture('loopback.crt')];
    const done = io.run(['simulate', '--port', '0', ...files]);
    expect(await urlOf(io)).toMatch(/^wss:/);
    io.signals.emit('SIGTERM', 'SIGTERM');
    expect(await done).toBe(0);
    expect(io.stdout).not.toContain('Client');
  });

  it.each([
    [['--tls-key', '/no/such/file', '--tls-cert', fixture('loopback.crt')], 'ENOENT'],
    [['--tls-key', fixture('loopback.key')], 'need each other'],
  ])('refuses %j', async (args, message) => {
    const io = new TestIo();
    expect(await io.run(['simulate', '--port', '0', ...args])).toBe(2);
    expect(io.stderr).toContain(message);
  });
});
