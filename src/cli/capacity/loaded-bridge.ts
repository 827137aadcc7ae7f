import { systemClock } from '../../clock.js';
import { loadRoutes } from '../../load/load-numbers.js';
import { LoadRun, type LoadPlan, type LoadResult } from '../../load/load-run.js';
import { BridgeProcess, type BridgeDocument } from './bridge-process.js';

/** A load, and the bridge that is to bear it. */
export interface LoadedBridge extends LoadPlan {
  readonly workers: 'auto' | number;
  /** File of the certificate the agents show, when they speak TLS. */
  readonly caFile?: string;
  /** Laid over the section `media`. */
  readonly media?: BridgeDocument;
}

/** Starts a bridge, puts the load on it and takes both down again; rejects at once when `signal` says so. */
export async function measureLoad(load: LoadedBridge, signal?: AbortSignal): Promise<LoadResult> {
  const run = new LoadRun(load, systemClock);
  try {
    const url = await run.listen();
    const bridge = await BridgeProcess.start(url, documentFor(load, url));
    try {
      return await Promise.race([run.run(bridge), bridge.ended(), aborted(signal)]);
    } finally {
      // Calls that nobody is going to end are not worth waiting for.
      await bridge.stop(signal?.aborted === true ? 'SIGKILL' : 'SIGTERM');
    }
  } finally {
    await run.close();
  }
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    const abort = (): void => reject(new Error('interrupted'));
    signal?.addEventListener('abort', abort);
    if (signal?.aborted === true) abort();
  });
}

function documentFor({ calls, mode, workers, caFile, media }: LoadedBridge, url: string): BridgeDocument {
  return {
    pranthora: { url, apiKey: 'key-of-the-load', ...(caFile === undefined ? {} : { tls: { ca: caFile } }) },
    media: { bind: '127.0.0.1', codecs: ['PCMU'], workers, ...media },
    call: { maxConcurrent: Math.max(1, calls) },
    routes: loadRoutes(calls, mode),
  };
}
