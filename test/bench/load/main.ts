import { readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { measureLoad } from '../loaded-bridge.js';
import type { LoadTalk } from './load-agents.js';
import type { LoadResult } from './load-run.js';
import { formatTable, type Row } from '../figures.js';

/**
 * Many calls at once: the bridge in a process of its own, callers and agents in this one, open loop. Nothing is asserted;
 * a run in which this process itself was late says so.
 */
const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '1,10,50,100,200' },
    ways: { type: 'string', default: 'websocket,telephony,wss' },
    talk: { type: 'string', default: 'quarter,all' },
    seconds: { type: 'string', default: '20' },
    workers: { type: 'string', default: 'auto' },
  },
});

const certificate = (name: string): string =>
  fileURLToPath(new URL(`../../../../../../test/fixtures/tls/${name}`, import.meta.url));
const TLS = { key: certificate('loopback.key'), cert: certificate('loopback.crt') };

const list = (text: string): string[] => text.split(',').filter((item) => item !== '');
const workers = values.workers === 'auto' ? 'auto' : Number(values.workers);
const [cpu] = cpus();
const print = (text: string): void => {
  process.stdout.write(text);
};

print(`Node ${process.version}, ${cpus().length} × ${cpu?.model ?? 'unknown processor'}, `);
print(`load ${loadavg()[0]?.toFixed(1) ?? '?'}, media.workers ${workers}, ${values.seconds} s a run\n\n`);
for (const way of list(values.ways)) {
  for (const talk of list(values.talk)) {
    const rows: Row[] = [];
    for (const calls of list(values.calls).map(Number)) rows.push(rowOf(await measure(way, talk as LoadTalk, calls)));
    print(formatTable(`${way}, agents talk: ${talk}`, rows));
  }
}

async function measure(way: string, talk: LoadTalk, calls: number): Promise<LoadResult> {
  const tls = way === 'wss';
  return measureLoad({
    calls,
    talk,
    mode: way === 'telephony' ? 'telephony' : 'websocket',
    perSecond: 50,
    seconds: Number(values.seconds),
    workers,
    ...(tls && { tls: { key: readFileSync(TLS.key, 'utf8'), cert: readFileSync(TLS.cert, 'utf8') }, caFile: TLS.cert }),
  });
}

function rowOf(result: LoadResult): Row {
  const { calls, failed, cpuPerCall, residentMb, setUpMs, uplinkMs, silenceMs, pacingMs, lost, generator } = result;
  return {
    name: `${calls} calls${generator.isValid ? '' : ' INVALID: the generator was late'}`,
    values: {
      failed,
      'CPU %/call': cpuPerCall.total,
      'main %': cpuPerCall.mainThread,
      'rest %': cpuPerCall.otherThreads,
      'idle MB': residentMb.before,
      'MB/call': (residentMb.after - residentMb.before) / calls,
      'set-up p50': setUpMs.p50,
      'p95 ': setUpMs.p95,
      'up p50': uplinkMs.p50,
      p99: uplinkMs.p99,
      'stop p50': silenceMs.p50,
      'p99 ': silenceMs.p99,
      max: silenceMs.max,
      'pace p50': pacingMs.p50,
      ' p99': pacingMs.p99,
      ' max': pacingMs.max,
      'lost down': lost.toCaller,
      'lost up': lost.toAgent,
      'gen. CPU %': generator.cpuPercent,
      'late p99': generator.lateMs.p99,
    },
  };
}
