import { parentPort, workerData } from 'node:worker_threads';
import { systemClock, systemWallMs } from '../../clock.js';
import type { LogFields, Logger } from '../../logger.js';
import { BridgeHost, type BridgeHostSettings } from './bridge-host.js';
import { mediaEventLoop } from '../event-loop.js';
import type { BridgeEvent } from '../messages.js';
import type { FromWorker, LogMethod, ToWorker } from './worker-messages.js';

/** The thread of a media worker: bridges alone, driven and heard through its message port. */

if (!parentPort) throw new Error('a media worker is started by the bridge, as a thread');
const port = parentPort;

function post(message: FromWorker): void {
  port.postMessage(message);
}

/** Lines go to the main thread's log, which knows the level and the secrets. */
function threadLogger(bound: Record<string, unknown>): Logger {
  const line =
    (level: LogMethod) =>
    (fields: LogFields, message?: string): void =>
      post({ kind: 'log', level, fields: { ...bound, ...fields }, ...(message === undefined ? {} : { message }) });
  return {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    child: (fields) => threadLogger({ ...bound, ...fields }),
  };
}

const host = new BridgeHost(workerData as BridgeHostSettings, {
  clock: systemClock,
  wallMs: systemWallMs,
  logger: threadLogger({}),
  eventLoop: mediaEventLoop,
  emit: (event: BridgeEvent) => post({ kind: 'event', event, ...(event.kind === 'stats' ? {} : { held: host.held }) }),
});

port.on('message', (message: ToWorker) => {
  if (message.kind === 'command') host.handle(message.command);
  else if (message.kind === 'configure') host.configure(message.settings);
  else port.close();
});
post({ kind: 'ready' });
