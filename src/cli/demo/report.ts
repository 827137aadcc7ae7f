import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createLog } from '../../ops/log.js';
import { writeWav } from '../../phone/wav.js';
import { ExitCode, type Io } from '../io.js';
import type { Check } from './checks.js';
import { runDemo, type DemoResult } from './run.js';

const RECORDING = 'demo-call.wav';

/** The command `demo`: runs it, prints what is to be seen, and rejects unless every check held. */
export async function demo(verbose: boolean, io: Io): Promise<void> {
  const { logger } = createLog({
    level: verbose ? 'debug' : 'warn',
    pretty: true,
    redactNumbers: false,
    destination: {
      write: (line) => io.err(line),
    },
  });
  const print = (line: string): void => io.out(`${line}\n`);
  const { checks, longestStallMs, recording } = await runDemo({ logger, print });
  print('');
  for (const check of checks) print(formatCheck(check));
  print(`\nRecording (left the caller, right the agent): ${writeRecording(recording)}`);
  if (checks.every(({ held }) => held)) return;
  const machine = machineFault(longestStallMs, loadavg()[0] ?? 0);
  if (machine !== undefined) print(`\n${machine}`);
  throw new ExitCode(1);
}

/** What speaks for the machine's fault, if anything does: it shares its cores with the bridge under test. */
function machineFault(longestStallMs: number, load: number): string | undefined {
  const cores = availableParallelism();
  const signs = [
    ...(longestStallMs > 0 ? [`stood still for ${Math.round(longestStallMs)} ms`] : []),
    ...(load > cores ? [`has a load of ${load.toFixed(1)} on ${cores} cores`] : []),
  ];
  if (signs.length === 0) return undefined;
  return `This machine ${signs.join(' and ')}: what came late may be its fault, not the bridge's. Run it again when it is quiet.`;
}

function formatCheck({ name, held, detail }: Check): string {
  return `${held ? '✓' : '✗'} ${name.padEnd(14)}  ${detail}`;
}

/** In the current directory or, should that not be writable, where temporary files go. Returns where. */
function writeRecording({ sent, heard, rateHz }: DemoResult['recording']): string {
  const here = resolve(RECORDING);
  try {
    writeWav(here, [sent, heard], rateHz);
    return here;
  } catch {
    const elsewhere = join(tmpdir(), RECORDING);
    writeWav(elsewhere, [sent, heard], rateHz);
    return elsewhere;
  }
}
