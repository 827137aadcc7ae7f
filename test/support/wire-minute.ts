import { monitorEventLoopDelay } from 'node:perf_hooks';
import { vi } from 'vitest';
import type { G711Law } from '../../src/audio/g711.js';
import { systemClock } from '../../src/clock.js';
import type { CallRecord } from '../../src/events/call-record.js';
import type { Scenario, SimulatorSession } from '../../src/simulator/simulator-session.js';
import type { TestCall } from '../../src/phone/test-call.js';
import { TestCaller, type TestCallerHeld } from '../../src/phone/test-caller.js';
import { BridgeUnderTest, type Section } from './bridge-under-test.js';

/** One call of a minute: who calls, what the agent does, and how long it lasts. */
export interface WireCallPlan<Agent extends Scenario = Scenario> {
  /** The number dialled, which is the agent's id too. */
  readonly number: string;
  readonly law: G711Law;
  readonly agent: Agent;
  /** What the route says beside number and agent. */
  readonly route?: Section;
  /** 8 kHz; said from the first packet on. */
  readonly callerSays?: Int16Array;
  /** Resolves when there is nothing more to hear; the caller then hangs up. */
  readonly until: (call: TestCall, session: SimulatorSession) => Promise<void>;
}

/** What became of it. */
export interface WireCall<Agent extends Scenario = Scenario> {
  readonly plan: WireCallPlan<Agent>;
  readonly call: TestCall;
  readonly session: SimulatorSession;
  readonly record: CallRecord;
}

export interface WireMinute {
  readonly calls: readonly WireCall[];
  /** When the callers hung up: by then all had heard what there was to hear. */
  readonly hungUpAtMs: number;
  /** How late this process, in which all of it happens, was at worst until then. */
  readonly heldUpMs: number;
  /** What was not let go of. */
  readonly leftOpen: readonly string[];
}

const PATIENCE_MS = 90_000;
const POLL_MS = 20;
const RESOLUTION_MS = 10;

export interface WireMinuteOptions {
  /** Sections of the bridge's configuration. */
  readonly config?: Readonly<Record<string, Section>>;
  /** For calls that are not in the plan. */
  readonly routes?: readonly Section[];
  /** The bridge is there, and no call yet. */
  readonly onStarted?: (underTest: BridgeUnderTest) => void;
}

/** Places all calls at once over real sockets, through one bridge, and returns when all of them are over. */
export async function runWireMinute(
  plans: readonly WireCallPlan[],
  { config = {}, routes = [], onStarted }: WireMinuteOptions = {},
): Promise<WireMinute> {
  const agents = new Map(plans.map(({ number, agent }) => [number, agent]));
  const underTest = await BridgeUnderTest.start({
    config,
    routes: [...plans.map(({ number, route }) => ({ did: number, agentId: number, ...route })), ...routes],
    simulator: { scenarioFor: (id) => agents.get(id) },
  });
  onStarted?.(underTest);
  const caller = await TestCaller.start({ clock: systemClock, logger: underTest.log.logger });
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  try {
    const heard = await Promise.all(plans.map((plan) => placeCall(plan, caller, underTest)));
    // What is read from a recording when its session ends takes this process longer than anything in a call.
    delay.disable();
    const hungUpAtMs = systemClock.nowMs();
    const calls = await Promise.all(heard.map((each) => endCall(each, underTest)));
    return { calls, hungUpAtMs, heldUpMs: delay.max / 1e6 - RESOLUTION_MS, leftOpen: stillHeld(caller.held) };
  } finally {
    delay.disable();
    await caller.close();
    await underTest.stop();
  }
}

type HeardCall = Omit<WireCall, 'record'>;

/** Resolves when there is nothing more to hear. */
async function placeCall(plan: WireCallPlan, caller: TestCaller, underTest: BridgeUnderTest): Promise<HeardCall> {
  const uri = `sip:${plan.number}@127.0.0.1:${underTest.port('udp')}`;
  const call = caller.call(uri, { codec: plan.law === 'mulaw' ? 'PCMU' : 'PCMA', from: plan.number });
  const said = call.play(plan.callerSays ?? new Int16Array(0));
  await call.answered;
  const session = underTest.simulator.sessions.find(({ agentId }) => agentId === plan.number);
  if (!session) throw new Error(`Answered without the agent ${plan.number}`);
  await said;
  await plan.until(call, session);
  return { plan, call, session };
}

async function endCall({ plan, call, session }: HeardCall, underTest: BridgeUnderTest): Promise<WireCall> {
  await call.hangUp();
  const [line] = await observed(() => underTest.log.events('call.ended').filter(({ did }) => did === plan.number), 1);
  await observed(() => (session.isClosed ? [session] : []), 1);
  return { plan, call, session, record: line as unknown as CallRecord };
}

/** Resolves to a list when it has grown to `length`. */
export async function observed<T>(list: () => readonly T[], length: number): Promise<readonly T[]> {
  return vi.waitFor(
    () => {
      if (list().length < length) throw new Error(`${list().length} where ${length} were expected`);
      return list();
    },
    { timeout: PATIENCE_MS, interval: POLL_MS },
  );
}

/** Without SIP transactions, which stay to answer repetitions, and the connection between the caller and its own agent. */
function stillHeld({ calls, rtpPorts, ticking, sip }: TestCallerHeld): string[] {
  return Object.entries({ calls, rtpPorts, ticking, dialogs: sip.dialogs })
    .filter(([, count]) => count > 0)
    .map(([what, count]) => `${count} ${what}`);
}
