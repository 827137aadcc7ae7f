import { describe, expect, it } from 'vitest';
import type { EventLoop } from '../../../src/bridge/event-loop.js';
import { Scheduler, TICK_MS, type Ticking } from '../../../src/bridge/scheduler.js';
import { FakeClock } from '../../support/fake-clock.js';
import { seededRandom } from '../../support/signal.js';

const AT_ONCE: EventLoop = {
  afterPolling: (run) => run(),
};

/** Notes when it is ticked, and how many ticks it is told to do without. */
class Member implements Ticking {
  readonly ticksMs: number[] = [];
  skipped = 0;
  onTick: (() => void) | undefined;
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  tick(nowMs: number): void {
    expect(nowMs).toBe(this.#clock.nowMs());
    this.ticksMs.push(nowMs);
    this.onTick?.();
  }

  skip(ticks: number): void {
    this.skipped += ticks;
  }

  get intervalsMs(): Set<number> {
    return new Set(this.ticksMs.slice(1).map((atMs, i) => atMs - (this.ticksMs[i] ?? 0)));
  }
}

function bench(startMs = 1_000): { clock: FakeClock; scheduler: Scheduler; member: () => Member } {
  const clock = new FakeClock(startMs);
  return { clock, scheduler: new Scheduler(clock, AT_ONCE), member: () => new Member(clock) };
}

/** An event loop whose turns end when a test says so, and whose rests let a fake clock's time go by. */
class HandLoop implements EventLoop {
  readonly restsMs: number[] = [];
  readonly #polls: (() => void)[] = [];
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  afterPolling(run: () => void): void {
    this.#polls.push(run);
  }

  readonly rest = (ms: number): void => {
    this.restsMs.push(ms);
    this.#clock.advance(ms);
  };

  get polls(): number {
    return this.#polls.length;
  }

  endTurn(): void {
    this.#polls.shift()?.();
  }
}

/** A clock whose timers come late, as a loaded machine's do. */
class LateClock extends FakeClock {
  latenessMs = (): number => 0;

