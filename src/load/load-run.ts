import { Scheduler } from '../bridge/scheduler.js';
import { wait, type Clock } from '../clock.js';
import { LoadAgents, type LoadMode, type LoadTalk } from './load-agents.js';
import { LoadFigures } from './load-figures.js';
import { loadNumber } from './load-numbers.js';
import { LoadPhone } from './load-phone.js';
import { LoadSip } from './load-sip.js';
import { usageOf } from './process-usage.js';
import type { Spread } from './samples.js';

export interface LoadPlan {
  readonly calls: number;
  readonly mode: LoadMode;
  readonly talk: LoadTalk;
  /** Calls begun in a second. */
  readonly perSecond: number;
  /** How long all of them go on, once the last has been answered. */
  readonly seconds: number;
  readonly tls?: { readonly key: string; readonly cert: string };
}

/** The bridge under load. */
export interface LoadTarget {
  readonly sipPort: number;
  readonly pid: number;
}

export interface LoadResult {
  readonly calls: number;
  /** Calls refused or not answered. */
  readonly failed: number;
  /** Of one core, in percent, for each call; NaN where the system does not tell. */
  readonly cpuPerCall: { readonly total: number; readonly mainThread: number; readonly otherThreads: number };
  readonly residentMb: { readonly before: number; readonly after: number };
  readonly setUpMs: Spread;
  readonly uplinkMs: Spread;
  readonly silenceMs: Spread;
  readonly pacingMs: Spread;
  /** RTP packets to the caller that never came, and packets of the caller that never reached the agent. */
  readonly lost: { readonly toCaller: number; readonly toAgent: number };
  /** The generator itself: of one core in percent, and how late its ticks were. When it is late, so is all it measures. */
  readonly generator: { readonly cpuPercent: number; readonly lateMs: Spread; readonly isValid: boolean };
}

/** A run in which more than one in a hundred of the generator's own packets was this late says nothing. */
const MAX_GENERATOR_LATE_MS = 10;
const SETTLE_MS = 500;
/** Until the code under load has been compiled: the bridge is to run for months. */
const WARM_UP_MS = 5_000;

/** The callers and the agents of many calls in this process; the bridge is elsewhere. */
export class LoadRun {
  readonly #plan: LoadPlan;
  readonly #clock: Clock;
  readonly #figures = new LoadFigures();
  readonly #phones = new Map<number, LoadPhone>();
  readonly #scheduler: Scheduler;
  readonly #agents: LoadAgents;
  readonly #stopTicking: (() => void)[] = [];
  /** What the agent of each call took to be ready. */
  readonly #agentMs = new Map<number, number>();
  #failed = 0;

