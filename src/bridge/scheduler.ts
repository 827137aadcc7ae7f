import type { CancelTimer, Clock } from '../clock.js';
import { sharedEventLoop, type EventLoop } from './event-loop.js';

export const TICK_MS = 20;

/** Missed ticks made up for at once after the event loop was blocked; more than that would only burst into the peer. */
const MAX_CATCH_UP_TICKS = 5;

/** The ticks of a period are spread over this many instants, so that 200 calls do not all send in the same millisecond. */
const PHASES = 10;
const PHASE_MS = TICK_MS / PHASES;

/**
 * From this many members on a thread that may rest does so between two phases. What came in meanwhile, 2 ms at most, is
 * then read in one turn, and what it leads to is written in one burst: amid others a packet costs less, for the kernel need not
 * wake its reader each time (docs/performance.md). Fewer members are not worth the delay.
 */
const BUSY_FROM_MEMBERS = 20;

/** Something that happens every 20 ms of a call. */
export interface Ticking {
  tick(nowMs: number): void;
  /** `ticks` periods were missed beyond what is made up for: time went by without a tick. */
  skip(ticks: number): void;
}

/** Has something to send that waits for the end of a turn of the event loop. */
export interface Flushing {
  flush(): void;
}

interface Phase {
  readonly members: Set<Ticking>;
  /** When its period 0 was due. */
  readonly originMs: number;
  /** Number of the last period run. */
  lastPeriod: number;
}

/**
 * One timer for all calls of a thread. Due times come from a monotonic origin, so a timer that fires late never makes
 * the next one late: 20 ms stay 20 ms over hours, where `setInterval` runs 0.6 % slow.
 *
 * A turn of the event loop is: packets are read, members that are due are ticked, what waits for the end of the turn is
 * sent. After a blocked event loop a tick therefore never takes the place of packets that did come in time.
 */
export class Scheduler {
  readonly #clock: Clock;
  readonly #eventLoop: EventLoop;
  readonly #phases: Phase[];
  readonly #flushing: Flushing[] = [];
  #cancelTimer: CancelTimer | undefined;
  /** The sockets are being read, and then the turn ends. */
  #polling = false;
  #members = 0;
  #awakeUntilMs = -Infinity;

  constructor(clock: Clock, eventLoop: EventLoop = sharedEventLoop) {
    this.#clock = clock;
    this.#eventLoop = eventLoop;
    // Whole milliseconds, so that a due time reached is never a rounding error short of its period.
    const originMs = Math.floor(clock.nowMs());
    this.#phases = Array.from({ length: PHASES }, (_, n) => ({
      members: new Set<Ticking>(),
      originMs: originMs + n * PHASE_MS,
      lastPeriod: 0,
    }));
  }

  get size(): number {
    return this.#members;
  }

  /** There is enough to do for it to be worth doing it economically. */
  get isBusy(): boolean {
    return this.#members >= BUSY_FROM_MEMBERS;
  }

  /** Ticks `member` every 20 ms, in the emptiest phase, until the returned function is called. */
  add(member: Ticking): () => void {
    const phase = this.#emptiestPhase();
    if (phase.members.size === 0) phase.lastPeriod = periodOf(phase, this.#clock.nowMs());
    phase.members.add(member);
    this.#members += 1;
    // The new member may be due before those the timer was set for.
    this.#disarm();
    this.#arm();
    return () => {
      if (!phase.members.delete(member)) return;
      this.#members -= 1;
      if (this.#members === 0) this.#disarm();
    };
  }

  /** Flushes `waiting` at the end of this turn, after the ticks that are due. */
  atTurnEnd(waiting: Flushing): void {
    this.#flushing.push(waiting);
    this.#poll();
  }

  /** For so long the thread does not rest: something is going on where milliseconds add up. */
  stayAwake(forMs: number): void {
    this.#awakeUntilMs = Math.max(this.#awakeUntilMs, this.#clock.nowMs() + forMs);
  }

  #emptiestPhase(): Phase {
    return this.#phases.reduce((least, phase) => (phase.members.size < least.members.size ? phase : least));
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #arm(): void {
    if (this.#cancelTimer || this.#polling || this.#members === 0) return;
    const delayMs = Math.max(0, this.#nextDueMs() - this.#clock.nowMs());
    this.#cancelTimer = this.#clock.after(Math.ceil(delayMs), () => {
      this.#cancelTimer = undefined;
      this.#poll();
    });
  }

  #nextDueMs(): number {
    let dueMs = Infinity;
    for (const phase of this.#phases) {
      if (phase.members.size > 0) dueMs = Math.min(dueMs, phase.originMs + (phase.lastPeriod + 1) * TICK_MS);
    }
    return dueMs;
  }

  #poll(): void {
    if (this.#polling) return;
    this.#polling = true;
    this.#eventLoop.afterPolling(this.#endTurn);
  }

  readonly #endTurn = (): void => {
    try {
      this.#run();
      this.#flush();
    } finally {
      // Whatever one call throws, the others go on.
      this.#polling = false;
      if (this.#flushing.length > 0 || this.#rest()) this.#poll();
      else this.#arm();
    }
  };

  #flush(): void {
    for (let waiting = this.#flushing.pop(); waiting; waiting = this.#flushing.pop()) waiting.flush();
  }

  /** False when the thread should rather wait for what comes first. */
  #rest(): boolean {
    const { rest } = this.#eventLoop;
    const nowMs = this.#clock.nowMs();
    if (!rest || !this.isBusy || nowMs < this.#awakeUntilMs) return false;
    const restMs = Math.min(PHASE_MS, this.#nextDueMs() - nowMs);
    if (restMs > 0) rest(restMs);
    return true;
  }

  #run(): void {
    const nowMs = this.#clock.nowMs();
    for (const phase of this.#phases) {
      if (phase.members.size === 0) continue;
      const period = periodOf(phase, nowMs);
      const missed = period - phase.lastPeriod;
      phase.lastPeriod = period;
      if (missed > 0) runPhase(phase, missed, nowMs);
    }
  }
}

function periodOf({ originMs }: Phase, nowMs: number): number {
  return Math.floor((nowMs - originMs) / TICK_MS);
}

function runPhase(phase: Phase, missed: number, nowMs: number): void {
  const ticks = Math.min(missed, MAX_CATCH_UP_TICKS);
  for (const member of phase.members) {
    if (missed > ticks) member.skip(missed - ticks);
    // A member may leave in the middle of its own catching up.
    for (let i = 0; i < ticks && phase.members.has(member); i++) member.tick(nowMs);
  }
}
