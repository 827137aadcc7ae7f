import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { PranthoraSimulator } from '../simulator/pranthora-simulator.js';
import { SCENARIO_NAMES, type ScenarioName } from '../simulator/scenarios.js';
import type { SimulatorSession } from '../simulator/simulator-session.js';
import { readDemoSpeech } from './demo/speech.js';
import type { Io } from './io.js';

interface SimulateOptions {
  readonly host: string;
  readonly port: number;
  readonly scenario: ScenarioName;
  readonly apiKey?: string;
}

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
    .addHelpText('after', EXAMPLE)
    .action((options: SimulateOptions) => simulate(options, io));
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  if (!(port <= 65_535)) throw new InvalidArgumentError('Expected a port, 0 to 65535.');
  return port;
}

async function simulate(options: SimulateOptions, io: Io): Promise<void> {
  const { greeting, answer, reply } = readDemoSpeech();
  const simulator = new PranthoraSimulator({ ...options, speech: { greeting, talk: answer, reply, farewell: reply } });
  const totals = { sessions: 0, violations: 0 };
  simulator.on('session', (session) => {
    totals.sessions += 1;
    session.on('violation', () => (totals.violations += 1));
    follow(session, io);
  });
  const { url } = await simulator.start();
  io.out(`Pranthora simulator at ${url}, scenario ${options.scenario}\n`);
  await interrupted(io);
  await simulator.stop();
  io.out(`${totals.sessions} sessions, ${totals.violations} violations\n`);
}

function follow(session: SimulatorSession, io: Io): void {
  const say = (what: string): void => {
    io.out(`${new Date().toISOString()}  #${session.id}  ${what}\n`);
  };
  const { agentId, workflowId } = session;
  say(`opened for ${agentId === undefined ? `workflow ${workflowId ?? '(none)'}` : `agent ${agentId}`}`);
  session.on('started', () => {
    say('start_media_streaming sent');
  });
  session.on('speaking', (_atMs, durationMs) => {
    say(`speaks for ${Math.round(durationMs)} ms`);
  });
  session.on('interrupted', () => {
    say('interrupted: stop sent');
  });
  session.on('violation', ({ kind, detail }) => {
    say(`VIOLATION ${kind}: ${detail}`);
  });
  session.on('closed', (code, reason) => {
    const { durationMs, framesReceived, levelDbfs } = session.report();
    const level = levelDbfs === null ? 'silence' : `${levelDbfs.toFixed(1)} dBFS`;
    say(`closed ${code} ${reason} after ${Math.round(durationMs)} ms, ${framesReceived} frames heard, ${level}`);
  });
}

function interrupted({ signals }: Io): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      signals.off('SIGINT', end);
      signals.off('SIGTERM', end);
      resolve();
    };
    signals.on('SIGINT', end);
    signals.on('SIGTERM', end);
  });
}
