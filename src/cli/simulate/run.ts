import { systemClock } from '../../clock.js';
import { errorText } from '../../error-text.js';
import { readRegularText } from '../../regular-file.js';
import {
  PranthoraSimulator,
  type ClientConformance,
  type HandshakeReport,
} from '../../simulator/pranthora-simulator.js';
import type { ScenarioName } from '../../simulator/scenarios.js';
import type { SimulatorSession } from '../../simulator/simulator-session.js';
import { readDemoSpeech } from '../demo/speech.js';
import { StallWatch } from '../../simulator/stall-watch.js';
import { ExitCode, type Io } from '../io.js';

export interface SimulateOptions {
  readonly host: string;
  readonly port: number;
  readonly scenario: ScenarioName;
  readonly apiKey?: string;
  readonly report?: boolean;
  readonly tlsKey?: string;
  readonly tlsCert?: string;
}

/** The command `simulate`, until it is interrupted. */
export async function simulate(options: SimulateOptions, io: Io): Promise<void> {
  const { greeting, answer, reply } = readDemoSpeech();
  const { host, port, scenario, apiKey } = options;
  const tls = readTls(options, io);
  const stalls = new StallWatch(systemClock);
  const simulator = new PranthoraSimulator({
    stalledMs: (sinceMs, untilMs) => stalls.stalledMs(sinceMs, untilMs),
    host,
    port,
    scenario,
    ...(apiKey !== undefined && { apiKey }),
    ...(tls && { tls }),
    speech: { greeting, talk: answer, reply, farewell: reply },
  });
  const totals = { sessions: 0, violations: 0 };
  simulator.on('session', (session) => {
    totals.sessions += 1;
    session.on('violation', () => (totals.violations += 1));
    follow(session, io);
  });
  simulator.on('handshake', (handshake) => io.out(handshakeLine(handshake)));
  const { url } = await simulator.start();
  stalls.start();
  io.out(`Pranthora simulator at ${url}, scenario ${scenario}\n`);
  await interrupted(io);
  await simulator.stop();
  stalls.stop();
  io.out(`${totals.sessions} sessions, ${totals.violations} violations\n`);
  if (stalls.longestMs > 0) io.out(`this machine stood still for up to ${Math.round(stalls.longestMs)} ms\n`);
  if (options.report === true) for (const client of simulator.conformance()) io.out(conformanceText(client));
}

const MAX_PEM_FILE_BYTES = 1024 * 1024;

/** Both files or none; what cannot be read is wrong usage. */
function readTls({ tlsKey, tlsCert }: SimulateOptions, io: Io): { key: string; cert: string } | undefined {
  if (tlsKey === undefined && tlsCert === undefined) return undefined;
  try {
    if (tlsKey === undefined || tlsCert === undefined) throw new Error('--tls-key and --tls-cert need each other');
    return { key: readRegularText(tlsKey, MAX_PEM_FILE_BYTES), cert: readRegularText(tlsCert, MAX_PEM_FILE_BYTES) };
  } catch (error) {
    io.err(`error: ${errorText(error)}\n`);
    throw new ExitCode(2);
  }
}

function handshakeLine({ status, agentId, workflowId, complaints }: HandshakeReport): string {
  const whom = agentId === undefined ? `workflow ${workflowId ?? '(none)'}` : `agent ${agentId}`;
  const wrong = complaints.map(({ kind, detail }) => `  VIOLATION ${kind}: ${detail}`).join('');
  return `${new Date().toISOString()}  handshake for ${whom}: HTTP ${status}${wrong}\n`;
}

/** One client's rules, a line each: the broken ones in capitals. */
function conformanceText({ client, handshakes, sessions, rules }: ClientConformance): string {
  const used = `${handshakes} handshakes, ${sessions.websocket} pure, ${sessions.telephony} telephony sessions`;
  const lines = rules.map(({ rule, verdict, times, detail }) =>
    verdict === 'broken'
      ? `  BROKEN     ${rule}: ${times} times, first: ${detail ?? ''}`
      : `  ${verdict.padEnd(9)}  ${rule}`,
  );
  return `\nClient ${client}: ${used}\n${lines.join('\n')}\n`;
}

function follow(session: SimulatorSession, io: Io): void {
  const say = (what: string): void => io.out(`${new Date().toISOString()}  #${session.id}  ${what}\n`);
  const { agentId, workflowId } = session;
  say(`opened for ${agentId === undefined ? `workflow ${workflowId ?? '(none)'}` : `agent ${agentId}`}`);
  session.on('started', () =>
    say(session.protocol === 'websocket' ? 'start_media_streaming sent' : 'start event received'),
  );
  session.on('speaking', (_atMs, durationMs) => say(`speaks for ${Math.round(durationMs)} ms`));
  session.on('interrupted', () => say(`interrupted: ${session.protocol === 'websocket' ? 'stop' : 'clear'} sent`));
  session.on('violation', ({ kind, detail }) => say(`VIOLATION ${kind}: ${detail}`));
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
