import { createSocket } from 'node:dgram';
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
import { readWav } from '../../src/phone/wav.js';
import { AgentRig } from '../support/agent-rig.js';
import { SECURE } from '../support/certificates.js';
import { ANSWER, branch } from '../support/sip-call.js';
import { SipText, sipText } from '../support/sip-peer.js';

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

  it('answers the BYE of a callee that hangs up', async () => {
    const callee = await startCallee({ hangsUp: true });
    const io = terminal();
    await io.run('call', `sip:100@127.0.0.1:${callee.port}`);
    const [answer = ''] = await callee.next(/^SIP\/2\.0 .*\r\n[^]*CSeq: 1 BYE/);
    expect(answer).toMatch(/^SIP\/2\.0 200 OK\r\n/);
    expect(io.stdout).toMatch(/← 200 OK[^]*← BYE/);
    await callee.close();
  });

  it('says that nobody answered, not that somebody said 408', async () => {
    const callee = await startCallee({ hangsUp: false, answers: false });
    const io = terminal();
    const done = io.run('call', `sip:100@127.0.0.1:${callee.port};transport=tcp`);
    expect([await done, io.stderr]).toEqual([1, 'the request could not be sent, or its connection was lost\n']);
    expect(io.stdout).not.toContain('←');
    await callee.close();
  });

  it.each([
    [['call', 'not-a-uri'], /sip-uri/],
    [['call', 'sip:1@127.0.0.1', '--seconds', '0'], /--seconds/],
    [['call', 'sip:1@127.0.0.1', '--codec', 'G729'], /--codec/],
    [['call', 'sip:1@127.0.0.1', '--record', '/no-such-folder/call.wav'], /--record: \/no-such-folder does not exist/],
    [['call', 'sip:1@127.0.0.1', '--record', tmpdir()], /--record: .* is no file/],
    [['call', 'sip:1@127.0.0.1', '--play', 'config/minimal.yaml'], /--play: config\/minimal.yaml: no WAV file/],
    [['call', 'sip:1@127.0.0.1', '--user', 'alice'], /--user and --password-file/],
    [['call', 'sips:1@127.0.0.1', '--ca', '/no-such-file'], /--ca: ENOENT/],
  ])('refuses %j before it calls anybody', async (args, said) => {
    const io = terminal();
    expect(await io.run(...args)).toBe(2);
    expect(io.stderr).toMatch(said);
    expect(io.stdout).toBe('');
  });
});

describe('call over TLS', () =>
  it.each(['sips:100@127.0.0.1:PORT', 'sip:100@127.0.0.1:PORT;transport=tls'])('to %s', async (uri) => {
    const rig = await (await AgentRig.start(SECURE)).withClient();
    const io = terminal();
    const done = io.run('call', uri.replace('PORT', String(rig.port('tls'))), '--ca', 'test/fixtures/tls/loopback.crt');
    const { request, response } = await rig.nextInvite();
    expect(request.protocol).toBe('tls');
    response.send(486);
    expect([await done, io.stderr]).toEqual([1, '486 Busy Here\n']);
    await rig.close();
  }));

/** A callee on UDP that answers an INVITE, if at all, and after the ACK hangs up, if at all. */
async function startCallee({ hangsUp, answers = true }: { hangsUp: boolean; answers?: boolean }): Promise<{
  port: number;
  next(pattern: RegExp): Promise<RegExpExecArray>;
  close(): Promise<void>;
}> {
  const socket = createSocket('udp4');
  const heard: string[] = [];
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  const contact = `<sip:100@127.0.0.1:${port}>`;
  socket.on('message', (bytes, from) => {
    const text = bytes.toString();
    heard.push(text);
    const call = new SipText(text);
    const copied = (...names: string[]): string[] => names.map((name) => `${name}: ${call.header(name)}`);
    const send = (lines: string[], body?: string): void => socket.send(sipText(lines, body), from.port, from.address);
    if (call.method === 'INVITE' && answers) {
      const head = [...copied('Via', 'From', 'Call-ID', 'CSeq'), `To: ${call.header('To')};tag=callee`];
      send(['SIP/2.0 200 OK', ...head, `Contact: ${contact}`, 'Content-Type: application/sdp'], ANSWER);
    } else if (call.method === 'ACK' && hangsUp) {
      const head = [`From: ${call.header('To')}`, `To: ${call.header('From')}`, ...copied('Call-ID')];
      const via = `Via: SIP/2.0/UDP 127.0.0.1:${port};branch=${branch()}`;
      send([`BYE sip:${from.address}:${from.port} SIP/2.0`, via, ...head, 'CSeq: 1 BYE', 'Max-Forwards: 70']);
    }
  });
  return {
    port,
    async next(pattern) {
      for (;;) {
        for (const text of heard) {
          const match = pattern.exec(text);
          if (match) return match;
        }
        await once(socket, 'message');
      }
    },
    async close() {
      socket.close();
      await once(socket, 'close');
    },
  };
}

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
