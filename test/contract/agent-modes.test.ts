import { afterEach, describe, expect, it, vi } from 'vitest';
import type { AgentMode } from '../../src/pranthora/agent-session.js';
import { FRAME_BYTES, type AudioFormat } from '../../src/pranthora/protocols/protocol.js';
import { PranthoraSimulator, type SimulatorOptions } from '../../src/simulator/pranthora-simulator.js';
import { closes, dies, refuseHttp, type ScenarioName } from '../../src/simulator/scenarios.js';
import type { Scenario, SimulatorSession } from '../../src/simulator/simulator-session.js';
import { tone } from '../../src/simulator/speech.js';
import { FakeClock } from '../support/fake-clock.js';
import { steadyClock } from '../support/steady-clock.js';
import { Call, KEY, numberedFrame, type CallOptions } from './agent-harness.js';

let simulator: PranthoraSimulator | undefined;
const calls: Call[] = [];

afterEach(async () => {
  for (const call of calls.splice(0)) {
    call.hangUp();
    expect(call.session.state).toBe('ended');
    expect(call.clock.pendingTimers).toBe(0);
  }
  const left = simulator;
  simulator = undefined;
  await vi.waitFor(() => expect(left?.sessions.every(({ isClosed }) => isClosed)).not.toBe(false));
  await left?.stop();
  await vi.waitFor(() => expect(process.getActiveResourcesInfo().filter((kind) => kind.startsWith('TCP'))).toEqual([]));
});

async function dial(options: SimulatorOptions, callOptions: CallOptions): Promise<Call> {
  simulator = new PranthoraSimulator({ apiKey: KEY, clock: steadyClock, ...options });
  const call = new Call((await simulator.start()).url, callOptions).connect();
  calls.push(call);
  return call;
}

async function ready(scenario: ScenarioName | Scenario, callOptions: CallOptions): Promise<Call> {
  const call = await dial({ scenario }, callOptions);
  await call.until('ready');
  return call;
}

/** One scenario for each connection, in order. */
const inTurn = (...scenarios: (ScenarioName | Scenario)[]): SimulatorOptions => ({
  scenarioFor: () => scenarios.shift(),
});

function agent(index = 0): SimulatorSession {
  const session = simulator?.sessions[index];
  if (!session) throw new Error(`no session ${index}`);
  return session;
}

async function closed(session: SimulatorSession): Promise<void> {
  await vi.waitFor(() => expect(session.isClosed).toBe(true));
}

const violations = (): unknown[] => simulator?.sessions.flatMap((session) => session.violations) ?? [];

const MODES: readonly AgentMode[] = ['websocket', 'handshake', 'telephony'];

