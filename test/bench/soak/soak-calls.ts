import { Scheduler } from '../../../src/bridge/scheduler.js';
import { wait, type Clock } from '../../../src/clock.js';
import { seededRandom } from '../../support/signal.js';
import { LoadAgents } from '../../../src/load/load-agents.js';
import { LoadFigures } from '../../../src/load/load-figures.js';
import { loadNumber } from '../../../src/load/load-numbers.js';
import { LoadPhone } from '../../../src/load/load-phone.js';
import type { LoadSip } from '../../../src/load/load-sip.js';
import type { Spread } from '../../../src/load/samples.js';
import { Tally } from './tally.js';

export interface SoakPlan {
  /** Calls at a time. */
  readonly calls: number;
  /** The same seed gives every caller the same patience again. */
  readonly seed: number;
}

const PLACED_EVERY_MS = 20;
/** Long enough for the agent to have talked, whatever ends the call. */
const MIN_CALL_MS = 20_000;
const MAX_CALL_MS = 120_000;
/** Before the next try where a call failed. */
const AFTER_FAILURE_MS = 1_000;

/** As many calls at a time as planned: where one ends the next begins. Callers and agents, in this process. */
export class SoakCalls {
  /** Why calls failed that were placed. */
  readonly failures = new Tally();
  answered = 0;
  readonly #plan: SoakPlan;
  readonly #clock: Clock;
  readonly #figures = new LoadFigures();
  readonly #scheduler: Scheduler;
  readonly #agents: LoadAgents;
  /** By line, as its agent is. */
  readonly #phones = new Map<number, LoadPhone>();
  /** Wake those that wait for what `end` makes pointless. */
  readonly #waiting = new Set<() => void>();
  #lines: Promise<void>[] = [];
  #placed = 0;
  #ending = false;

  constructor(plan: SoakPlan, clock: Clock) {
    this.#plan = plan;
    this.#clock = clock;
    this.#scheduler = new Scheduler(clock);
    this.#agents = new LoadAgents(
      { mode: 'websocket', talk: 'quarter', clock },
      {
        onLoud: (line, nowMs) => this.#phones.get(line)?.heardLoud(nowMs),
        onStopping: (line) => this.#phones.get(line)?.stopping(),
      },
    );
  }

  /** How late the generator's own ticks were. */
  get lateMs(): Spread {
    return this.#figures.tickLateMs.spread();
  }

  /** Resolves to the agents' URL. */
  listen(): Promise<string> {
    return this.#agents.start();
  }

  start(sip: LoadSip): void {
    this.#lines = Array.from({ length: this.#plan.calls }, (_, line) => this.#keepBusy(sip, line));
  }

  /** Places no more; resolves when the last caller has hung up, which is as soon as its call was long enough. */
  async end(): Promise<void> {
    this.#ending = true;
    for (const wake of this.#waiting) wake();
    await Promise.all(this.#lines);
  }

  close(): Promise<void> {
    return this.#agents.stop();
  }

  async #keepBusy(sip: LoadSip, line: number): Promise<void> {
    // One for each line, so that it does not depend on who is answered first.
    const random = seededRandom(this.#plan.seed + line);
    await this.#waitUnlessEnding(line * PLACED_EVERY_MS);
    while (!this.#ending) {
      const lastsMs = MIN_CALL_MS + random() * (MAX_CALL_MS - MIN_CALL_MS);
      try {
        await this.#call(sip, line, lastsMs);
      } catch (error) {
        this.failures.add(error instanceof Error ? error.message : String(error));
        await this.#waitUnlessEnding(AFTER_FAILURE_MS);
      }
    }
  }

  async #call(sip: LoadSip, line: number, lastsMs: number): Promise<void> {
    const callId = `soak-${process.pid}-${this.#placed++}`;
    const phone = await LoadPhone.open(this.#clock, this.#figures);
    try {
      const { rtpPort } = await sip.invite(callId, loadNumber(line), phone.port);
      this.answered += 1;
      await phone.connect(rtpPort);
      this.#phones.set(line, phone);
      const stopTicking = this.#scheduler.add(phone);
      await wait(this.#clock, MIN_CALL_MS);
      await this.#waitUnlessEnding(lastsMs - MIN_CALL_MS);
      stopTicking();
      await sip.bye(callId, loadNumber(line));
    } finally {
      this.#phones.delete(line);
      phone.close();
    }
  }

  #waitUnlessEnding(delayMs: number): Promise<void> {
    if (this.#ending) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        cancelTimer();
        this.#waiting.delete(wake);
        resolve();
      };
      const cancelTimer = this.#clock.after(delayMs, wake);
      this.#waiting.add(wake);
    });
  }
}
