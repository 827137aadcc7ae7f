import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Scheduler } from '../../../src/bridge/scheduler.js';
import { systemClock } from '../../../src/clock.js';
import { LoadAgents } from '../../../src/load/load-agents.js';
import { LoadFigures } from '../../../src/load/load-figures.js';
import { LoadPhone } from '../../../src/load/load-phone.js';
import { spentMs, usageOf } from '../../../src/load/process-usage.js';
import type { Row } from '../figures.js';

const BARE_SOCKETS = fileURLToPath(new URL('bare-sockets.js', import.meta.url));
const WARM_UP_MS = 5_000;

/** What a process that only moves the packets of `calls` calls takes of one core, in percent for each call. */
export async function measureFloor(calls: number, seconds: number): Promise<Row> {
  const agents = new LoadAgents({ mode: 'websocket', talk: 'never', clock: systemClock }, {});
  const child = fork(BARE_SOCKETS, [await agents.start(), String(calls)]);
  const { pid = NaN } = child;
  const [ports] = (await once(child, 'message')) as [number[]];
  const scheduler = new Scheduler(systemClock);
  const phones = await Promise.all(ports.map((port) => openPhone(port)));
  const stopTicking = phones.map((phone) => scheduler.add(phone));
  try {
    await delay(WARM_UP_MS);
    const [startedAtMs, before] = [systemClock.nowMs(), spentMs(usageOf(pid))];
    await delay(1_000 * seconds);
    const percent = (100 * (spentMs(usageOf(pid)) - before)) / (systemClock.nowMs() - startedAtMs);
    return { name: `${calls} calls`, values: { 'CPU %/call': percent / calls } };
  } finally {
    for (const stop of stopTicking) stop();
    for (const phone of phones) phone.close();
    child.disconnect();
    await once(child, 'exit');
    await agents.stop();
  }
}

async function openPhone(port: number): Promise<LoadPhone> {
  const phone = await LoadPhone.open(systemClock, new LoadFigures());
  await phone.connect(port);
  return phone;
}
