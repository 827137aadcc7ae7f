import { readdirSync, readFileSync } from 'node:fs';

/** What a process has used so far, by Linux's own account. */
export interface ProcessUsage {
  readonly mainThreadMs: number;
  readonly otherThreadsMs: number;
  readonly residentMb: number;
}

/** By all threads together, in milliseconds; NaN where it is not known. */
export function spentMs(usage: ProcessUsage | undefined): number {
  return usage ? usage.mainThreadMs + usage.otherThreadsMs : NaN;
}

/** Undefined where there is no /proc. Throws when the process is gone. */
export function usageOf(pid: number): ProcessUsage | undefined {
  if (process.platform !== 'linux') return undefined;
  let mainThreadMs = 0;
  let otherThreadsMs = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const spentMs = spentBy(`/proc/${pid}/task/${thread}/schedstat`);
    if (Number(thread) === pid) mainThreadMs += spentMs;
    else otherThreadsMs += spentMs;
  }
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return { mainThreadMs, otherThreadsMs, residentMb: Number(/^VmRSS:\s*(\d+) kB/m.exec(status)?.[1]) / 1_024 };
}

/** Nanoseconds on a processor come first. A thread may have ended since it was listed. */
function spentBy(schedstat: string): number {
  try {
    return Number(readFileSync(schedstat, 'utf8').split(' ', 1)[0]) / 1e6;
  } catch {
    return 0;
  }
}
