import { expect, it } from 'vitest';
import { wait } from '../../../src/clock.js';
import { steadyClock } from '../../support/steady-clock.js';

it('stands still while the process does', () => {
  const beforeMs = steadyClock.nowMs();
  const untilMs = performance.now() + 50;
  while (performance.now() < untilMs);
  expect(steadyClock.nowMs() - beforeMs).toBeLessThanOrEqual(2);
});

it('reads the sockets between two steps, however late it is', async () => {
  let turns = 0;
  const turn = (): void => {
    turns += 1;
    again = setImmediate(turn);
  };
  let again = setImmediate(turn);
  const done = wait(steadyClock, 20);
  const untilMs = performance.now() + 50;
  while (performance.now() < untilMs);
  await done;
  clearImmediate(again);
  expect(turns).toBeGreaterThanOrEqual(9);
});

it('fires what is due, in order, each once and none that was cancelled', async () => {
  const fired: number[] = [];
  const cancelled = steadyClock.after(10, () => fired.push(10));
  for (const delayMs of [30, 5, 20, 5]) {
    steadyClock.after(delayMs, () => {
      fired.push(delayMs);
      cancelled();
    });
  }
  const beginMs = steadyClock.nowMs();
  await wait(steadyClock, 40);
  expect(steadyClock.nowMs() - beginMs).toBeGreaterThanOrEqual(40);
  expect(fired).toEqual([5, 5, 20, 30]);
});
