import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { LogFields, Logger } from '../../../src/logger.js';
import {
  PranthoraSimulator,
  WEB_MEDIA_STREAM_PATH,
  type SimulatorOptions,
} from '../../../src/simulator/pranthora-simulator.js';
import { dies, namedScenario, SCENARIO_NAMES, sessionTimeout } from '../../../src/simulator/scenarios.js';
import type { SimulatorSession } from '../../../src/simulator/simulator-session.js';
import { levelDbfs, pcmBytes, pcmSamples, tone, toneSpeech } from '../../../src/simulator/speech.js';
import { FakeClock } from '../../support/fake-clock.js';
import { steadyClock } from '../../support/steady-clock.js';

const KEY = 'key-of-the-test';
const START = '{"event_type": "start_media_streaming"}';
const VOICE = pcmBytes(tone(300, 20));
const SILENCE = Buffer.alloc(640);

let simulator: PranthoraSimulator | undefined;
const clients: Client[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.terminate();
  await simulator?.stop();
  for (const session of simulator?.sessions ?? []) expect(session.isClosed).toBe(true);
  simulator = undefined;
});

/** A bare WebSocket client that keeps what it was sent, text as string and audio as Buffer. */
class Client {
  readonly socket: WebSocket;
  readonly received: (string | Buffer)[] = [];
  readonly closed: Promise<[number, string]>;

  constructor(url: string, headers: Record<string, string> = { 'x-api-key': KEY }) {
    this.socket = new WebSocket(url, { headers });
    this.socket.on('message', (data, isBinary) => {
      if (Buffer.isBuffer(data)) this.received.push(isBinary ? data : data.toString());
    });
    this.socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => resolve([code, reason.toString()]));
    });
    clients.push(this);
  }

  get texts(): string[] {
    return this.received.filter((message) => typeof message === 'string');
  }

  get audio(): Buffer {
    return Buffer.concat(this.received.filter((message) => typeof message !== 'string'));
  }

  /** Waits until `count` bytes of speech are there. */
  async heard(count: number): Promise<void> {
    await vi.waitFor(() => expect(this.audio.length).toBeGreaterThanOrEqual(count));
  }

  async read(text: string): Promise<void> {
    await vi.waitFor(() => expect(this.texts).toContain(text));
  }
}

async function run(options: SimulatorOptions = {}): Promise<string> {
  simulator = new PranthoraSimulator({ apiKey: KEY, clock: steadyClock, ...options });
  return (await simulator.start()).url;
}

async function call(options: SimulatorOptions = {}): Promise<{ client: Client; session: SimulatorSession }> {
  const url = await run(options);
  const client = new Client(`${url}${WEB_MEDIA_STREAM_PATH}?agent_id=a1`);
  await once(client.socket, 'open');
  const [session] = simulator?.sessions ?? [];
  if (!session) throw new Error('no session');
  return { client, session };
}

async function messageArrived(session: SimulatorSession, frames: number): Promise<void> {
  await vi.waitFor(() => expect(session.report().framesReceived).toBe(frames));
}

