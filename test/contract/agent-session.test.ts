import { afterEach, describe, expect, it, vi } from 'vitest';
import { PranthoraSimulator, type SimulatorOptions } from '../../src/simulator/pranthora-simulator.js';
import { dies, sessionTimeout, type ScenarioName } from '../../src/simulator/scenarios.js';
import type { Scenario, SimulatorSession } from '../../src/simulator/simulator-session.js';
import { pcmBytes, toneSpeech } from '../../src/simulator/speech.js';
import { FakeClock } from '../support/fake-clock.js';
import { steadyClock } from '../support/steady-clock.js';
import { Call, KEY, numberedFrame, type CallOptions } from './agent-harness.js';

let simulator: PranthoraSimulator | undefined;
const calls: Call[] = [];

/** Whatever a test did: no session, timer or socket may be left, before the simulator breaks what remains. */
afterEach(async () => {
  for (const call of calls) {
    call.hangUp();
    expect(call.session.state).toBe('ended');
    expect(call.clock.pendingTimers).toBe(0);
  }
  const left = simulator;
  await vi.waitFor(() => expect(left?.sessions.every(({ isClosed }) => isClosed)).not.toBe(false));
  await left?.stop();
  await vi.waitFor(() => expect(process.getActiveResourcesInfo().filter((kind) => kind.startsWith('TCP'))).toEqual([]));
  calls.length = 0;
  simulator = undefined;
});

async function simulate(options: SimulatorOptions = {}): Promise<string> {
  simulator = new PranthoraSimulator({ apiKey: KEY, clock: steadyClock, ...options });
  return (await simulator.start()).url;
}

function dial(url: string, options: CallOptions = {}): Call {
  const call = new Call(url, options).connect();
  calls.push(call);
  return call;
}

async function ready(scenario: ScenarioName | Scenario, options: CallOptions = {}): Promise<Call> {
  const call = dial(await simulate({ scenario }), options);
  await call.until('ready');
  return call;
}

function agent(index = 0): SimulatorSession {
  const session = simulator?.sessions[index];
  if (!session) throw new Error(`no session ${index}`);
  return session;
}

async function agentHeard(frames: number, index = 0): Promise<void> {
  await vi.waitFor(() => expect(agent(index).report().framesReceived).toBeGreaterThanOrEqual(frames));
}

const RECONNECT = { maxAttempts: 3, initialDelayMs: 10, maxDelayMs: 40, keepMs: 400 };

