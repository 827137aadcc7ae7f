import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LoadResult } from '../../load/load-run.js';
import type { Io } from '../io.js';
import { selfSignedCertificate } from '../self-signed.js';
import { measureLoad } from './loaded-bridge.js';

/** Calls begun in a second. */
const PER_SECOND = 50;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

type Measure = (calls: number) => Promise<LoadResult>;

/** Loads with all that G.711 callers can cost: PCMU to be transcoded, TLS, agents that talk all the time. */
export async function withLoopbackLoad<T>(
  { seconds, io }: { readonly seconds: number; readonly io: Io },
  use: (measure: Measure) => Promise<T>,
): Promise<T> {
  const tls = await selfSignedCertificate('127.0.0.1');
  const directory = mkdtempSync(join(tmpdir(), 'bridge-capacity-'));
  const caFile = join(directory, 'ca.pem');
  const interruption = new AbortController();
  const interrupt = (): void => {
    interruption.abort();
    io.leave(1);
  };
  for (const signal of SIGNALS) io.signals.on(signal, interrupt);
  try {
    writeFileSync(caFile, tls.cert);
    const load = {
      mode: 'websocket',
      talk: 'all',
      perSecond: PER_SECOND,
      workers: 'auto',
      seconds,
      tls,
      caFile,
    } as const;
    return await use((calls) => measureLoad({ ...load, calls }, interruption.signal));
  } finally {
    for (const signal of SIGNALS) io.signals.off(signal, interrupt);
    rmSync(directory, { recursive: true, force: true });
  }
}
