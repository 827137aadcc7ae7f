import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { G711_SILENCE, type G711Law } from '../../src/audio/g711.js';
import type { Scenario, SimulatorSession } from '../../src/simulator/simulator-session.js';
import type { ViolationKind } from '../../src/simulator/uplink-audit.js';
import { BreakingNetwork } from '../support/breaking-network.js';
import type { BridgeUnderTest } from '../support/bridge-under-test.js';
import { seededRandom } from '../support/signal.js';
import { codeWords, decoded, FRAME_BYTES, MarkingAgent, transcoded } from '../support/telephony-speech.js';
import { observed, runWireMinute, type WireCall, type WireCallPlan, type WireMinute } from '../support/wire-minute.js';

const MINUTE_FRAMES = 3_000;

/** Bridge, callers and agents share this process; see `audio-on-the-wire`. */
const MAX_STALL_MS = 40;
const ATTEMPTS = 2;

interface PassThroughPlan extends WireCallPlan<MarkingAgent> {
  readonly agentLaw: G711Law;
  readonly said: Buffer;
}

const passThroughPlans = (): PassThroughPlan[] =>
  (['mulaw', 'alaw'] as const).flatMap((law, n) =>
    (['mulaw', 'alaw'] as const).map((agentLaw, m): PassThroughPlan => {
      const seed = 2 * n + m;
      const agent = new MarkingAgent(agentLaw, MINUTE_FRAMES, seed);
      const said = codeWords(law, MINUTE_FRAMES, 100 + seed);
      return {
        number: `40${n}${m}`,
        law,
        agentLaw,
        agent,
        said,
        route: { mode: 'telephony', encoding: agentLaw },
        callerSays: decoded(law, said),
        until: async (call, { arrivalsMs }) => {
          await observed(() => call.heard.packets, MINUTE_FRAMES + 20);
          await observed(() => agent.echoes, agent.marks.length);
          await observed(() => arrivalsMs, arrivalsMs.length + 5);
        },
      };
    }),
  );

const RECONNECTS = 100;
const KEEP_MS = 100;
const MAX_CONNECT_MS = 250;
const DIGITS = 4;
const BASE = 100;

/** A frame of nothing but its number, again and again, in code words that are no silence. */
function numberedFrame(number: number): Buffer {
  const digits = Array.from({ length: DIGITS }, (_, i) => 0x80 + (Math.floor(number / BASE ** i) % BASE));
  return Buffer.from(Array.from({ length: FRAME_BYTES }, (_, i) => digits[i % DIGITS] ?? 0));
}

/** Numbers of frames; undefined for one of silence. Throws when a frame is not as it was sent. */
function numbersIn(media: Buffer): (number | undefined)[] {
  return Array.from({ length: media.length / FRAME_BYTES }, (_, n) => {
    const frame = media.subarray(n * FRAME_BYTES, (n + 1) * FRAME_BYTES);
    if (frame.every((codeWord) => codeWord === G711_SILENCE.mulaw)) return undefined;
    const number = [0, 1, 2, 3].reduce((sum, i) => sum + ((frame[i] ?? 0) - 0x80) * BASE ** i, 0);
    if (!frame.equals(numberedFrame(number))) throw new Error(`frame ${n} is not as it was sent`);
    return number;
  });
}

/** An agent whose connections break, a hundred times, each for another while. */
class BreakingAgent implements Scenario {
  readonly sessions: SimulatorSession[] = [];
  readonly network = new BreakingNetwork();
  readonly #random = seededRandom(11);

  onOpen(session: SimulatorSession): void {
    session.start();
    this.sessions.push(session);
  }

