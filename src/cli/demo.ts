import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { createLog } from '../ops/log.js';
import { writeWav } from '../simulator/wav.js';
import type { Check } from './demo/checks.js';
import { runDemo, type DemoResult } from './demo/run.js';
import { ExitCode } from './io.js';
import type { Io } from './io.js';

const RECORDING = 'demo-call.wav';

const EXAMPLE = `
Everything runs in this process and on loopback: no account, no server, no root. Exits 0 only if every check held.

Example:
  pranthora-sip-bridge demo
`;

export function registerDemo(program: Command, io: Io): void {
  program
    .command('demo')
    .description('one call from end to end against a simulated Pranthora: speech both ways, an interruption, figures')
    .option('--verbose', "show the bridge's own log as well")
    .addHelpText('after', EXAMPLE)
    .action((options: { verbose?: boolean }) => demo(options.verbose ?? false, io));
}

async function demo(verbose: boolean, io: Io): Promise<void> {
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