  override after(delayMs: number, fire: () => void): () => void {
    return super.after(delayMs + this.latenessMs(), fire);
  }
}

describe('Scheduler', () => {
  it('ticks every 20 ms for an hour, to the millisecond', () => {
    const { clock, scheduler, member } = bench();
    const only = member();
    const remove = scheduler.add(only);
    clock.advance(3_600_000);
    expect(only.ticksMs).toHaveLength(180_000);
    expect(only.intervalsMs).toEqual(new Set([TICK_MS]));
    expect(only.skipped).toBe(0);
    remove();
    expect(clock.pendingTimers).toBe(0);
  });

  it('is never early, when its origin is a fraction of a millisecond', () => {
    const { clock, scheduler, member } = bench(1_000.7);
    const only = member();
    scheduler.add(only);
    clock.advance(10_000);
    expect(only.ticksMs.length).toBeGreaterThanOrEqual(499);
    only.ticksMs.forEach((atMs, i) => {
      const dueMs = 1_000 + (i + 1) * TICK_MS;
      expect(atMs).toBeGreaterThanOrEqual(dueMs);
      expect(atMs).toBeLessThan(dueMs + 1);
    });
  });

  it('does not drift when every timer comes late', () => {
    const clock = new LateClock();
    const random = seededRandom(1);
    clock.latenessMs = () => Math.floor(random() * 15);
    const scheduler = new Scheduler(clock, AT_ONCE);
    const only = new Member(clock);
    scheduler.add(only);
    clock.advance(600_000);
    expect(only.ticksMs.length).toBeGreaterThanOrEqual(29_999);
    only.ticksMs.forEach((atMs, i) => expect(atMs - 1_000 - (i + 1) * TICK_MS).toBeLessThan(15));
    expect(only.skipped).toBe(0);
  });

  it('makes up for 5 missed ticks at most and says how many it leaves out', () => {
    const clock = new LateClock();
    const scheduler = new Scheduler(clock, AT_ONCE);
    const only = new Member(clock);
    clock.latenessMs = () => 80;
    scheduler.add(only);
    clock.latenessMs = () => 0;
    clock.advance(100);
    expect(only.ticksMs).toEqual([1_100, 1_100, 1_100, 1_100, 1_100]);
    expect(only.skipped).toBe(0);

    clock.latenessMs = () => 1_000;
    clock.advance(20); // the next timer is set here, and comes a second late
    clock.latenessMs = () => 0;
    clock.advance(1_020);
    expect(only.ticksMs.slice(6)).toEqual([2_140, 2_140, 2_140, 2_140, 2_140]);
    expect(only.skipped).toBe(46);
    clock.advance(20);
    expect(only.ticksMs.at(-1)).toBe(2_160);
    expect(only.ticksMs.length + only.skipped).toBe(58);
  });

  it('spreads its members over the period', () => {
    const { clock, scheduler, member } = bench();
    const members = Array.from({ length: 200 }, member);
    const removals = members.map((each) => scheduler.add(each));
    clock.advance(1_000);
    const perInstant = new Map<number, number>();
    for (const each of members) {
      expect(each.intervalsMs).toEqual(new Set([TICK_MS]));
      const [first = NaN] = each.ticksMs;
      perInstant.set(first % TICK_MS, (perInstant.get(first % TICK_MS) ?? 0) + 1);
    }
    expect([...perInstant.values()]).toEqual(Array.from({ length: 10 }, () => 20));
    expect(scheduler.size).toBe(200);
    for (const remove of removals) remove();
    expect(scheduler.size).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  it('ticks a member for the first time when it is due, though the timer was set for a later one', () => {
    const { clock, scheduler, member } = bench();
    const others = Array.from({ length: 5 }, member);
    for (const other of others) scheduler.add(other);
    clock.advance(1_009); // the next in turn is due at 2,020
    const late = member();
    scheduler.add(late);
    clock.advance(100);
    expect(late.ticksMs).toEqual([2_010, 2_030, 2_050, 2_070, 2_090]);
  });

  it('has one timer at most, whoever comes and goes, also from within a tick', () => {
    const { clock, scheduler, member } = bench();
    const random = seededRandom(7);
    const removals: (() => void)[] = [];
    const change = (): void => {
      if (random() < 0.5) {
        const added = member();
        added.onTick = () => {
          if (random() < 0.02) change();
        };
        removals.push(scheduler.add(added));
      } else removals.splice(Math.floor(random() * removals.length), 1)[0]?.();
      expect(clock.pendingTimers).toBeLessThanOrEqual(1);
    };
    for (let i = 0; i < 2_000; i++) {
      change();
      clock.advance(random() * 30);
      expect(clock.pendingTimers).toBe(scheduler.size > 0 ? 1 : 0);
    }
    for (const remove of removals) remove();
    expect(scheduler.size).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  it('never ticks a member again that has left, not even in the middle of catching up', () => {
    const clock = new LateClock();
    const scheduler = new Scheduler(clock, AT_ONCE);
    const leaving = new Member(clock);
    clock.latenessMs = () => 80;
    const remove = scheduler.add(leaving);
    leaving.onTick = remove;
    clock.advance(200);
    expect(leaving.ticksMs).toEqual([1_100]);
    remove();
    expect(scheduler.size).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  it('begins anew after a time without members, with nothing to make up for', () => {
    const { clock, scheduler, member } = bench();
    scheduler.add(member())();
    clock.advance(60_005);
    const only = member();
    scheduler.add(only);
    clock.advance(40);
    expect(only.ticksMs).toEqual([61_020, 61_040]);
    expect(only.skipped).toBe(0);
  });

  it('lets the sockets be read between the timer and the tick, and bears changes meanwhile', () => {
    const clock = new FakeClock();
    const polls: (() => void)[] = [];
    const scheduler = new Scheduler(clock, {
      afterPolling: (run) => {
        polls.push(run);
      },
    });
    const first = new Member(clock);
    const remove = scheduler.add(first);
    clock.advance(20);
    expect(first.ticksMs).toEqual([]);
    remove();
    const second = new Member(clock);
    scheduler.add(second);
    expect(clock.pendingTimers).toBe(0); // the poll under way goes on to set the timer
    polls.shift()?.();
    expect(first.ticksMs).toEqual([]);
    expect(clock.pendingTimers).toBe(1);
    clock.advance(20);
    polls.shift()?.();
    expect(second.ticksMs).toEqual([1_040]);
    expect(polls).toEqual([]);
  });
});

describe('the end of a turn', () => {
  it('is when what waits for it is sent, once, after the ticks that are due', () => {
    const clock = new FakeClock();
    const loop = new HandLoop(clock);
    const scheduler = new Scheduler(clock, loop);
    const order: string[] = [];
    const member = new Member(clock);
    member.onTick = () => {
      order.push('tick');
      scheduler.atTurnEnd({ flush: () => order.push('flush what the tick left') });
    };
    const remove = scheduler.add(member);
    clock.advance(20);
    scheduler.atTurnEnd({ flush: () => order.push('flush what was read') });
    expect(loop.polls).toBe(1);
    expect(order).toEqual([]);
    loop.endTurn();
    expect(order[0]).toBe('tick');
    expect(order.slice(1).sort()).toEqual(['flush what the tick left', 'flush what was read']);
    expect(loop.polls).toBe(0);
    remove();
    scheduler.atTurnEnd({ flush: () => order.push('flush without members') });
    loop.endTurn();
    expect(order.at(-1)).toBe('flush without members');
    expect(order).toHaveLength(4);
    expect([loop.polls, clock.pendingTimers]).toEqual([0, 0]);
  });

  it('takes the place of the timer, and sets it anew', () => {
    const clock = new FakeClock();
    const loop = new HandLoop(clock);
    const scheduler = new Scheduler(clock, loop);
    const member = new Member(clock);
    const remove = scheduler.add(member);
    clock.advance(19);
    scheduler.atTurnEnd({ flush: () => undefined });
    clock.advance(5); // the sockets were long in being read
    loop.endTurn();
    expect(member.ticksMs).toEqual([1_024]);
    expect(clock.nextTimerAtMs).toBe(1_040);
    remove();
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('a fault in a turn', () =>
  it('does not keep the others from being sent and ticked', () => {
    const clock = new FakeClock();
    const loop = new HandLoop(clock);
    const scheduler = new Scheduler(clock, loop);
    const member = new Member(clock);
    const remove = scheduler.add(member);
    let flushed = 0;
    scheduler.atTurnEnd({ flush: () => (flushed += 1) });
    scheduler.atTurnEnd({
      flush: () => {
        throw new Error('a fault');
      },
    });
    expect(() => loop.endTurn()).toThrow('a fault');
    loop.endTurn();
    expect(flushed).toBe(1);
    clock.advance(20);
    loop.endTurn();
    expect(member.ticksMs).toEqual([1_020]);
    remove();
  }));

describe('a thread that may rest', () => {
  function many(count: number): { clock: FakeClock; loop: HandLoop; scheduler: Scheduler; members: Member[] } {
    const clock = new FakeClock();
    const loop = new HandLoop(clock);
    const scheduler = new Scheduler(clock, loop);
    const members = Array.from({ length: count }, () => new Member(clock));
    for (const member of members) scheduler.add(member);
    return { clock, loop, scheduler, members };
  }

  it('does so between phases, never past one, and ticks to the millisecond', () => {
    const { clock, loop, members } = many(40);
    clock.advance(2);
    while (clock.nowMs() < 2_000) loop.endTurn();
    expect(Math.max(...loop.restsMs)).toBeLessThanOrEqual(2);
    for (const member of members) {
      expect(member.intervalsMs).toEqual(new Set([TICK_MS]));
      expect(member.ticksMs.length).toBeGreaterThanOrEqual(49);
    }
  });

  it('does not while few calls are on, nor while one is being set up', () => {
    const few = many(19);
    few.clock.advance(2);
    few.loop.endTurn();
    expect(few.loop.restsMs).toEqual([]);
    expect(few.clock.pendingTimers).toBe(1);

    const { clock, loop, scheduler } = many(40);
    scheduler.stayAwake(50);
    scheduler.stayAwake(5);
    clock.advance(2);
    loop.endTurn();
    expect(loop.restsMs).toEqual([]);
    expect([loop.polls, clock.pendingTimers]).toEqual([0, 1]);
    while (clock.nowMs() < 1_050) {
      clock.advance(2);
      loop.endTurn();
    }
    expect(loop.restsMs).toEqual([2]);
    expect([loop.polls, clock.pendingTimers]).toEqual([1, 0]);
  });

  it('stops when the calls are over', () => {
    const clock = new FakeClock();
    const loop = new HandLoop(clock);
    const scheduler = new Scheduler(clock, loop);
    const removals = Array.from({ length: 40 }, () => scheduler.add(new Member(clock)));
    clock.advance(2);
    loop.endTurn();
    for (const remove of removals) remove();
    loop.endTurn();
    expect([loop.polls, clock.pendingTimers]).toEqual([0, 0]);
  });
});
