import { systemClock, wait, type Clock } from '../../clock.js';
import { startBridge, type Bridge, type Held } from '../../compose.js';
import type { LogFields, Logger } from '../../logger.js';
import { PranthoraSimulator } from '../../simulator/pranthora-simulator.js';
import { StallWatch } from '../../simulator/stall-watch.js';
import type { SimulatorSession } from '../../simulator/simulator-session.js';
import type { TestCall } from '../../phone/test-call.js';
import { TestCaller, type TestCallerHeld } from '../../phone/test-caller.js';
import { VERSION } from '../../version.js';
import { DemoAgent } from './agent.js';
import { checkDemo, type Check } from './checks.js';
import { DEMO_API_KEY, DEMO_NUMBER, demoConfig } from './config.js';
import { converse, type ConversationTimes } from './conversation.js';
import { CALLER_RATE_HZ, readDemoSpeech, type DemoSpeech } from './speech.js';
import { tapped, Timeline } from './timeline.js';

const CODEC = 'PCMU';
const CALLING_NUMBER = '+15550199';
const SETTLE_POLL_MS = 20;
const SETTLE_MS = 1_000;

export interface DemoOptions {
  /** For the bridge's own log; the demo tells its timeline by itself. */
  readonly logger: Logger;
  /** One line of the timeline. */
  readonly print: (line: string) => void;
}

export interface DemoResult {
  readonly checks: readonly Check[];
  /** The longest standstill of this process, whoever's fault. */
  readonly longestStallMs: number;
  /** The call at `rateHz`: what the caller said and what it heard, on one time axis. */
  readonly recording: { readonly sent: Int16Array; readonly heard: Int16Array; readonly rateHz: number };
}

/**
 * The main job from end to end, over real sockets on loopback: simulator, bridge and caller in this process, one call
 * with speech both ways and an interruption. Rejects when the conversation does not come about; everything is released
 * either way.
 */
export async function runDemo({ logger, print }: DemoOptions): Promise<DemoResult> {
  const clock = systemClock;
  const timeline = new Timeline(clock, print);
  const speech = readDemoSpeech();
  const socketsBefore = countSockets();
  let record: LogFields | undefined;
  const bridgeLogger = tapped(logger, (fields) => {
    timeline.followLog(fields);
    if (fields.event === 'call.ended') record = fields;
  });
  const stalls = new StallWatch(clock);
  const stage = await Stage.set({ clock, timeline, logger: bridgeLogger, stalls }, speech);
  stalls.start();
  try {
    const { call, session, times } = await stage.play(speech);
    const held = await settled(clock, () => [...stage.held(), ...(record ? [] : ['bridge: record of the call'])]);
    await stage.strike();
    const sockets = await settled(clock, () => moreThan(socketsBefore, countSockets(), 'sockets'));
    const leftOpen = [...held, ...sockets];
    const report = call.report();
    const checks = checkDemo({ speech, call: report, heard: call.heard, session, times, record, leftOpen });
    return { checks, longestStallMs: stalls.longestMs, recording: { ...call.recording(), rateHz: CALLER_RATE_HZ } };
  } finally {
    stalls.stop();
    await stage.strike();
  }
}

interface Setting {
  readonly clock: Clock;
  readonly timeline: Timeline;
  readonly logger: Logger;
  readonly stalls: StallWatch;
}

interface Parties {
  readonly clock: Clock;
  readonly timeline: Timeline;
  readonly simulator: PranthoraSimulator;
  readonly bridge: Bridge & { held(): Held };
  readonly caller: TestCaller;
}

/** Simulator, bridge and caller, up and running. */
class Stage {
  readonly #parties: Parties;
  readonly #release: (() => Promise<void>)[];

  static async set({ clock, timeline, logger, stalls }: Setting, speech: DemoSpeech): Promise<Stage> {
    const release: (() => Promise<void>)[] = [];
    try {
      const simulator = new PranthoraSimulator({
        ...{ apiKey: DEMO_API_KEY, scenario: new DemoAgent(speech), clock },
        stalledMs: (sinceMs, untilMs) => stalls.stalledMs(sinceMs, untilMs),
      });
      simulator.on('session', (session) => timeline.followSession(session));
      release.push(() => simulator.stop());
      const { url } = await simulator.start();
      timeline.say('agent', `Pranthora simulator at ${url}`);
      const bridge = await startBridge(demoConfig(url), { logger, clock, version: VERSION });
      release.push(() => bridge.stop());
      timeline.say('bridge', `ready at ${bridge.sip.join(', ')} and ${bridge.http}`);
      const caller = await TestCaller.start({ clock, logger });
      release.push(() => caller.close());
      return new Stage({ clock, timeline, simulator, bridge, caller }, release);
    } catch (error) {
      await strike(release);
      throw error;
    }
  }

  private constructor(parties: Parties, release: (() => Promise<void>)[]) {
    this.#parties = parties;
    this.#release = release;
  }

  /** The call, from the INVITE to the answer to the BYE. */
  async play(speech: DemoSpeech): Promise<{ call: TestCall; session: SimulatorSession; times: ConversationTimes }> {
    const { bridge, caller, clock, simulator, timeline } = this.#parties;
    const address = bridge.sip[0]?.replace('udp://', '') ?? '';
    const call = caller.call(`sip:${DEMO_NUMBER}@${address}`, { codec: CODEC, from: CALLING_NUMBER });
    timeline.followCall(call);
    await call.answered;
    const session = simulator.sessions[0];
    if (!session) throw new Error('answered without the agent');
    const times = await converse({ call, session, clock, timeline }, speech);
    await call.hangUp();
    return { call, session, times };
  }

  /** What a call that is over should have let go of. */
  held(): string[] {
    const { bridge, caller, simulator } = this.#parties;
    return [
      ...heldBy('bridge', bridge.held()),
      ...heldBy('caller', caller.held),
      ...simulator.sessions.filter(({ isClosed }) => !isClosed).map(() => 'WebSocket'),
    ];
  }

  /** Closes everything. Idempotent. */
  strike(): Promise<void> {
    return strike(this.#release);
  }
}

async function strike(release: (() => Promise<void>)[]): Promise<void> {
  for (let next = release.pop(); next; next = release.pop()) await next();
}

/** SIP transactions are not counted: they stay for 32 s to answer repetitions, as RFC 3261 wants it. */
function heldBy(whose: string, held: Held | TestCallerHeld): string[] {
  const { sip, ...media } = held;
  return Object.entries({ ...media, dialogs: sip?.dialogs ?? 0 })
    .filter(([, count]) => count > 0)
    .map(([what, count]) => `${whose}: ${count} ${what}`);
}

/** Sockets the operating system holds for this process. */
function countSockets(): number {
  return process.getActiveResourcesInfo().filter((kind) => /^(TCP|UDP)/.test(kind)).length;
}

function moreThan(before: number, now: number, what: string): string[] {
  return now > before ? [`${now - before} ${what}`] : [];
}

/** Waits a moment for a list to become empty; what is in it at the end is the result. */
async function settled(clock: Clock, list: () => string[]): Promise<string[]> {
  const deadlineMs = clock.nowMs() + SETTLE_MS;
  while (list().length > 0 && clock.nowMs() < deadlineMs) {
    await wait(clock, SETTLE_POLL_MS);
  }
  return list();
}
