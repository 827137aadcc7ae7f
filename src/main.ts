#!/usr/bin/env node
import { closeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { processIo } from './cli/io.js';
import { runCli } from './cli/program.js';

// Output that cannot be written ends nothing; whoever writes it is told.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

// Node restores the terminals it was started on, and aborts when one of them is gone by then.
const terminals = [0, 1, 2].filter((fd) => isatty(fd));
process.on('exit', () => {
  for (const fd of terminals) if (!isatty(fd)) closeSync(fd);
});

const exitCode = await runCli(process.argv.slice(2), processIo);
// A command may have set a code of its own.
if (exitCode !== 0) process.exitCode = exitCode;
