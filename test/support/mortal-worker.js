// A media worker that dies of the first agent it is told of. Plain JavaScript, for a thread runs no TypeScript.
import { parentPort } from 'node:worker_threads';

parentPort.on('message', ({ kind, command }) => {
  if (kind === 'stop') parentPort.close();
  if (kind !== 'command') return;
  const { bridge } = command;
  if (command.kind === 'connect-agent') throw new Error('this thread has had enough');
  if (command.kind === 'open') tell({ kind: 'opened', bridge, rtpPort: 4_000 });
  if (command.kind === 'close') tell({ kind: 'closed', bridge, stats: { interruptions: [], reconnects: 0 } });
});

function tell(event) {
  parentPort.postMessage({ kind: 'event', event, held: { ports: event.kind === 'opened' ? 1 : 0, ticking: 0 } });
}

parentPort.postMessage({ kind: 'ready' });
