import type { Command } from 'commander';
import type { Io } from './io.js';

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
    .action(async (options: { verbose?: boolean }) => {
      const { demo } = await import('./demo/report.js');
      await demo(options.verbose ?? false, io);
    });
}
