import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { measureLoad, type LoadedBridge } from '../../src/cli/capacity/loaded-bridge.js';
import type { LoadTalk } from '../../src/load/load-agents.js';
import type { LoadResult } from '../../src/load/load-run.js';
import { freeSwitch } from '../support/engines.js';
import { formatTable, type Row } from './figures.js';

export interface LoadTables {
  /** How many calls at once, for each row. */
  readonly calls: readonly number[];
  /** A table for each way and each talk. */
  readonly ways: readonly string[];
  readonly talks: readonly string[];
  readonly seconds: number;
  readonly workers: 'auto' | number;
}

const PER_SECOND = 50;

const TLS = { key: resolve('test/fixtures/tls/loopback.key'), cert: resolve('test/fixtures/tls/loopback.crt') };

/** What each way asks of the bridge and the agents. */
const WAYS = {
  websocket: () => ({ mode: 'websocket' }),
  telephony: () => ({ mode: 'telephony' }),
  wss: () => ({
    mode: 'websocket',
    tls: { key: readFileSync(TLS.key, 'utf8'), cert: readFileSync(TLS.cert, 'utf8') },
    caFile: TLS.cert,
  }),
  freeswitch: () => ({ mode: 'websocket', media: { engine: 'freeswitch', freeswitch: [freeSwitch] } }),
} as const satisfies Record<string, () => Partial<LoadedBridge>>;

type Way = keyof typeof WAYS;

/**
 * Many calls at once: callers and agents in this process, open loop. Nothing is asserted; a run in which this process
 * itself was late says so.
 */
export async function printLoadTables(
  { calls, ways, talks, seconds, workers }: LoadTables,
  print: (text: string) => void,
): Promise<void> {
  print(`Many calls (ms), media.workers ${workers}, ${seconds} s a run\n\n`);
  for (const way of ways) {
    if (!isWay(way)) throw new Error(`there is no way ${way}: ${Object.keys(WAYS).join(', ')}`);
    if (way === 'freeswitch' && freeSwitch.host === '') {
      print('freeswitch: left out, FREESWITCH_HOST is not set\n\n');
      continue;
    }
    for (const talk of talks) {
      const rows: Row[] = [];
      for (const count of calls) {
        const load = { ...WAYS[way](), calls: count, talk: talk as LoadTalk, perSecond: PER_SECOND, seconds, workers };
        rows.push(rowOf(await measureLoad(load)));
      }
      print(formatTable(titleOf(way, talk), rows));
    }
  }
}

const isWay = (way: string): way is Way => Object.hasOwn(WAYS, way);

function titleOf(way: Way, talk: string): string {
  const others = way === 'freeswitch' ? ', without what FreeSWITCH takes' : '';
  return `${way}, agents talk: ${talk}${others}`;
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
