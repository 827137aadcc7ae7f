import { beforeEach, describe, expect, test } from 'vitest';
import { LoadMeter } from '../../../src/sip-agent/guard/load-meter.js';
import { CollectingLogger } from '../../support/agent-rig.js';
import type { AgentClock } from '../../../src/sip-agent/environment.js';

/** A clock whose only timer fires when the test says, as late as it says. */
class LateClock implements AgentClock {
  #nowMs = 0;
  #timer: { dueMs: number; fire: () => void } | undefined;

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, fire: () => void): () => void {
    this.#timer = { dueMs: this.#nowMs + delayMs, fire };
    return () => {
      this.#timer = undefined;
    };
  }

  fireLate(lagMs: number): void {
    const timer = this.#timer;
    this.#timer = undefined;
    if (!timer) return;
    this.#nowMs = timer.dueMs + lagMs;
    timer.fire();
  }

  get armed(): boolean {
    return this.#timer !== undefined;
  }
}

let clock: LateClock;
let logger: CollectingLogger;
let meter: LoadMeter;

beforeEach(() => {
  clock = new LateClock();
  logger = new CollectingLogger();
  meter = new LoadMeter({ clock, logger, maxLagMs: 500 });
  meter.start();
});

describe('the load meter', () => {
  test('a single pause is nothing', () => {
    clock.fireLate(1_500);
    expect(meter.overloaded).toBe(false);
    for (let reading = 0; reading < 20; reading++) clock.fireLate(1);
    expect(logger.lines).toEqual([]);
  });

  test('a lasting one is too much, until it is well over; each is said once', () => {
    for (let reading = 0; reading < 20; reading++) clock.fireLate(800);
    expect(meter.overloaded).toBe(true);
    clock.fireLate(100);
    expect(meter.overloaded).toBe(true);
    for (let reading = 0; reading < 20; reading++) clock.fireLate(100);
    expect(meter.overloaded).toBe(false);
    expect(logger.lines.map(({ event }) => event)).toEqual(['sip.overloaded', 'sip.overload_over']);
  });

  test('stopped, it leaves no timer', () => {
    clock.fireLate(0);
    expect(clock.armed).toBe(true);
    meter.stop();
    expect(clock.armed).toBe(false);
  });
});