describe.each(MODES)('mode %s', (mode) => {
  const isG711 = mode !== 'websocket';
  const format = isG711 ? 'mulaw' : 'pcm16k';

  it('carries audio both ways, byte for byte, and ends without a complaint', async () => {
    const call = await ready('echo', { mode });
    expect(call.formats).toEqual([format]);
    expect(call.readyInfo?.format).toBe(format);
    call.talk();
    await call.until('audio', 25);
    expect(Buffer.concat(call.audio.slice(0, 25))).toEqual(
      Buffer.concat(Array.from({ length: 25 }, (_, i) => numberedFrame(i, format))),
    );
    call.hangUp();
    await closed(agent());
    expect(agent().report()).toMatchObject({ closeCode: 1000 });
    expect(agent().report().framesReceived).toBe(call.session.stats.framesSent);
    const rules = simulator?.conformance()[0]?.rules;
    expect(rules?.filter(({ verdict }) => verdict === 'broken')).toEqual([]);
    expect(rules?.filter(({ verdict }) => verdict === 'kept').length).toBeGreaterThan(4);
  });

  it('asks for workflows as for agents', async () => {
    await ready('silent', { mode, target: { workflowId: 'w/1 ?' } });
    expect(agent()).toMatchObject({ agentId: undefined, workflowId: 'w/1 ?' });
    expect(violations()).toEqual([]);
  });

  it('is interrupted in the place between old and new speech', async () => {
    const call = await ready(
      {
        onOpen: (session) => {
          session.start();
          session.sendMedia(Buffer.alloc(160, 1));
          session.interrupt();
          session.sendMedia(Buffer.alloc(160, 2));
        },
      },
      { mode },
    );
    await call.until('audio', 2);
    const kinds = call.events.map((event) => event.split(' ')[0]).filter((event) => event !== 'ready');
    expect(kinds).toEqual(['audio', 'interruption', 'audio']);
  });

  it.each([
    [4001, 'Unauthorized'],
    [4002, 'Missing agent_id or workflow_id'],
    [4003, 'Agent not found'],
    [1008, 'Missing required parameter'],
  ])(
    'close %i before it is ready is a fault of the configuration, and nobody has been answered',
    async (code, reason) => {
      const call = await dial(
        {
          scenario: {
            onOpen: (session) => session.close(code, reason),
          },
        },
        { mode },
      );
      expect(await call.ending()).toMatchObject({ kind: 'configuration', closeCode: code });
      expect(call.events).toEqual(['ended']);
    },
  );

  it('a wrong key is refused, and told nobody', async () => {
    const call = await dial({ scenario: 'silent' }, { mode, apiKeys: ['wrong-key'] });
    const ending = await call.ending();
    expect(ending).toMatchObject(mode === 'handshake' ? { httpStatus: 401 } : { closeCode: 4001 });
    expect(ending.kind).toBe('configuration');
    expect(JSON.stringify([ending, call.logged])).not.toContain('wrong-key');
  });

  it.each([
    [401, 'configuration'],
    [403, 'configuration'],
    [404, 'configuration'],
    [422, 'configuration'],
    [302, 'configuration'],
    [429, 'unreachable'],
    [500, 'unreachable'],
    [503, 'unreachable'],
  ])('HTTP %i', async (httpStatus, kind) => {
    const call = await dial({ scenario: refuseHttp(httpStatus) }, { mode });
    expect(await call.ending()).toMatchObject({ kind, httpStatus });
    expect(simulator?.sessions).toEqual([]);
  });

  it.each([
    ['session timeout', closes(30, 1000, 'Session timeout reached'), 'session-timeout'],
    ['a broken connection', dies(30), 'unreachable'],
    ['going away', closes(30, 1001, ''), 'unreachable'],
    ['an internal error', closes(30, 1011, 'Internal error'), 'unreachable'],
    ['a lost session', closes(30, 1011, 'Session not found'), 'session-not-found'],
    ['a restart', closes(30, 1012, ''), 'unreachable'],
    ['overload', closes(30, 1013, ''), 'unreachable'],
    ['a bad gateway', closes(30, 1014, ''), 'unreachable'],
  ])('after %s it connects again, with a fresh handshake if it takes one', async (_what, scenario, kind) => {
    const call = await dial(inTurn(scenario, 'echo'), { mode });
    await call.until('ready');
    call.talk();
    await call.until('reconnected');
    const heard = call.events.filter((event) => event === 'audio').length;
    await call.until('audio', heard + 5);
    expect(call.reconnects).toMatchObject([{ attempt: 1, ending: { kind } }]);
    expect(call.formats).toEqual([format]);
    expect(simulator?.handshakes).toHaveLength(mode === 'handshake' ? 2 : 0);
    if (isG711) {
      const [first, second] = [agent(0).clientStart, agent(1).clientStart];
      expect(second?.callSid).toBe(first?.callSid);
      expect(second?.streamSid).not.toBe(first?.streamSid);
    }
  });

  it('does not come back after the agent has ended the call', async () => {
    const call = await ready(closes(30, 1000, 'Call terminated by agent'), { mode });
    expect(await call.ending()).toMatchObject({ kind: 'agent-hangup' });
    expect(call.events).not.toContain('reconnecting 1');
  });

  it.each([4001, 4002, 4003, 1008])('nor after a fault of the configuration, close %i', async (code) => {
    const call = await ready(closes(30, code, 'x'), { mode });
    expect(await call.ending()).toMatchObject({ kind: 'configuration', closeCode: code });
    expect(call.events).not.toContain('reconnecting 1');
  });

  it('gives up at once when it is refused on coming back', async () => {
    const call = await dial(inTurn(dies(30), refuseHttp(403)), { mode });
    expect(await call.ending()).toMatchObject({ kind: 'configuration', httpStatus: 403 });
    expect(call.events.filter((event) => event !== 'audio')).toEqual(['ready', 'reconnecting 1', 'ended']);
  });

  it('survives a hundred session timeouts: the caller’s audio arrives whole, in order, nothing twice', async () => {
    const clock = new FakeClock();
    const call = await dial({ scenario: 'silent' }, { mode, clock });
    await call.until('ready');
    let sent = 0;
    const received: number[] = [];
    const talk = (): void => {
      call.session.sendFrame(numberedFrame(sent++, format), clock.nowMs());
      call.session.tick(clock.nowMs());
      clock.advance(20);
    };
    /** No more is sent than the agent has answered, and that takes time that does not go by here. */
    const talkLive = async (): Promise<void> => {
      talk();
      await vi.waitFor(
        () => {
          call.session.tick(clock.nowMs());
          expect(call.session.stats.framesSent).toBe(sent);
        },
        { interval: 1 },
      );
    };
    const endSession = async (): Promise<void> => {
      const session = simulator?.sessions.at(-1) ?? agent();
      await vi.waitFor(() => expect(received.length + session.report().framesReceived).toBe(sent), { interval: 2 });
      received.push(...firstBytes(session.receivedMedia(), format));
      session.close(1000, 'Session timeout reached');
    };
    for (let outage = 1; outage <= 100; outage++) {
      for (let i = 0; i < 60; i++) await talkLive();
      await endSession();
      await call.until('reconnecting 1', outage);
      for (let i = 0; i < 5; i++) talk();
      await call.until('reconnected', outage);
    }
    expect(received).toEqual(Array.from(received, (_, i) => i % 256));
    expect(received).toHaveLength(60 * 100 + 5 * 99);
    expect(call.reconnects.every(({ delayMs }) => delayMs === 0)).toBe(true);
    expect(call.session.stats).toMatchObject({ framesSent: sent, framesDropped: 0, reconnects: 100 });
    call.hangUp();
  }, 30_000);
});

