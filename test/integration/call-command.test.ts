import { EventEmitter, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { registerCall } from '../../src/cli/call.js';
import { DEMO_API_KEY, DEMO_NUMBER, demoConfig } from '../../src/cli/demo/config.js';
import { ExitCode, type Io } from '../../src/cli/io.js';
import { registerSimulate } from '../../src/cli/simulate.js';
import { startBridge } from '../../src/compose.js';
import { createLog } from '../../src/ops/log.js';
import { PranthoraSimulator } from '../../src/simulator/pranthora-simulator.js';
import { readWav } from '../../src/simulator/wav.js';

class Terminal implements Io {
  readonly signals = new EventEmitter();
  readonly #printed = new EventEmitter();
  stdout = '';
  stderr = '';

  out(text: string): void {
    this.stdout += text;
    this.#printed.emit('text');
  }

  err(text: string): void {
    this.stderr += text;
  }

  leave(): void {
    throw new Error('nothing should have to be left behind');
  }

  async run(...args: string[]): Promise<number> {
    const program = new Command().exitOverride().configureOutput({ writeErr: (text) => void (this.stderr += text) });
    registerCall(program, this);
    registerSimulate(program, this);
    for (const command of program.commands) command.exitOverride().copyInheritedSettings(program);
    try {
      await program.parseAsync(args, { from: 'user' });
      return 0;
    } catch (error) {
      return error instanceof ExitCode ? error.code : 2;
    }
  }

  /** Resolves with the match once it has been printed. */
  async shows(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout);
      if (match) return match;
      await new Promise((resolve) => this.#printed.once('text', resolve));
    }
  }
}

const terminal = (): Terminal => new Terminal();

describe('call', () => {
  const { logger } = createLog({ level: 'silent', pretty: false, redactNumbers: false });
  let folder: string;
  let simulator: PranthoraSimulator;
  let bridge: Awaited<ReturnType<typeof startBridge>>;
  let host: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'bridge-call-'));
    simulator = new PranthoraSimulator({ apiKey: DEMO_API_KEY });
    const { url } = await simulator.start();
    bridge = await startBridge(demoConfig(url), { logger, version: '0' });
    host = bridge.sip[0]?.replace('udp://', '') ?? '';
  });

  afterEach(async () => {
    await bridge.stop();
    await simulator.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('says a WAV file, records what comes back, and reports', async () => {
    const io = terminal();
    const recording = join(folder, 'call.wav');
    const wav = 'config/demo/caller-question.wav';
    const args = ['call', `sip:${DEMO_NUMBER}@${host}`, '--play', wav, '--record', recording, '--seconds', '1.2'];
    expect([await io.run(...args), io.stderr]).toEqual([0, '']);
    expect(io.stdout).toMatch(/→ INVITE[^]*← 180 Ringing[^]*← 200 OK[^]*→ BYE/);
    expect(io.stdout).toMatch(/^answered +\d+ ms after the INVITE, PCMU$/m);
    expect(io.stdout).toMatch(/^received +\d+ packets: 0 lost, 0 repeated, 0 breaks in sequence, 0 in time/m);
    expect(io.stdout).toMatch(/^heard +first audio \d+ ms after the answer, level -1\d\.\d dBm0$/m);
    expect(readWav(recording, 8_000).length).toBeGreaterThan(8_000);
    expect(io.signals.eventNames()).toEqual([]);
  });

  it('speaks G.722 and records it at 16 kHz', async () => {
    const io = terminal();
    const recording = join(folder, 'wideband.wav');
    const args = ['--play', 'config/demo/caller-question.wav', '--record', recording, '--seconds', '1.2'];
    const done = await io.run('call', `sip:${DEMO_NUMBER}@${host}`, '--codec', 'G722', ...args);
    expect([done, io.stderr]).toEqual([0, '']);
    expect(io.stdout).toMatch(/^answered +\d+ ms after the INVITE, G722$/m);
    expect(io.stdout).toMatch(/^received +\d+ packets: 0 lost, 0 repeated, 0 breaks in sequence, 0 in time/m);
    expect(readFileSync(recording).readUInt32LE(24)).toBe(16_000);
  });

  it('fails with the callee’s status when it is refused', async () => {
    const io = terminal();
    expect(await io.run('call', `sip:+19999@${host}`)).toBe(1);
    expect(io.stderr).toMatch(/^404 .*\n$/);
  });

  it('fails when only silence was heard', async () => {
    const io = terminal();
    expect(await io.run('call', `sip:${DEMO_NUMBER}@${host}`, '--seconds', '0.3')).toBe(1);
    expect(io.stderr).toBe('answered, but nothing but silence was heard\n');
  });

  it('hangs up when interrupted', async () => {
    const io = terminal();
    const done = io.run('call', `sip:${DEMO_NUMBER}@${host}`, '--codec', 'PCMA', '--seconds', '60');
    await io.shows(/← 200 OK/);
    io.signals.emit('SIGINT');
    expect(await done).toBe(1);
    expect(io.stdout).toContain('→ BYE');
    expect(io.stdout).toMatch(/^answered .*PCMA$/m);
  });

  it.each([
    [['call', 'not-a-uri']],
    [['call', 'sip:1@127.0.0.1', '--seconds', '0']],
    [['call', 'sip:1@127.0.0.1', '--codec', 'G729']],
  ])('refuses %j', async (args) => {
    expect(await terminal().run(...args)).toBe(2);
  });
});

describe('simulate', () => {
  it('tells what happens, violations above all, until it is interrupted', async () => {
    const io = terminal();
    const done = io.run('simulate', '--port', '0', '--scenario', 'silent', '--api-key', 'right');
    const [, url = ''] = await io.shows(/simulator at (ws:\S+), scenario silent/);
    const headers = { 'x-api-key': 'right' };
    const socket = new WebSocket(`${url}/api/call/web-media-stream?agent_id=a1`, { headers });
    await once(socket, 'open');
    await io.shows(/#1 {2}start_media_streaming sent/);
    socket.send('hello');
    await io.shows(/#1 {2}VIOLATION text/);
    socket.close(1000);
    await io.shows(/#1 {2}closed 1000/);
    io.signals.emit('SIGTERM');
    expect([await done, io.stderr]).toEqual([0, '']);
    expect(io.stdout).toMatch(/1 sessions, [1-9]\d* violations\n$/);
    expect(io.signals.eventNames()).toEqual([]);
  });

  it.each([[['--port', '65536']], [['--port', 'x']], [['--scenario', 'nonsense']]])('refuses %j', async (args) => {
    expect(await terminal().run('simulate', ...args)).toBe(2);
  });
});