  constructor(plan: LoadPlan, clock: Clock) {
    this.#plan = plan;
    this.#clock = clock;
    this.#scheduler = new Scheduler(clock);
    this.#agents = new LoadAgents(
      { mode: plan.mode, talk: plan.talk, clock, ...(plan.tls && { tls: plan.tls }) },
      {
        onReady: (call, tookMs) => this.#agentMs.set(call, tookMs),
        onLoud: (call, nowMs) => this.#phones.get(call)?.heardLoud(nowMs),
        onStopping: (call) => this.#phones.get(call)?.stopping(),
      },
    );
  }

  /** Resolves to the agents' URL. */
  listen(): Promise<string> {
    return this.#agents.start();
  }

  /** Places the calls, measures while all of them go on, hangs up. */
  async run({ sipPort, pid }: LoadTarget): Promise<LoadResult> {
    const sip = await LoadSip.open(sipPort, this.#clock);
    const before = usageOf(pid);
    try {
      await this.#placeCalls(sip);
      await wait(this.#clock, WARM_UP_MS);
      const started = this.#account(pid);
      await wait(this.#clock, 1_000 * this.#plan.seconds);
      const ended = this.#account(pid);
      for (const stop of this.#stopTicking) stop();
      // What is on its way still arrives.
      await wait(this.#clock, SETTLE_MS);
      const lost = this.#lost();
      await Promise.all([...this.#phones.keys()].map((call) => sip.bye(callIdOf(call), loadNumber(call))));
      return { ...this.#result(started, ended), lost, residentMb: residentMb(before, ended.bridge) };
    } finally {
      sip.close();
      for (const phone of this.#phones.values()) phone.close();
    }
  }

  close(): Promise<void> {
    return this.#agents.stop();
  }

  async #placeCalls(sip: LoadSip): Promise<void> {
    const placed: Promise<void>[] = [];
    const startedAtMs = this.#clock.nowMs();
    for (let call = 0; call < this.#plan.calls; call++) {
      // Open loop: a slow answer does not hold up the next call.
      await wait(this.#clock, startedAtMs + (1_000 * call) / this.#plan.perSecond - this.#clock.nowMs());
      placed.push(
        this.#placeCall(sip, call).catch(() => {
          this.#failed += 1;
        }),
      );
    }
    await Promise.all(placed);
  }

  async #placeCall(sip: LoadSip, call: number): Promise<void> {
    const phone = await LoadPhone.open(this.#clock, this.#figures);
    try {
      const { setUpMs, rtpPort } = await sip.invite(callIdOf(call), loadNumber(call), phone.port);
      this.#figures.setUpMs.add(setUpMs - (this.#agentMs.get(call) ?? 0));
      await phone.connect(rtpPort);
    } catch (error) {
      phone.close();
      throw error;
    }
    this.#phones.set(call, phone);
    this.#stopTicking.push(this.#scheduler.add(phone));
  }

  #lost(): LoadResult['lost'] {
    const phones = [...this.#phones.values()];
    const sum = (of: (phone: LoadPhone) => number): number => phones.reduce((total, phone) => total + of(phone), 0);
    return { toCaller: sum(({ packetsLost }) => packetsLost), toAgent: sum(({ unheard }) => unheard) };
  }

  #account(pid: number): Account {
    const { user, system } = process.cpuUsage();
    return { atMs: this.#clock.nowMs(), generatorMs: (user + system) / 1_000, bridge: usageOf(pid) };
  }

  #result(started: Account, ended: Account): Omit<LoadResult, 'lost' | 'residentMb'> {
    const { setUpMs, uplinkMs, silenceMs, pacingMs, tickLateMs } = this.#figures;
    const elapsedMs = ended.atMs - started.atMs;
    const percentPerCall = (of: 'mainThreadMs' | 'otherThreadsMs'): number =>
      (100 * ((ended.bridge?.[of] ?? NaN) - (started.bridge?.[of] ?? NaN))) / elapsedMs / this.#plan.calls;
    const [mainThread, otherThreads] = [percentPerCall('mainThreadMs'), percentPerCall('otherThreadsMs')];
    const lateMs = tickLateMs.spread();
    const cpuPercent = (100 * (ended.generatorMs - started.generatorMs)) / elapsedMs;
    return {
      calls: this.#plan.calls,
      failed: this.#failed,
      cpuPerCall: { total: mainThread + otherThreads, mainThread, otherThreads },
      setUpMs: setUpMs.spread(),
      uplinkMs: uplinkMs.spread(),
      silenceMs: silenceMs.spread(),
      pacingMs: pacingMs.spread(),
      generator: { cpuPercent, lateMs, isValid: lateMs.p99 <= MAX_GENERATOR_LATE_MS },
    };
  }
}

interface Account {
  readonly atMs: number;
  readonly generatorMs: number;
  readonly bridge: ReturnType<typeof usageOf>;
}

const callIdOf = (call: number): string => `load-${process.pid}-${call}`;

function residentMb(before: ReturnType<typeof usageOf>, after: ReturnType<typeof usageOf>): LoadResult['residentMb'] {
  return { before: before?.residentMb ?? NaN, after: after?.residentMb ?? NaN };
}
