import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Load {
  readonly sipPort: number;
  readonly callsPerSecond: number;
  readonly seconds: number;
}

/** What sipp has counted. */
export interface LoadReport {
  readonly calls: number;
  readonly failed: number;
  readonly retransmissions: number;
  /** Calls a second that were really placed. */
  readonly rate: number;
}

/** INVITE, 200, ACK, BYE, by sipp's own scenario without a pause. */
export async function runLoad({ sipPort, callsPerSecond, seconds }: Load): Promise<LoadReport> {
  const directory = mkdtempSync(join(tmpdir(), 'sip-bench-'));
  const statistics = join(directory, 'statistics.csv');
  const args = [
    ...['-sn', 'uac', `127.0.0.1:${sipPort}`, '-i', '127.0.0.1', '-t', 'u1', '-d', '0', '-nostdin'],
    ...['-r', `${callsPerSecond}`, '-m', `${callsPerSecond * seconds}`, '-l', `${20 * callsPerSecond}`],
    ...['-timeout', `${2 * seconds + 60}s`, '-buff_size', '4194304', '-trace_stat', '-stf', statistics],
  ];
  try {
    await once(spawn('sipp', args, { cwd: directory, stdio: 'ignore' }), 'exit');
    return readStatistics(readFileSync(statistics, 'latin1'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** sipp writes a line of column names and then one line a minute; the last one is of the end. */
function readStatistics(text: string): LoadReport {
  const lines = text.trim().split('\n');
  const names = lines[0]?.split(';') ?? [];
  const values = lines.at(-1)?.split(';') ?? [];
  const value = (name: string): number => Number(values[names.indexOf(name)] ?? NaN);
  return {
    calls: value('SuccessfulCall(C)'),
    failed: value('FailedCall(C)'),
    retransmissions: value('Retransmissions(C)'),
    rate: value('CallRate(C)'),
  };
}
