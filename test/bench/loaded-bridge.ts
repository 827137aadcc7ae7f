import { systemClock } from '../../src/clock.js';
import { loadAgentId, loadNumber } from './load/load-numbers.js';
import { LoadRun, type LoadPlan, type LoadResult } from './load/load-run.js';
import { BridgeProcess, type BridgeDocument } from './bridge-process.js';

/** A load, and the bridge that is to bear it. */
export interface LoadedBridge extends LoadPlan {
  readonly workers: 'auto' | number;
  /** File of the certificate the agents show, when they speak TLS. */
  readonly caFile?: string;
}

/** Starts a bridge, puts the load on it and takes both down again. */
export async function measureLoad(load: LoadedBridge): Promise<LoadResult> {
  const run = new LoadRun(load, systemClock);
  try {
    const url = await run.listen();
    const bridge = await BridgeProcess.start(url, documentFor(load, url));
    try {
      return await run.run(bridge);
    } finally {
      await bridge.stop();
    }
  } finally {
    await run.close();
  }
}

function documentFor({ calls, mode, workers, caFile }: LoadedBridge, url: string): BridgeDocument {
  return {
    pranthora: { url, apiKey: 'key-of-the-load', ...(caFile === undefined ? {} : { tls: { ca: caFile } }) },
    media: { bind: '127.0.0.1', codecs: ['PCMU'], workers },
    call: { maxConcurrent: Math.max(1, calls) },
    routes: Array.from({ length: calls }, (_, call) => ({ did: loadNumber(call), agentId: loadAgentId(call), mode })),
  };
}
