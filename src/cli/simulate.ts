import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { SCENARIO_NAMES } from '../simulator/scenarios.js';
import type { Io } from './io.js';
import type { SimulateOptions } from './simulate/run.js';

const EXAMPLE = `
Runs until it is interrupted. Set pranthora.url to the URL it prints.

Example:
  pranthora-sip-bridge simulate --scenario talk-and-interrupt
  PRANTHORA_URL=ws://127.0.0.1:8090 PRANTHORA_API_KEY=any pranthora-sip-bridge start -c config/minimal.yaml
`;

export function registerSimulate(program: Command, io: Io): void {
  program
    .command('simulate')
    .description("run a simulated Pranthora that complains about whatever breaks Pranthora's guide")
    .option('-p, --port <port>', 'TCP port; 0 for any', parsePort, 8090)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .addOption(
      new Option('--scenario <name>', 'how every agent behaves').choices(SCENARIO_NAMES).default('talk-and-interrupt'),
    )
    .option('--api-key <key>', 'the only key accepted; without it, any is')
    .option('--tls-key <file>', 'serve wss: and https: with this private key (PEM)')
    .option('--tls-cert <file>', 'and this certificate (PEM)')
    .option('--report', 'say at the end which rules of the guide each client has kept')
    .addHelpText('after', EXAMPLE)
    .action(async (options: SimulateOptions) => {
      const { simulate } = await import('./simulate/run.js');
      await simulate(options, io);
    });
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  if (!(port <= 65_535)) throw new InvalidArgumentError('Expected a port, 0 to 65535.');
  return port;
}
