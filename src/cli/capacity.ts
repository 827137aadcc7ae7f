import { availableParallelism } from 'node:os';
import { InvalidArgumentError, type Command } from 'commander';
import { systemClock } from '../clock.js';
import { g722Percent } from './capacity/g722-cost.js';
import { busyPercent } from './capacity/machine-load.js';
import { measureCapacity } from './capacity/measure.js';
import { capacityJson, capacityText, othersText, stepText } from './capacity/report.js';
import { withLoopbackLoad } from './capacity/secure-load.js';
import { ExitCode, type Io } from './io.js';

interface CapacityCommandOptions {
  readonly seconds: number;
  readonly calls: number;
  readonly json?: boolean;
}

const DEFAULT_SECONDS = 8;
const MAX_SECONDS = 3_600;
const MAX_CALLS = 5_000;
/** How long it is watched what else the machine does. */
const WATCH_MS = 1_000;

const EXAMPLE = `
Puts simulated calls on a bridge of its own: no configuration, no account, nothing leaves 127.0.0.1. Run it where nothing
else is busy: what it measures is what this machine has left.

Example:
  pranthora-sip-bridge capacity
`;

export function registerCapacity(program: Command, io: Io): void {
  program
    .command('capacity')
    .description('measure this machine for a minute, and propose call.maxConcurrent and media.workers')
    .option('--seconds <n>', 'measure each step for so long', wholeNumber(MAX_SECONDS), DEFAULT_SECONDS)
    .option(
      '--calls <n>',
      'place no more calls at once; what is computed from few comes out low',
      wholeNumber(MAX_CALLS),
      MAX_CALLS,
    )
    .option('--json', 'print nothing but the result, as JSON')
    .addHelpText('after', EXAMPLE)
    .action((options: CapacityCommandOptions) => capacity(options, io));
}

function wholeNumber(most: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,6}$/.test(text) ? Number(text) : NaN;
    if (!(value >= 1 && value <= most)) throw new InvalidArgumentError(`Expected a whole number, 1 to ${most}.`);
    return value;
  };
}

async function capacity({ seconds, calls, json = false }: CapacityCommandOptions, io: Io): Promise<void> {
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
      onStep: (step) => {
        say(stepText(step, cores));
      },
    }),
  );
  const facts = { ...found, cores, othersPercent, g722Percent: g722Percent(systemClock) };
  io.out(json ? `${JSON.stringify(capacityJson(facts), null, 2)}\n` : capacityText(facts));
  if (found.heldCalls === 0) throw new ExitCode(1);
}