describe('who may come in', () => {
  it.each([
    ['without a key', '?agent_id=a1', {}, 4001, 'api-key'],
    ['with a wrong key', '?agent_id=a1', { 'x-api-key': 'other' }, 4001, 'api-key'],
    ['with the key in the URL too', `?agent_id=a1&key=${KEY}`, { 'x-api-key': KEY }, 1000, 'api-key-in-url'],
    ['without an id', '', { 'x-api-key': KEY }, 4002, 'agent-id'],
    ['with an empty id', '?agent_id=', { 'x-api-key': KEY }, 4002, 'agent-id'],
    ['with both ids', '?agent_id=a1&workflow_id=w1', { 'x-api-key': KEY }, 1000, 'agent-id'],
    ['with an unknown id', '?agent_id=nobody', { 'x-api-key': KEY }, 4003, 'unknown-agent'],
  ])('%s', async (_what, query, headers: Record<string, string>, code, violation) => {
    const url = await run({
      scenarioFor: (id) =>
        id === 'a1'
          ? {
              onOpen: (session) => session.close(1000, ''),
            }
          : undefined,
    });
    const client = new Client(`${url}${WEB_MEDIA_STREAM_PATH}${query}`, headers);
    const [closeCode] = await client.closed;
    expect(closeCode).toBe(code);
    expect(simulator?.sessions[0]?.violations.map(({ kind }) => kind)).toEqual([violation]);
    expect(client.received).toEqual([]);
  });

  it('takes any key when it was given none, and workflows like agents', async () => {
    simulator = new PranthoraSimulator();
    const { url } = await simulator.start();
    expect(url).toMatch(/^ws:\/\/127\.0\.0\.1:\d+$/);
    const client = new Client(`${url}${WEB_MEDIA_STREAM_PATH}?workflow_id=w1`, { 'x-api-key': 'whatever' });
    await client.read(START);
    expect(simulator.sessions[0]).toMatchObject({ workflowId: 'w1', agentId: undefined, violations: [] });
  });

  it('answers anything else with 404', async () => {
    const url = await run();
    const client = new Client(`${url}/api/other`);
    await expect(client.closed).resolves.toEqual([1006, '']);
    const status = await new Promise((resolve) => {
      request(url.replace('ws:', 'http:') + WEB_MEDIA_STREAM_PATH, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).end();
    });
    expect(status).toBe(404);
    expect(simulator?.sessions).toEqual([]);
  });

  it('survives an upgrade with an impossible URL', async () => {
    const url = await run();
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.end('GET http://[ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    const answer = (await once(socket, 'data')) as [Buffer];
    expect(String(answer[0])).toMatch(/^HTTP\/1\.1 404 /);
    socket.destroy();
  });

  it('rejects when its port is taken', async () => {
    const url = await run();
    const second = new PranthoraSimulator({ port: Number(new URL(url).port) });
    await expect(second.start()).rejects.toThrow(/EADDRINUSE/);
    await second.stop();
  });
});

describe('named scenarios', () => {
  const speech = { ...toneSpeech(), greeting: tone(440, 800), talk: tone(600, 3_000), reply: tone(1_000, 200) };

  it('has one for every name', () => {
    for (const name of SCENARIO_NAMES) expect(namedScenario(name, speech)).toBeTypeOf('object');
  });

  it('echo', async () => {
    const { client } = await call({ scenario: 'echo' });
    await client.read(START);
    client.socket.send(VOICE);
    await client.heard(VOICE.length);
    expect(client.audio).toEqual(VOICE);
  });

  it('greeting-first speaks before and after the start, faster than real time and in odd pieces', async () => {
    const { client } = await call({ scenario: 'greeting-first', speech });
    await client.heard(speech.greeting.length * 2);
    expect(client.audio).toEqual(pcmBytes(speech.greeting));
    const at = client.received.indexOf(START);
    expect(at).toBeGreaterThan(0);
    expect(at).toBeLessThan(client.received.length - 1);
    expect(client.received[0]).toHaveLength(3_201);
  });

  it('talk-and-interrupt stops after 200 ms of voice and answers after 500 ms of silence', async () => {
    const { client, session } = await call({ scenario: 'talk-and-interrupt', speech });
    await client.read(START);
    const say = (frame: Buffer, count: number): void => {
      for (let i = 0; i < count; i++) client.socket.send(frame);
    };
    say(SILENCE, 50);
    say(VOICE, 9);
    await messageArrived(session, 59);
    expect(session.report().interruptions).toBe(0);
    say(VOICE, 1);
    await client.read('stop');
    const spoken = client.audio.length;
    expect(spoken).toBeLessThan(speech.talk.length * 2);
    say(VOICE, 20);
    say(SILENCE, 24);
    await messageArrived(session, 104);
    expect(client.audio).toHaveLength(spoken);
    say(SILENCE, 1);
    await client.heard(spoken + speech.reply.length * 2);
    expect(client.audio.subarray(spoken)).toEqual(pcmBytes(speech.reply));
    expect(session.report()).toMatchObject({ interruptions: 1, framesReceived: 105 });
  });

  it('agent-hangs-up says its farewell first', async () => {
    const { client } = await call({ scenario: 'agent-hangs-up', speech });
    await expect(client.closed).resolves.toEqual([1000, 'Call terminated by agent']);
    expect(client.audio).toEqual(pcmBytes(speech.farewell));
  });

  it('session-timeout ends one session and welcomes the next', async () => {
    const { client } = await call({ scenario: sessionTimeout(30) });
    await expect(client.closed).resolves.toEqual([1000, 'Session timeout reached']);
    const next = new Client(client.socket.url);
    await next.read(START);
  });

  it.each([
    ['refuse-4001', 4001],
    ['refuse-4003', 4003],
  ] as const)('%s', async (scenario, code) => {
    const { client } = await call({ scenario });
    await expect(client.closed).resolves.toMatchObject([code, expect.any(String)]);
    expect(client.received).toEqual([]);
  });

  it('never-starts', async () => {
    const { client, session } = await call({ scenario: 'never-starts' });
    client.socket.send(VOICE);
    await messageArrived(session, 1);
    expect(client.received).toEqual([]);
    expect(session.violations).toMatchObject([{ kind: 'audio-before-start' }]);
  });

  it('dies without a close frame', async () => {
    const { client } = await call({ scenario: dies(20) });
    await expect(client.closed).resolves.toEqual([1006, '']);
    expect(client.texts).toEqual([START]);
  });

  it('silent listens', async () => {
    const { client, session } = await call({ scenario: 'silent' });
    await client.read(START);
    client.socket.send(VOICE);
    await messageArrived(session, 1);
    expect(client.audio).toHaveLength(0);
    expect(session.violations).toEqual([]);
  });
});

describe('a session', () => {
  it('follows a scenario of one’s own', async () => {
    const seen: unknown[] = [];
    const { client, session } = await call({
      scenario: {
        onOpen: (opened) => {
          opened.sendAudio(Buffer.of(1));
          opened.start();
          opened.interrupt('{"event":"clear"}');
        },
        onText: (_session, text) => seen.push(text),
        onAudio: (_session, bytes) => seen.push(bytes.length),
        onClose: (_session, code, reason) => seen.push([code, reason]),
      },
    });
    await client.read('{"event":"clear"}');
    expect(client.received).toEqual([Buffer.of(1), START, '{"event":"clear"}']);
    client.socket.send('hello');
    client.socket.send(Buffer.alloc(641));
    client.socket.close(1000, 'bye');
    await once(session, 'closed');
    expect(seen).toEqual(['hello', 641, [1000, 'bye']]);
    expect(session.violations.map(({ kind }) => kind)).toEqual(['text-frame', 'odd-length']);
  });

  it('reports as plain JSON', async () => {
    const { client, session } = await call({ scenario: 'silent' });
    await client.read(START);
    client.socket.send(VOICE);
    client.socket.send('x');
    client.socket.close(1000, 'bye');
    await once(session, 'closed');
    const report = simulator?.report();
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    expect(report?.sessions).toMatchObject([
      {
        id: 1,
        agentId: 'a1',
        state: 'closed',
        framesReceived: 1,
        bytesReceived: 640,
        longestGapMs: null,
        violations: { 'text-frame': 1 },
        closeCode: 1000,
        closeReason: 'bye',
      },
    ]);
    expect(session.receivedAudio()).toEqual(pcmSamples(VOICE));
    expect(report?.sessions[0]?.levelDbfs).toBeCloseTo(levelDbfs(pcmSamples(VOICE)));
  });

  it('keeps no more audio than it was told to', async () => {
    const { client, session } = await call({ scenario: 'silent', recordMs: 40 });
    for (let i = 0; i < 5; i++) client.socket.send(VOICE);
    await messageArrived(session, 5);
    expect(session.receivedAudio()).toHaveLength(640);
    expect(session.arrivalsMs).toHaveLength(2);
  });

  it('leaves no timer behind, whatever it was about to do', async () => {
    const clock = new FakeClock();
    const { client, session } = await call({ scenario: 'talk-and-interrupt', clock });
    session.after(1_000, () => undefined);
    expect(clock.pendingTimers).toBe(2);
    clock.advance(25);
    await client.heard(3_201 * 2);
    client.socket.terminate();
    await once(session, 'closed');
    expect(clock.pendingTimers).toBe(0);
  });

  it('speaks as long as the caller hears it', async () => {
    const clock = new FakeClock();
    const { session } = await call({ scenario: 'silent', clock });
    expect(session.isSpeaking).toBe(false);
    session.say(tone(440, 300));
    clock.advance(299);
    expect(session.isSpeaking).toBe(true);
    clock.advance(1);
    expect(session.isSpeaking).toBe(false);
  });
});

it('forgets the oldest ended sessions', async () => {
  const url = await run({ scenario: 'refuse-4003' });
  for (let i = 0; i < 60; i++) await new Client(`${url}${WEB_MEDIA_STREAM_PATH}?agent_id=a1`).closed;
  await vi.waitFor(() =>
    expect(simulator?.sessions.map(({ id }) => id)).toEqual(Array.from({ length: 50 }, (_, i) => i + 11)),
  );
});

it('logs what happened', async () => {
  const lines: LogFields[] = [];
  const log = (fields: LogFields): void => void lines.push(fields);
  const logger: Logger = { debug: log, info: log, warn: log, error: log, child: () => logger };
  const { client, session } = await call({ scenario: 'silent', logger });
  client.socket.send('x');
  session.interrupt();
  await client.read('stop');
  client.socket.close();
  await once(session, 'closed');
  expect(lines.map(({ event }) => event)).toEqual([
    'simulator.session-opened',
    'simulator.interrupted',
    'simulator.violation',
    'simulator.session-closed',
  ]);
  expect(JSON.stringify(lines)).not.toContain(KEY);
});
