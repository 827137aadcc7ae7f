import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { StartBridge } from '../../../src/cli/start.js';
import type { BridgeConfig } from '../../../src/config/types.js';
import { KEY, TestIo, temporaryFile } from './support.js';

const FILE = 'routes: [{default: true, agentId: a1}]\n';

/** A bridge that only notes what it is told. */
class NotingBridge {
  readonly sip = ['udp://127.0.0.1:5060'];
  readonly http = 'http://127.0.0.1:8080';
  readonly configured: BridgeConfig[] = [];
  drained = 0;
  stopped = 0;
  started: BridgeConfig | undefined;
  readonly start: StartBridge = (config) => {
    this.started = config;
    return Promise.resolve(this);
  };
  configure(config: BridgeConfig): void {
    this.configured.push(config);
  }
  drain(): Promise<void> {
    this.drained++;
    return Promise.resolve();
  }
  stop(): Promise<void> {
    this.stopped++;
    return Promise.resolve();
  }
}

/** A daemon that runs: `end` sends SIGTERM, waits for it and checks that nothing of it is left. */
async function running(content: string, ...options: string[]) {
  const io = new TestIo();
  const bridge = new NotingBridge();
  const file = temporaryFile(content);
  const ready = io.logged('bridge.ready');
  const ended = io.run(['--config', file, ...options], bridge.start);
  const readyLine = await ready;
  async function end(): Promise<void> {
    io.signals.emit('SIGTERM', 'SIGTERM');
    expect(await ended).toBe(0);
    expect([bridge.drained, bridge.stopped, io.left, io.listening]).toEqual([1, 1, [0], 0]);
  }
  return { io, bridge, file, readyLine, end };
}

describe('start', () => {
  it('says when it is ready and where, drains on a signal, and leaves nothing behind', async () => {
    const { io, bridge, readyLine, end } = await running(FILE);
    expect(readyLine).toMatchObject({
      level: 'info',
      sip: ['udp://127.0.0.1:5060'],
      http: 'http://127.0.0.1:8080',
      routes: 1,
      sipEngine: 'embedded',
      mediaEngine: 'embedded',
    });
    expect(bridge.started?.pranthora.apiKey).toBe(KEY);
    await end();
    expect(io.lines.map(({ event }) => event)).toEqual(['bridge.ready', 'bridge.draining', 'bridge.stopped']);
    expect(io.lines[1]).toMatchObject({ signal: 'SIGTERM', drainMs: 30_000 });
  });

  it('reloads on SIGHUP', async () => {
    const { io, bridge, file, end } = await running(FILE);
    writeFileSync(file, `${FILE}log: {level: debug}\ncall: {maxConcurrent: 3}\nhttp: {port: 1}\ndrainMs: 7\n`);
    io.env['PRANTHORA_API_KEY'] = 'another-key-987';
    io.signals.emit('SIGHUP', 'SIGHUP');
    expect(io.lines.at(-1)).toMatchObject({ event: 'config.reloaded', routes: 1, needRestart: ['http.port'] });
    expect(bridge.configured).toMatchObject([
      { call: { maxConcurrent: 3 }, http: { port: 8080 }, routes: [{ targets: [{ apiKeys: ['another-key-987'] }] }] },
    ]);
    await end();
    expect(io.lines.find(({ event }) => event === 'bridge.draining')).toMatchObject({ drainMs: 7 });
  });

  it.each([
    ['a fault', 'routes: [{default: true}]\n', 'routes[0]: needs exactly one of several keys'],
    ['broken syntax', 'routes: [\n', ''],
    [
      'a listener without what it needs',
      `${FILE}sip: {listen: ["tls://127.0.0.1:5061"]}\n`,
      'sip.tls.certFile: required',
    ],
  ])('keeps the running configuration when the new one has %s', async (_, content, fault) => {
    const { io, bridge, file, end } = await running(FILE);
    writeFileSync(file, content);
    io.signals.emit('SIGHUP', 'SIGHUP');
    const line = io.lines.at(-1);
    expect(line).toMatchObject({ event: 'config.refused', level: 'error' });
    expect((line?.['faults'] as string[])[0]).toContain(fault);
    expect(bridge.configured).toEqual([]);
    writeFileSync(file, FILE);
    io.signals.emit('SIGHUP', 'SIGHUP');
    expect(bridge.configured).toHaveLength(1);
    await end();
  });

  it('reloads by itself with --watch', async () => {
    const { io, bridge, file, end } = await running(FILE, '--watch');
    const reloaded = io.logged('config.reloaded');
    writeFileSync(file, `${FILE}drainMs: 1\n`);
    await reloaded;
    expect(bridge.configured[0]?.drainMs).toBe(1);
    await end();
  });

  it('goes on after what nobody caught, and says it', async () => {
    const { io, end } = await running(FILE);
    io.signals.emit('uncaughtException', new Error('boom'));
    expect(io.lines.at(-1)).toMatchObject({ event: 'bridge.fault', level: 'error', error: { message: 'boom' } });
    await end();
  });

  it('warns in the log', async () => {
    const { io, end } = await running(`${FILE}media: {ports: 20000-20001}\n`);
    expect(io.lines[0]).toMatchObject({ event: 'config.warning', level: 'warn' });
    await end();
  });

  it('ends with 1 when the bridge does not start', async () => {
    const io = new TestIo();
    const code = await io.run(['start', '-c', temporaryFile(FILE)], () =>
      Promise.reject(new Error(`listen EADDRINUSE, by the way ${KEY}`)),
    );
    expect([code, io.listening]).toEqual([1, 0]);
    expect(io.lines).toMatchObject([{ event: 'bridge.failed', msg: 'listen EADDRINUSE, by the way [redacted]' }]);
    expect(JSON.stringify(io.lines)).not.toContain(KEY);
  });

  it.each(['sip', 'http'])('names the setting whose port is taken, in one line without a stack: %s', async (who) => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const [sipPort, httpPort] = who === 'sip' ? [port, 0] : [0, port];
    const file = temporaryFile(
      `${FILE}sip: {listen: ['tcp://127.0.0.1:${sipPort}']}\nhttp: {port: ${httpPort}}\nmedia: {workers: 0}\n`,
    );
    const io = new TestIo();
    expect(await io.run(['start', '-c', file])).toBe(1);
    const [setting, url] = who === 'sip' ? ['sip.listen', 'tcp'] : ['http.host, http.port', 'http'];
    const failed = io.lines.filter(({ event }) => event === 'bridge.failed');
    expect(failed).toEqual([
      {
        ...{ level: 'error', time: expect.any(String) as string, event: 'bridge.failed', setting },
        msg: `${setting}: ${url}://127.0.0.1:${port}: in use by another program (or is the bridge running already?)`,
      },
    ]);
    taken.close();
  });
});
