import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createLog } from '../../ops/log.js';
import { writeWav } from '../../simulator/wav.js';
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
      write: (line) => {
        io.err(line);
      },
    },
  });
  const print = (line: string): void => {
    io.out(`${line}\n`);
  };
  const { checks, recording } = await runDemo({ logger, print });
  print('');
  for (const check of checks) print(formatCheck(check));
  print(`\nRecording (left the caller, right the agent): ${writeRecording(recording)}`);
  if (checks.some(({ held }) => !held)) throw new ExitCode(1);
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
