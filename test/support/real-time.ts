import { cpus, loadavg } from 'node:os';
import { aroundEach } from 'vitest';
import { StolenTime } from './tools.js';

/** Held up for longer, this process cannot tell what came late from what it looked at late. */
const MAX_HELD_UP_MS = 40;

/** A test that plays a phone we did not write may try again: they have races (sipp, when a 100 and a 180 come in one read). */
export const FOREIGN_PHONE = { retry: 2 } as const;

/**
 * For a file, or a `describe`, that measures in real time. A test in it that fails on a machine that is too busy shows
 * nothing either way: it is skipped, and says how busy the machine was and what it would have failed with.
 * `ofWholeFile`: what a test checks was measured before it, in `beforeAll` or by others.
 */
export function measuresRealTime({ ofWholeFile = false } = {}): void {
  const sinceBeginning = new StolenTime();
  aroundEach(async (runTest, { task }) => {
    const watch = ofWholeFile ? sinceBeginning : new StolenTime();
    await runTest();
    if (!ofWholeFile) watch.stop();
    const { result } = task;
    const excuse = busyness(watch.longestMs);
    if (result?.state !== 'fail' || excuse === undefined) return;
    const [failure = ''] = result.errors?.[0]?.message.split('\n') ?? [];
    // What `skip` does, which forgets its reason in this hook.
    Object.assign(result, { state: 'skip', note: `${excuse}, so this says nothing: ${failure}` });
  });
}

function busyness(heldUpMs: number): string | undefined {
  if (heldUpMs >= MAX_HELD_UP_MS) return `the machine held this process up for ${heldUpMs.toFixed(0)} ms`;
  const [load = 0] = loadavg();
  const cores = cpus().length;
  return load > cores ? `the machine has a load of ${load.toFixed(1)} on ${cores} cores` : undefined;
}
