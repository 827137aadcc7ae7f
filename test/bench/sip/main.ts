import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startDrachtioProcess } from '../../support/drachtio-process.js';
import { formatTable, type Row } from '../figures.js';
import { SECRET, type Listening, type ServerReport } from './messages.js';
import { runLoad, type LoadReport } from './sipp.js';

/**
 * Calls without media, placed by sipp: `npm run bench:sip -- [--rate 500] [--seconds 30] [--profile DIRECTORY]`.
 * With DRACHTIO_START, a command that becomes a drachtio-server, also on that one. Fails when a call did.
 */
const { values: options } = parseArgs({
  options: {
    rate: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '30' },
    profile: { type: 'string' },
  },
});
const load = { callsPerSecond: Number(options.rate), seconds: Number(options.seconds) };
const SERVER = fileURLToPath(new URL('server.js', import.meta.url));
const DRACHTIO = { port: 39_022, sipPort: 39_060 };
/** The kernel counts processor time in these (sysconf(_SC_CLK_TCK)). */
const CLOCK_TICK_MS = 10;
/** Calls before those that count: what is measured is compiled code. */
const WARM_UP = { callsPerSecond: 200, seconds: 3 };

const print = (text: string): void => {
  process.stdout.write(text);
};

const [cpu] = cpus();
print(`Node ${process.version}, ${cpus().length} × ${cpu?.model ?? 'unknown processor'}, `);
print(
  `load ${loadavg()[0]?.toFixed(1) ?? '?'}; ${load.callsPerSecond} calls/s for ${load.seconds} s, UDP, no media\n\n`,
);

const rows = [await measureAgent()];
const { DRACHTIO_START } = process.env;
if (DRACHTIO_START !== undefined) rows.push(await measureDrachtio(DRACHTIO_START));
print(formatTable('SIP calls', rows));
const spotless = rows.every(({ values }) => values['failed'] === 0 && values['no ACK'] === 0);
process.exitCode = spotless ? 0 : 1;

/** Agent and drachtio-srf in one process. */
async function measureAgent(): Promise<Row> {
  const profiling = options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`];
  const server = fork(SERVER, [], { execArgv: profiling });
  const [{ sipPort = 0 }] = (await once(server, 'message')) as [Listening];
  try {
    return await measure('embedded agent', server, sipPort, () => 0);
  } finally {
    await end(server);
  }
}

/** drachtio-srf in one process, drachtio-server in another. */
async function measureDrachtio(command: string): Promise<Row> {
  const contact = `sip:127.0.0.1:${DRACHTIO.sipPort};transport=udp`;
  const drachtio = await startDrachtioProcess(command, { port: DRACHTIO.port, secret: SECRET, contact });
  const server = fork(SERVER, [`${DRACHTIO.port}`]);
  await once(server, 'message');
  try {
    return await measure('drachtio-server', server, DRACHTIO.sipPort, () => cpuMsOf(drachtio.pid));
  } finally {
    await end(server);
    await drachtio.stop();
  }
}

async function measure(name: string, server: ChildProcess, sipPort: number, otherCpuMs: () => number): Promise<Row> {
  await runLoad({ sipPort, ...WARM_UP });
  const before = { ...(await ask(server)), otherCpuMs: otherCpuMs() };
  const report = await runLoad({ sipPort, ...load });
  const after = { ...(await ask(server)), otherCpuMs: otherCpuMs() };
  const unacknowledged = after.unacknowledged - before.unacknowledged;
  const cpuMs = after.cpuMs - before.cpuMs;
  return { name, values: figures(report, unacknowledged, cpuMs, after.otherCpuMs - before.otherCpuMs) };
}

function figures(report: LoadReport, unacknowledged: number, cpuMs: number, otherCpuMs: number): Row['values'] {
  const { calls, failed, retransmissions, rate } = report;
  return {
    calls,
    'calls/s': rate,
    failed,
    'no ACK': unacknowledged,
    'sent again': retransmissions,
    'µs Node': (1_000 * cpuMs) / calls,
    'µs in all': (1_000 * (cpuMs + otherCpuMs)) / calls,
  };
}

async function ask(server: ChildProcess): Promise<ServerReport> {
  server.send('report');
  const [report] = (await once(server, 'message')) as [ServerReport];
  return report;
}

async function end(server: ChildProcess): Promise<void> {
  server.disconnect();
  await once(server, 'exit');
}

function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ');
  return CLOCK_TICK_MS * (Number(fields[11]) + Number(fields[12]));
}
