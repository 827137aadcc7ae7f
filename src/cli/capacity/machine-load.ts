import { cpus } from 'node:os';
import { wait, type Clock } from '../../clock.js';

/** How busy the whole machine is for so long, in percent of all its cores. */
export async function busyPercent(clock: Clock, overMs: number): Promise<number> {
  const before = spentMs();
  await wait(clock, overMs);
  const after = spentMs();
  const idleMs = after.idle - before.idle;
  const busyMs = after.busy - before.busy;
  return (100 * busyMs) / Math.max(1, busyMs + idleMs);
}

function spentMs(): { busy: number; idle: number } {
  const spent = { busy: 0, idle: 0 };
  for (const { times } of cpus()) {
    spent.busy += times.user + times.nice + times.sys + times.irq;
    spent.idle += times.idle;
  }
  return spent;
}
