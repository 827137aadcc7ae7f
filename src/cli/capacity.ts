import { InvalidArgumentError, type Command } from 'commander';
import type { CapacityCommandOptions } from './capacity/run.js';
import type { Io } from './io.js';

const DEFAULT_SECONDS = 8;
const MAX_SECONDS = 3_600;
const MAX_CALLS = 5_000;

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
    .action(async (options: CapacityCommandOptions) => {
      const { capacity } = await import('./capacity/run.js');
      await capacity(options, io);
    });
}

function wholeNumber(most: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,6}$/.test(text) ? Number(text) : NaN;
    if (!(value >= 1 && value <= most)) throw new InvalidArgumentError(`Expected a whole number, 1 to ${most}.`);
    return value;
  };
}
