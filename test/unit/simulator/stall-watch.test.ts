import { expect, it } from 'vitest';
import { StallWatch } from '../../../src/simulator/stall-watch.js';

/** A clock whose timers fire when told to, however late. */
class LateClock {
  now = 1_000;
  #fire: (() => void) | undefined;

  nowMs(): number {
    return this.now;
  }

  after(_delayMs: number, fire: () => void): () => void {
    this.#fire = fire;
    return () => {
      this.#fire = undefined;
    };
  }

  /** Lets time pass, and the timer fire then. */
  fireAfter(durationMs: number): void {
    this.now += durationMs;
    this.#fire?.();
  }

  get isWaiting(): boolean {
    return this.#fire !== undefined;
  }
}

it('notes how long its thread stood still', () => {
  const clock = new LateClock();
  const watch = new StallWatch(clock);
  watch.start();
  for (const durationMs of [10, 12, 160, 25, 10, 80, 10]) clock.fireAfter(durationMs);
  expect(watch.longestMs).toBe(150);
  expect(watch.stalledMs(1_000, clock.now)).toBe(240);
  expect(watch.stalledMs(1_100, 1_200)).toBe(82);
  expect(watch.stalledMs(1_182, 1_200)).toBe(0);
  watch.stop();
  expect(clock.isWaiting).toBe(false);
});

it('counts a standstill that has just ended before its timer could tell', () => {
  const clock = new LateClock();
  const watch = new StallWatch(clock);
  watch.start();
  clock.now += 200;
  expect(watch.stalledMs(1_050, 1_200)).toBe(150);
});