/** The number of each frame, for frames filled with their number. */
function firstBytes(media: Buffer, format: AudioFormat): number[] {
  return Array.from({ length: media.length / FRAME_BYTES[format] }, (_, i) => media[i * FRAME_BYTES[format]] ?? -1);
}

describe('the handshake', () => {
  it('leads to whichever protocol the URL’s path names, and the audio changes with it', async () => {
    let toPure = false;
    const options: SimulatorOptions = {
      ...inTurn(dies(50), 'echo', 'echo'),
      websocketUrl: (url) => (toPure ? url.replace(/media-stream.*/, 'web-media-stream?agent_id=a1') : url),
    };
    const call = await dial(options, { mode: 'handshake', encoding: 'alaw' });
    await call.until('ready');
    toPure = true;
    call.talk();
    await call.until('reconnected');
    expect(call.formats).toEqual(['alaw', 'pcm16k']);
    const heard = call.events.filter((event) => event === 'audio').length;
    await call.until('audio', heard + 5);
    expect(call.audio.at(-1)).toHaveLength(640);
    expect(simulator?.sessions.map(({ protocol }) => protocol)).toEqual(['telephony', 'websocket']);
  });

  it('says how long all of it took', async () => {
    const call = await ready('silent', { mode: 'handshake' });
    expect(call.readyInfo?.connectMs).toBeGreaterThan(0);
    expect(call.readyInfo?.connectMs).toBeLessThan(1_000);
  });

  it('is left in the middle without a trace', async () => {
    const call = await dial({ scenario: 'silent' }, { mode: 'handshake' });
    call.hangUp();
    expect(call.events).toEqual([]);
  });
});

describe('the telephony stream', () => {
  it('begins with the call, and with what is known about it', async () => {
    await ready('silent', {
      mode: 'telephony',
      encoding: 'alaw',
      callSid: 'a84b4c76e66710@pbx',
      accountSid: 'AC1',
      customParameters: { from: '+15551234', did: '+15550100' },
    });
    expect(agent().clientStart).toMatchObject({
      streamSid: expect.stringMatching(/^MZ[0-9a-f]{32}$/) as string,
      callSid: 'a84b4c76e66710@pbx',
      encoding: 'alaw',
      customParameters: { from: '+15551234', did: '+15550100' },
    });
  });

  it('is ended by the server’s stop event', async () => {
    const call = await ready('silent', { mode: 'telephony' });
    agent().sendText('{"event":"stop","streamSid":"x"}');
    expect(await call.ending()).toEqual({ kind: 'agent-hangup', detail: 'the agent ended the call (stop event)' });
  });

  it('hands marks on and echoes them, in order', async () => {
    const echoed: string[] = [];
    const call = await ready(
      {
        onOpen: (session) => {
          session.start();
          session.sendMedia(Buffer.alloc(80));
          for (const name of ['one', 'two', 'three "3"']) session.mark(name);
        },
        onMark: (_session, name) => echoed.push(name),
      },
      { mode: 'telephony' },
    );
    await call.until('mark three "3"');
    for (const name of ['one', 'two', 'three "3"', 'one too many']) call.session.echoMark(name);
    await vi.waitFor(() => expect(echoed).toEqual(['one', 'two', 'three "3"']));
    call.hangUp();
    await closed(agent());
    expect(agent().violations).toEqual([]);
  });

  it('does not tell a new connection of the marks of the one before', async () => {
    const marking: Scenario = {
      onOpen: (session) => {
        session.start();
        session.mark('m');
      },
    };
    const call = await dial(inTurn(marking, marking), { mode: 'telephony' });
    await call.until('mark m');
    await call.until('ready');
    agent(0).terminate();
    await call.until('mark m', 2);
    call.session.echoMark('m');
    call.session.echoMark('m');
    await vi.waitFor(() => expect(agent(1).report().marks).toEqual({ sent: 1, echoed: 1 }));
    expect(violations()).toEqual([]);
  });

  it('brings speech in the law asked for', async () => {
    const call = await ready(
      {
        onOpen: (session) => {
          session.start();
          session.say(tone(1_000, 400));
        },
      },
      { mode: 'telephony', encoding: 'alaw' },
    );
    await call.until('mark tts_completed');
    expect(Buffer.concat(call.audio)).toHaveLength(3_200);
    // A-law silence alternates around its own zero; the tone does not.
    expect(new Set(Buffer.concat(call.audio)).size).toBeGreaterThan(20);
  });
});
