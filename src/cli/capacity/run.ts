import { availableParallelism } from 'node:os';
import { systemClock } from '../../clock.js';
import { ExitCode, type Io } from '../io.js';
import { g722Percent } from './g722-cost.js';
import { busyPercent } from './machine-load.js';
import { measureCapacity } from './measure.js';
import { capacityJson, capacityText, othersText, stepText } from './report.js';
import { withLoopbackLoad } from './secure-load.js';

export interface CapacityCommandOptions {
  readonly seconds: number;
  readonly calls: number;
  readonly json?: boolean;
}

/** How long it is watched what else the machine does. */
const WATCH_MS = 1_000;

/** The command `capacity`. Rejects when it cannot be measured, or not one step was carried. */
export async function capacity({ seconds, calls, json = false }: CapacityCommandOptions, io: Io): Promise<void> {
  // What a process and its threads use is read from /proc.
  if (process.platform !== 'linux') throw new Error('capacity can only be measured on Linux');
  const cores = availableParallelism();
  const say = (text: string): void => {
    if (!json) io.out(text);
  };
  say(
    `Calls a bridge of its own on 127.0.0.1, ${cores} cores, PCMU and wss, agents that talk all the time. A minute…\n\n`,
  );
  const othersPercent = await busyPercent(systemClock, WATCH_MS);
  say(othersText(othersPercent));
  const found = await withLoopbackLoad({ seconds, io }, (measure) =>
    measureCapacity({
      cores,
      mostCalls: calls,
      measure,
      onStep: (step) => say(stepText(step, cores)),
    }),
  );
  const facts = { ...found, cores, othersPercent, g722Percent: g722Percent(systemClock) };
  io.out(json ? `${JSON.stringify(capacityJson(facts), null, 2)}\n` : capacityText(facts));
  if (found.heldCalls === 0) throw new ExitCode(1);
}
