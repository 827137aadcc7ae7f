import { wait, type Clock } from '../../../src/clock.js';
import { BridgeProcess, type BridgeDocument } from '../../../src/cli/capacity/bridge-process.js';
import { loadRoutes } from '../../../src/load/load-numbers.js';
import { LoadSip } from '../../../src/load/load-sip.js';
import { BridgeLog } from './bridge-log.js';
import { BridgeSampler, type BridgeSample } from './bridge-sample.js';
import { PROBE_PERIOD_MS } from './probe-report.js';
import { SoakCalls, type SoakPlan } from './soak-calls.js';
import type { Idle, SoakResult } from './soak-result.js';

const SAMPLE_EVERY_MS = 10_000;
/** Until each thread has reported. */
const REPORTED_MS = PROBE_PERIOD_MS + 1_000;
/** A SIP transaction may last for 32 s after the last call, and a report is 5 s old at most. */
const SETTLED_WITHIN_MS = 60_000;
const SETTLED_POLL_MS = 1_000;

const PROBE = new URL('./probe.js', import.meta.url).href;

/** A bridge, calls that come and go on it, and a look at it every 10 s. */
export class SoakRun {
  readonly #minutes: number;
  readonly #plan: SoakPlan;
  readonly #clock: Clock;
  readonly #calls: SoakCalls;
  readonly #log = new BridgeLog();
  readonly #samples: BridgeSample[] = [];
  readonly #onSample: (sample: BridgeSample) => void;
  #isInterrupted = false;
  #wake: () => void = () => undefined;

  constructor(minutes: number, plan: SoakPlan, clock: Clock, onSample: (sample: BridgeSample) => void) {
    this.#minutes = minutes;
    this.#plan = plan;
    this.#clock = clock;
    this.#calls = new SoakCalls(plan, clock);
    this.#onSample = onSample;
  }

  /** Ends early, with the same result. */
  interrupt(): void {
    this.#isInterrupted = true;
    this.#wake();
  }

  async run(): Promise<SoakResult> {
    const url = await this.#calls.listen();
    try {
      const bridge = await BridgeProcess.start(url, documentFor(this.#plan), {
        onLine: this.#log.onLine,
        execArgv: ['--import', PROBE],
        detached: true,
      });
      return await this.#runOn(bridge);
    } finally {
      await this.#calls.close();
    }
  }

  async #runOn(bridge: BridgeProcess): Promise<SoakResult> {
    let before = UNKNOWN;
    let after = UNKNOWN;
    let fault: string | undefined;
    let exitCode: number | null;
    try {
      await this.#wait(REPORTED_MS);
      before = await this.#idle(new BridgeSampler(bridge, this.#log, this.#clock));
      await this.#soak(bridge);
      after = await this.#settled(new BridgeSampler(bridge, this.#log, this.#clock), before);
    } catch (error) {
      fault = error instanceof Error ? error.message : String(error);
    } finally {
      exitCode = await bridge.stop();
    }
    const seen = { calls: this.#calls, log: this.#log, samples: this.#samples };
    return { ...seen, before, after, exitCode, ...(fault === undefined ? {} : { fault }) };
  }

  async #soak(bridge: BridgeProcess): Promise<void> {
    const sip = await LoadSip.open(bridge.sipPort, this.#clock);
    this.#calls.start(sip);
    try {
      await this.#watch(new BridgeSampler(bridge, this.#log, this.#clock));
    } finally {
      await this.#calls.end();
      sip.close();
    }
  }

  async #watch(sampler: BridgeSampler): Promise<void> {
    const startedAtMs = this.#clock.nowMs();
    // What CPU is counted from.
    await sampler.take();
    for (let count = 1; count * SAMPLE_EVERY_MS <= this.#minutes * 60_000; count++) {
      await this.#wait(startedAtMs + count * SAMPLE_EVERY_MS - this.#clock.nowMs());
      if (this.#isInterrupted) return;
      const sample = await sampler.take();
      this.#samples.push(sample);
      this.#onSample(sample);
    }
  }

  /** As idle as before, or as it gets. */
  async #settled(sampler: BridgeSampler, before: Idle): Promise<Idle> {
    const untilMs = this.#clock.nowMs() + SETTLED_WITHIN_MS;
    await wait(this.#clock, REPORTED_MS);
    let idle = await this.#idle(sampler);
    while (!isAsIdle(idle, before) && this.#clock.nowMs() < untilMs) {
      await wait(this.#clock, SETTLED_POLL_MS);
      idle = await this.#idle(sampler);
    }
    return idle;
  }

  async #idle(sampler: BridgeSampler): Promise<Idle> {
    return { ...(await sampler.take()), handles: this.#log.handles() };
  }

  #wait(delayMs: number): Promise<void> {
    if (this.#isInterrupted) return Promise.resolve();
    return new Promise((resolve) => {
      const cancelTimer = this.#clock.after(delayMs, resolve);
      this.#wake = () => {
        cancelTimer();
        resolve();
      };
    });
  }
}

const UNKNOWN: Idle = { calls: NaN, residentMb: NaN, descriptors: NaN, handles: new Map() };

function isAsIdle(idle: Idle, before: Idle): boolean {
  const hasMore = [...idle.handles].some(([kind, count]) => count > (before.handles.get(kind) ?? 0));
  return idle.calls === 0 && !(idle.descriptors > before.descriptors) && !hasMore;
}

/** A call may begin on a line before the bridge has done with the one before. */
function documentFor({ calls }: SoakPlan): BridgeDocument {
  return {
    media: { bind: '127.0.0.1', codecs: ['PCMU'] },
    call: { maxConcurrent: 2 * calls },
    routes: loadRoutes(calls),
  };
}
