/** Milliseconds of processor time that `work` takes of this process: others that hold the processor do not count. */
export function processorMs(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  return sinceMs(before);
}

/** The same of what takes its turns of the event loop. */
export async function processorMsUntil(work: Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work;
  return sinceMs(before);
}

function sinceMs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}
