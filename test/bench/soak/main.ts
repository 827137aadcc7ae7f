import { appendFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { systemClock } from '../../../src/clock.js';
import type { BridgeSample } from './bridge-sample.js';
import { formatResult, shortcomings } from './soak-result.js';
import { SoakRun } from './soak-run.js';

/**
 * Whether the bridge stays as it is while calls come and go: `npm run soak -- [--minutes N] [--calls N] [--seed N]
 * [--out FILE]`. The bridge runs in a process of its own, callers and agents in this one. Ends with 1 when anything grew, was
 * left behind, or when any call was not as it should be. An interrupt ends it early, with the same report.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    calls: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    /** Gets every sample, as comma-separated values. */
    out: { type: 'string' },
  },
});

const SAMPLES_A_LINE = 6;

const print = (text: string): void => {
  process.stdout.write(text);
};

function number(name: 'minutes' | 'calls' | 'seed', min: number, max: number): number {
  const value = Number(values[name]);
  if (value >= min && value <= max) return value;
  throw new RangeError(`--${name}: a number from ${min} to ${max}`);
}

let samples = 0;
function onSample(sample: BridgeSample): void {
  if (values.out !== undefined) {
    if (samples === 0) writeFileSync(values.out, `${Object.keys(sample).join(',')}\n`);
    appendFileSync(values.out, `${Object.values(sample).join(',')}\n`);
  }
  samples += 1;
  if (samples % SAMPLES_A_LINE === 0) print(lineOf(sample));
}

function lineOf(sample: BridgeSample): string {
  const { atMinutes, calls, twoWay, otherVerdicts, residentMb, descriptors, cpuPercent } = sample;
  const ended = `${calls} calls up, ${twoWay + otherVerdicts} ended, ${otherVerdicts} not two-way`;
  const process = `RSS ${residentMb.toFixed(1)} MB, ${descriptors} descriptors, CPU ${cpuPercent.toFixed(1)} %`;
  const delay = `loop p99 ${sample.mainDelayMs.toFixed(1)} ms, media ${sample.mediaDelayMs.toFixed(1)} ms`;
  return `${atMinutes.toFixed(1).padStart(6)} min: ${ended}; ${process}, ${delay}\n`;
}

const plan = { calls: Math.ceil(number('calls', 1, 2_000)), seed: number('seed', 0, 1e9) };
const run = new SoakRun(number('minutes', 0.2, 100_000), plan, systemClock, onSample);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    print('Hanging up…\n');
    run.interrupt();
  });
}

const result = await run.run();
print(`\n${formatResult(result)}\n`);
const wrong = shortcomings(result);
print(wrong.length === 0 ? 'Passed.\n' : `Not passed:\n${wrong.map((text) => `- ${text}\n`).join('')}`);
process.exitCode = wrong.length === 0 ? 0 : 1;
