import { Command, CommanderError } from 'commander';
import { ConfigError, formatFault } from '../config/faults.js';
import { errorText } from '../error-text.js';
import { VERSION } from '../version.js';
import { registerCapacity } from './capacity.js';
import { registerCheck } from './check.js';
import { registerCall } from './call.js';
import { registerDemo } from './demo.js';
import { registerDoctor } from './doctor.js';
import { registerSimulate } from './simulate.js';
import { ExitCode } from './io.js';
import type { Io } from './io.js';
import { registerRoute } from './route.js';
import { registerStart } from './start.js';
import type { StartBridge } from './start.js';

const EXAMPLE = `
Exit codes: 0 success, 1 failure while running, 2 wrong usage or configuration.

Example:
  PRANTHORA_API_KEY=... pranthora-sip-bridge start --config config/minimal.yaml
`;

/** Runs the command `args` name (without the interpreter and script of `process.argv`); resolves to the exit code. */
export async function runCli(args: readonly string[], io: Io, startBridge?: StartBridge): Promise<number> {
  try {
    await createProgram(io, startBridge).parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    return exitCodeOf(error, io);
  }
}

function createProgram(io: Io, startBridge: StartBridge | undefined): Command {
  const program = new Command('pranthora-sip-bridge')
    .description('Connects a phone system to Pranthora voice agents: SIP and RTP on one side, WebSocket on the other.')
    .version(VERSION)
    .addHelpText('after', EXAMPLE)
    .showHelpAfterError('(--help tells how)')
    .configureOutput({
      writeOut: (text) => io.out(text),
      writeErr: (text) => io.err(text),
    })
    .exitOverride();
  registerStart(program, io, startBridge);
  registerCheck(program, io);
  registerRoute(program, io);
  registerDoctor(program, io);
  registerCall(program, io);
  registerSimulate(program, io);
  registerDemo(program, io);
  registerCapacity(program, io);
  return program;
}

/** The exit code of what a command threw, once it has been said on stderr. */
function exitCodeOf(error: unknown, io: Io): number {
  if (error instanceof ExitCode) return error.code;
  // commander has printed it already; asking for help or the version is no failure.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof ConfigError) {
    for (const fault of error.faults) io.err(`${formatFault(fault)}\n`);
    return 2;
  }
  io.err(`${errorText(error)}\n`);
  return 1;
}
