#!/usr/bin/env node
import { processIo } from './cli/io.js';
import { runCli } from './cli/program.js';

// `check | head -1` closes the pipe early; that is the reader's good right and no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

const exitCode = await runCli(process.argv.slice(2), processIo);
// A command may have set a code of its own.
if (exitCode !== 0) process.exitCode = exitCode;