describe('a conversation', () => {
  it('carries audio both ways, byte for byte, without a complaint', async () => {
    const call = await ready('echo');
    call.talk();
    await call.until('audio', 25);
    const heard = Buffer.concat(call.audio.slice(0, 25));
    expect(heard).toEqual(Buffer.concat(Array.from({ length: 25 }, (_, i) => numberedFrame(i))));
    expect(call.session.state).toBe('streaming');
    call.hangUp();
    await vi.waitFor(() => expect(agent().isClosed).toBe(true));
    expect(agent().report()).toMatchObject({ violations: {}, closeCode: 1000 });
    expect(call.session.stats.framesSent).toBe(agent().report().framesReceived);
    expect(call.session.stats).toMatchObject({ framesDropped: 0, reconnects: 0, ignoredMessages: 0 });
    expect(call.endings).toEqual([]);
  });

  it('says how long connecting and starting took', async () => {
    const call = await ready({
      onOpen: (session) => session.after(60, () => session.start()),
    });
    expect(call.readyInfo?.connectMs).toBeGreaterThan(0);
    expect(call.readyInfo?.startMs).toBeGreaterThan(55);
  });

  it('holds the caller’s audio back until the start, and keeps none of it', async () => {
    const call = dial(await simulate({ scenario: { onOpen: () => undefined, onAudio: () => undefined } }));
    await vi.waitFor(() => expect(call.session.state).toBe('awaiting-start'));
    for (let i = 0; i < 10; i++) call.session.sendFrame(numberedFrame(99), call.clock.nowMs());
    agent().start();
    await call.until('ready');
    call.session.sendFrame(numberedFrame(1), call.clock.nowMs());
    await agentHeard(1);
    expect(Buffer.from(agent().receivedAudio().buffer)).toEqual(Buffer.from(numberedFrame(1)));
    expect(agent().violations).toEqual([]);
  });

  it('hears a greeting that begins before the start', async () => {
    const call = await ready('greeting-first');
    const greeting = pcmBytes(toneSpeech().greeting);
    expect(call.events.indexOf('audio')).toBeLessThan(call.events.indexOf('ready'));
    await vi.waitFor(() => expect(Buffer.concat(call.audio)).toHaveLength(greeting.length));
    expect(Buffer.concat(call.audio)).toEqual(greeting);
  });

  it('takes speech in pieces of any size, and a minute of it at once', async () => {
    const pieces = [1, 639, 641, 3_201, 64_000, 1_920_000].map((length, index) => Buffer.alloc(length, index + 1));
    const call = await ready({
      onOpen: (session) => {
        session.start();
        for (const piece of pieces) session.sendAudio(piece);
      },
    });
    await call.until('audio', pieces.length);
    expect(call.audio.map(({ length }) => length)).toEqual(pieces.map(({ length }) => length));
    expect(Buffer.concat(call.audio).equals(Buffer.concat(pieces))).toBe(true);
    expect(call.session.stats.bytesReceived).toBe(Buffer.concat(pieces).length);
  });

  it.each(['stop', ' CLEAR\n', '{"event":"clear"}', '{"event_type":"stop_speaking"}', '{"event": "interruption"}'])(
    'is interrupted by %s, in its place between old and new speech',
    async (spelling) => {
      const call = await ready({
        onOpen: (session) => {
          session.start();
          session.sendAudio(Buffer.alloc(640, 1));
          session.interrupt(spelling);
          session.sendAudio(Buffer.alloc(640, 2));
        },
      });
      await call.until('audio', 2);
      expect(call.events.map((event) => event.split(' ')[0])).toEqual(['ready', 'audio', 'interruption', 'audio']);
      expect(call.clock.nowMs() - (call.interruptedAtMs ?? 0)).toBeLessThan(1_000);
    },
  );

  it('passes marks on, counts what it does not know, and logs the first of it without its content', async () => {
    const call = await ready({
      onOpen: (session) => {
        session.start();
        session.sendText('{"type":"transcript","role":"user","text":"private"}');
        for (const text of ['{"event":"summary","text":"private"}', 'private', '{"event":']) session.sendText(text);
        session.sendText('{"event":"mark","mark":{"name":"tts_completed"}}');
      },
    });
    await call.until('mark tts_completed');
    expect(call.session.stats.ignoredMessages).toBe(3);
    expect(call.logged).toEqual([{ event: 'agent.message-ignored', what: 'event "summary"' }]);
  });

  it('is no more after close(), which may be called again', async () => {
    const call = await ready('talk-and-interrupt');
    await call.until('audio');
    call.hangUp();
    const before = call.events.length;
    call.hangUp();
    call.session.sendFrame(numberedFrame(0), 0);
    call.session.tick(0);
    await vi.waitFor(() => expect(agent().isClosed).toBe(true));
    expect(call.events).toHaveLength(before);
    expect(agent().report().closeCode).toBe(1000);
    expect(() => call.session.connect()).toThrow('connects once');
  });
});