  async breakAgainAndAgain(): Promise<void> {
    for (let n = 1; n <= RECONNECTS; n++) {
      await sleep(100 + 200 * this.#random());
      // Most of them within what is kept, or a little beyond; some at once.
      this.network.delayMs = n % 5 === 0 ? 0 : MAX_CONNECT_MS * this.#random();
      this.network.break();
      await observed(() => this.sessions.filter(({ clientStart }) => clientStart), n + 1);
    }
  }
}

async function breakingPlan(): Promise<WireCallPlan<BreakingAgent>> {
  const agent = new BreakingAgent();
  const port = await agent.network.start();
  const frames = Array.from({ length: MINUTE_FRAMES }, (_, n) => numberedFrame(n));
  return {
    number: '4100',
    law: 'mulaw',
    agent,
    route: { mode: 'telephony', url: `ws://127.0.0.1:${port}` },
    until: async (call) => {
      const said = call.play(decoded('mulaw', Buffer.concat(frames)));
      await agent.breakAgainAndAgain();
      // What was kept during the last outage has been sent by then.
      await observed(() => call.heard.packets, call.heard.packets.length + 25);
      void said;
    },
  };
}

let underTest: BridgeUnderTest;
let minute: WireMinute;
let passThrough: readonly PassThroughPlan[];
let breaking: WireCallPlan<BreakingAgent> | undefined;

beforeAll(async () => {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    await breaking?.agent.network.stop();
    breaking = await breakingPlan();
    passThrough = passThroughPlans();
    const { network } = breaking.agent;
    minute = await runWireMinute([...passThrough, breaking], {
      config: { pranthora: { reconnect: { maxAttempts: 1_000, initialDelayMs: 1, maxDelayMs: 1, keepMs: KEEP_MS } } },
      onStarted: (started) => {
        underTest = started;
        network.target = Number(new URL(started.simulator.report().url).port);
      },
    });
    if (minute.heldUpMs < MAX_STALL_MS) break;
  }
}, ATTEMPTS * 100_000);

afterAll(async () => {
  await breaking?.agent.network.stop();
});

function callOf(number: string): WireCall {
  const found = minute.calls.find(({ plan }) => plan.number === number);
  if (!found) throw new Error(`No call of ${number}`);
  return found;
}

/** A check that fails on a machine that held this process up says nothing of the bridge: it is skipped, and says why. */
function observe(what: string, check: () => void): void {
  it(what, ({ skip }) => {
    try {
      check();
    } catch (error) {
      skip(minute.heldUpMs >= MAX_STALL_MS, `the machine held this process up for ${minute.heldUpMs.toFixed(0)} ms`);
      throw error;
    }
  });
}

const isSilent = ({ peak }: { peak: number }): boolean => peak <= 8;

describe('a minute of telephony', () => {
  observe('leaves nothing open at the caller', () => expect(minute.leftOpen).toEqual([]));

  observe('gives every caller every packet once, in order, 20 ms of audio each', () => {
    for (const { call } of minute.calls) {
      const { lost, duplicated, sequenceBreaks, timestampBreaks, restarts, longestGapMs } = call.report().heard;
      expect({ lost, duplicated, sequenceBreaks, timestampBreaks, restarts }).toEqual({
        lost: 0,
        duplicated: 0,
        sequenceBreaks: 0,
        timestampBreaks: 0,
        restarts: 0,
      });
      expect(longestGapMs).toBeLessThan(20 + MAX_STALL_MS + 20);
    }
  });
});

