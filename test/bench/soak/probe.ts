import { writeSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { threadId } from 'node:worker_threads';
import { PROBE_EVENT, PROBE_PERIOD_MS, type ProbeReport } from './probe-report.js';

/**
 * Preloaded into the bridge (`node --import`), and thereby into each of its threads: what a thread alone can tell of itself
 * goes to standard output, between the lines of the log.
 */
const STANDARD_OUTPUT = 1;
const RESOLUTION_MS = 10;

const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();

setInterval(() => {
  const report: ProbeReport = {
    event: PROBE_EVENT,
    thread: threadId,
    // What is recorded is the time from one timer to the next.
    delayP99Ms: Math.max(0, delay.percentile(99) / 1e6 - RESOLUTION_MS),
    handles: handlesByKind(),
  };
  delay.reset();
  try {
    writeSync(STANDARD_OUTPUT, `${JSON.stringify(report)}\n`);
  } catch {
    // The pipe is full or closed: nobody reads.
  }
}, PROBE_PERIOD_MS).unref();

function handlesByKind(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}