describe('an agent that cannot be had', () => {
  it.each([
    ['refuse-4001', 'configuration', 4001],
    ['refuse-4003', 'configuration', 4003],
  ] as const)('%s', async (scenario, kind, closeCode) => {
    const call = dial(await simulate({ scenario }));
    expect(await call.ending()).toMatchObject({ kind, closeCode });
    expect(call.events).toEqual(['ended']);
  });

  it('a wrong key', async () => {
    const call = dial(await simulate(), { apiKeys: ['wrong'] });
    expect(await call.ending()).toMatchObject({ kind: 'configuration', closeCode: 4001 });
  });

  it('never starts', async () => {
    const call = dial(await simulate({ scenario: 'never-starts' }), { startTimeoutMs: 50 });
    const ending = await call.ending();
    expect(ending).toMatchObject({ kind: 'unreachable' });
    expect(ending.detail).toContain('start_media_streaming within 50 ms');
  });

  it('hangs up or times out before the start: no second try; loses the session: one', async () => {
    const closes = [
      [1000, 'Call terminated by agent', 'agent-hangup', 1],
      [1000, 'Session timeout reached', 'session-timeout', 1],
      [1011, 'Session not found', 'session-not-found', 2],
      [1011, '', 'unreachable', 2],
    ] as const;
    for (const [code, reason, kind, tries] of closes) {
      const call = dial(
        await simulate({
          scenario: {
            onOpen: (session) => session.close(code, reason),
          },
        }),
      );
      expect(await call.ending()).toMatchObject({ kind, closeCode: code });
      expect(simulator?.sessions).toHaveLength(tries);
      await simulator?.stop();
    }
  });

  it('nobody listens', async () => {
    const url = await simulate();
    await simulator?.stop();
    const ending = await dial(url).ending();
    expect(ending).toEqual({ kind: 'unreachable', detail: 'connection refused [ECONNREFUSED]' });
  });

  it('has no address', async () => {
    const ending = await dial('ws://no-such-host.invalid').ending();
    expect(ending.kind).toBe('unreachable');
    expect(ending.detail).toContain('DNS');
  });

  it('does not speak TLS', async () => {
    const url = (await simulate()).replace('ws:', 'wss:');
    const ending = await dial(url).ending();
    expect(ending.kind).toBe('unreachable');
    expect(ending.detail).toContain('TLS');
  });

  it.each(['not a url', 'ftp://host/', 'ws://host:99999'])('has the impossible URL %s', async (url) => {
    const call = new Call(url);
    calls.push(call);
    call.connect();
    expect(call.events).toEqual([]);
    const ending = await call.ending();
    expect(ending).toEqual({ kind: 'configuration', detail: 'the agent URL is not a valid ws: or wss: URL' });
  });

  it('has an impossible key, which is not told', async () => {
    const ending = await dial(await simulate(), { apiKeys: ['secret\r\nx-other: 1'] }).ending();
    expect(ending.kind).toBe('configuration');
    expect(ending.detail).toContain('API key');
    expect(ending.detail).not.toContain('secret');
  });

  it('is not told anything once the call is over', async () => {
    const url = await simulate();
    for (const call of [dial(url), dial('not a url')]) call.hangUp();
    const later = dial(url);
    await later.until('ready');
    expect(calls.map(({ events }) => events)).toEqual([[], [], ['ready']]);
  });
});

describe('an agent that ends the call', () => {
  it('is over at once, and all of its farewell has arrived', async () => {
    const call = await ready('agent-hangs-up');
    call.talk();
    const ending = await call.ending();
    expect(ending).toMatchObject({ kind: 'agent-hangup', closeCode: 1000 });
    expect(Buffer.concat(call.audio)).toEqual(pcmBytes(toneSpeech().farewell));
    expect(call.events.at(-1)).toBe('ended');
    expect(agent().violations).toEqual([]);
  });

  it.each(['{"event":"call-end"}', '{"event_type":"call_end"}'])('by saying %s', async (text) => {
    const call = await ready('silent');
    agent().sendText(text);
    agent().sendText('stop');
    expect(await call.ending()).toMatchObject({ kind: 'agent-hangup' });
    await vi.waitFor(() => expect(agent().report().closeCode).toBe(1000));
    expect(call.events).toEqual(['ready', 'ended']);
  });
});