describe.each(passThroughPlans().map(({ number, law, agentLaw }) => ({ number, law, agentLaw })))(
  'a caller in $law and an agent in $agentLaw',
  ({ number, law, agentLaw }) => {
    const planOf = (): PassThroughPlan => {
      const plan = passThrough.find((each) => each.number === number);
      if (!plan) throw new Error('no such plan');
      return plan;
    };

    observe(`hear each other ${law === agentLaw ? 'byte for byte' : 'as the table between the laws has it'}`, () => {
      const { session, call } = callOf(number);
      const { agent, said } = planOf();
      const media = session.receivedMedia();
      const from = media.findIndex((codeWord) => codeWord !== G711_SILENCE[agentLaw]);
      // A first frame may begin with silence of its own.
      const start = from - (from % FRAME_BYTES);
      expect(media.subarray(start, start + said.length).equals(transcoded(law, agentLaw, said))).toBe(true);

      const first = call.heard.packets.findIndex((packet) => !isSilent(packet));
      const heard = call.heard.packets.slice(first, first + MINUTE_FRAMES);
      const expected = decoded(law, transcoded(agentLaw, law, agent.speech));
      const wrong = heard.findIndex(({ samples }, n) =>
        samples.some((sample, i) => sample !== expected[n * FRAME_BYTES + i]),
      );
      expect([heard.length, wrong]).toEqual([MINUTE_FRAMES, -1]);
      // Speech that ends in the middle of a sound is rounded off in the packet behind it.
      expect(call.heard.packets.slice(first + MINUTE_FRAMES + 1).every(isSilent)).toBe(true);
    });

    observe('has its marks back, all of them, in order, when the caller has heard what is before them', () => {
      const { call, session } = callOf(number);
      const { marks, echoes } = planOf().agent;
      expect(marks.length).toBeGreaterThan(200);
      expect(echoes.map(({ name }) => name)).toEqual(marks.map(({ name }) => name));
      const first = call.heard.packets.findIndex((packet) => !isSilent(packet));
      const lateMs = marks.map(({ atByte }, n) => {
        const last = call.heard.packets[first + Math.ceil(atByte / FRAME_BYTES) - 1];
        return (echoes[n]?.atMs ?? Infinity) - (last?.arrivedMs ?? -Infinity);
      });
      const inTime = lateMs.filter((ms) => Math.abs(ms) <= 20).length;
      expect(inTime / lateMs.length).toBeGreaterThan(0.95);
      expect(Math.max(...lateMs.map(Math.abs))).toBeLessThan(20 + MAX_STALL_MS);
      expect(session.report().marks).toEqual({ sent: marks.length, echoed: marks.length });
    });

    observe('gives the agent nothing to complain about', () => {
      const { session, record } = callOf(number);
      expect(session.violations).toEqual([]);
      expect(session.report()).toMatchObject({ closedByServer: false, closeCode: 1000, start: { encoding: agentLaw } });
      expect(record).toMatchObject({ mode: 'telephony', endedBy: 'caller', outcome: 'completed', reconnects: 0 });
      expect(record.uplink).toMatchObject({ lost: 0, late: 0, duplicates: 0, droppedFrames: 0 });
      expect(record.downlink).toMatchObject({ receivedMs: 60_000, playedMs: 60_000, discardedMs: 0, overflowedMs: 0 });
    });
  },
);

describe('a call whose agent is lost a hundred times', () => {
  /** What each session got of the caller, and what it lost before it. */
  function heardNumbers(): number[][] {
    const sessions = breaking?.agent.sessions ?? [];
    return sessions.map((session) => numbersIn(session.receivedMedia()).filter((number) => number !== undefined));
  }

  observe('is connected again each time', () => {
    const { record, call } = callOf('4100');
    expect(record).toMatchObject({ reconnects: RECONNECTS, endedBy: 'caller', outcome: 'completed' });
    expect(outagesMs()).toHaveLength(RECONNECTS);
    expect(call.ending?.by).toBe('caller');
  });

  observe('has no frame of the caller sent twice, or out of order, or changed', () => {
    const numbers = heardNumbers().flat();
    expect(numbers.length).toBeGreaterThan(1_000);
    expect(numbers.findIndex((number, i) => i > 0 && number <= (numbers[i - 1] ?? -1))).toBe(-1);
  });

  observe('loses no more of the caller than the time it takes to connect, less what is kept', () => {
    const outages = outagesMs();
    const sessions = heardNumbers();
    let longest = 0;
    sessions.slice(1).forEach((numbers, n) => {
      const before =
        sessions
          .slice(0, n + 1)
          .flat()
          .at(-1) ?? -1;
      const lostFrames = (numbers[0] ?? before + 1) - before - 1;
      const outageMs = outages[n] ?? 0;
      longest = Math.max(longest, outageMs);
      // The frame that was under way when the connection broke, and the one that is due.
      expect(lostFrames).toBeLessThanOrEqual(Math.ceil(Math.max(0, outageMs - KEEP_MS) / 20) + 2);
    });
    // Some outages were longer than what is kept, and some were not.
    expect(longest).toBeGreaterThan(KEEP_MS + 60);
    expect(Math.min(...outages)).toBeLessThan(KEEP_MS);
  });

  observe('loses nothing while it is connected', () => {
    for (const numbers of heardNumbers()) {
      expect(numbers.findIndex((number, i) => i > 0 && number !== (numbers[i - 1] ?? 0) + 1)).toBe(-1);
    }
  });

  observe('never gets a burst, nor anything that is not of the protocol', () => {
    // A network that breaks says no goodbye.
    const excused: readonly ViolationKind[] = ['no-stop', 'gap'];
    const violations = breaking?.agent.sessions.flatMap((session) => session.violations) ?? [];
    expect(violations.filter(({ kind }) => !excused.includes(kind))).toEqual([]);
  });

  function outagesMs(): number[] {
    const { callId } = callOf('4100').record;
    return underTest.log.events('agent.reconnected', callId).map((line) => line['outageMs'] as number);
  }
});