describe('a connection lost in a call', () => {
  it('after a session timeout is made again at once, with the newest audio and without a burst', async () => {
    const scenarios: Scenario[] = [
      sessionTimeout(1_100),
      {
        onOpen: (session) => session.after(300, () => session.start()),
      },
    ];
    const call = dial(await simulate({ scenarioFor: () => scenarios.shift() }));
    await call.until('ready');
    call.talk();
    await call.until('reconnected');
    expect(call.reconnects).toMatchObject([{ attempt: 1, delayMs: 0, ending: { kind: 'session-timeout' } }]);
    expect(call.outageMs).toBeGreaterThan(295);
    const droppedInOutage = call.session.stats.framesDropped;
    await agentHeard(30, 1);
    call.hangUp();
    expect(droppedInOutage).toBe(0);
    expect(simulator?.sessions.flatMap(({ violations }) => violations)).toEqual([]);
    const [before, after] = [agent(0), agent(1)].map((session) => firstBytesOfFrames(session.receivedAudio()));
    // What was sent while the close frame was on its way is lost; nothing that came after it is.
    const lastBefore = before?.at(-1) ?? 0;
    const firstAfter = after?.[0] ?? 0;
    expect(firstAfter - lastBefore).toBeLessThanOrEqual(3);
    expect(after).toEqual(Array.from(after ?? [], (_, i) => firstAfter + i));
    expect(call.session.stats.reconnects).toBe(1);
  });

  it('is made again after a pause when it broke', async () => {
    const scenarios: Scenario[] = [dies(30), {}];
    const call = dial(await simulate({ scenarioFor: () => scenarios.shift() }), { random: () => 0 });
    await call.until('reconnected');
    expect(call.reconnects).toMatchObject([
      { attempt: 1, delayMs: 5, ending: { kind: 'unreachable', closeCode: 1006 } },
    ]);
    expect(call.events).toEqual(['ready', 'reconnecting 1', 'reconnected']);
    expect(call.session.state).toBe('streaming');
  });

  it('is made again when Pranthora forgot the session', async () => {
    const scenarios: Scenario[] = [
      {
        onOpen: (session) => {
          session.start();
          session.close(1011, 'Session not found');
        },
      },
      {},
    ];
    const call = dial(await simulate({ scenarioFor: () => scenarios.shift() }));
    await call.until('reconnected');
    expect(call.reconnects[0]?.ending.kind).toBe('session-not-found');
  });

  it('is given up after as many attempts as allowed, each later than the one before', async () => {
    const call = await ready(dies(20), { random: () => 0.999 });
    await simulator?.stop();
    expect(await call.ending()).toMatchObject({ kind: 'unreachable', detail: 'connection refused [ECONNREFUSED]' });
    expect(call.events).toEqual(['ready', 'reconnecting 1', 'reconnecting 2', 'reconnecting 3', 'ended']);
    expect(call.reconnects.map(({ delayMs }) => Math.round(delayMs))).toEqual([10, 20, 40]);
  });

  it('does not come back for ever to an agent that starts and dies', async () => {
    const call = await ready({
      onOpen: (session) => {
        session.start();
        session.close(1000, 'Session timeout reached');
      },
    });
    await call.ending();
    expect(call.reconnects.map(({ attempt, delayMs }) => [attempt, delayMs > 0])).toEqual([
      [1, false],
      [2, true],
      [3, true],
    ]);
  });

  it('counts attempts anew after the agent has been well for a second', async () => {
    const clock = new FakeClock();
    const call = dial(await simulate({ scenario: 'silent' }), { clock, reconnect: { ...RECONNECT, maxAttempts: 1 } });
    await call.until('ready');
    for (let outage = 1; outage <= 3; outage++) {
      clock.advance(1_000);
      agent(outage - 1).terminate();
      await call.until('reconnecting 1', outage);
      clock.advance(50);
      await call.until('reconnected', outage);
    }
    agent(3).terminate();
    expect(await call.ending()).toMatchObject({ kind: 'unreachable' });
  });

  it('ends the call at once when the new one is refused for good', async () => {
    const scenarios: (Scenario | ScenarioName)[] = [dies(20), 'refuse-4001'];
    const call = dial(await simulate({ scenarioFor: () => scenarios.shift() }));
    expect(await call.ending()).toMatchObject({ kind: 'configuration', closeCode: 4001 });
    expect(call.events).toEqual(['ready', 'reconnecting 1', 'ended']);
  });

  it('stays lost when the caller hangs up meanwhile, even from within the handler', async () => {
    const call = await ready(dies(20));
    call.onEvent = (event) => {
      if (event === 'reconnecting 1') call.hangUp();
    };
    await call.until('reconnecting 1');
    expect(call.clock.pendingTimers).toBe(0);
    expect(simulator?.sessions).toHaveLength(1);
  });
});

/** The number of each frame, for frames filled with their number. */
function firstBytesOfFrames(samples: Int16Array): number[] {
  return Array.from({ length: samples.length / 320 }, (_, i) => (samples[i * 320] ?? 0) & 0xff);
}
