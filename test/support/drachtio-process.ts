import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const START_PATIENCE_MS = 20_000;

export interface DrachtioProcess {
  readonly pid: number;
  /** Kill -9. Resolves when it is gone. */
  stop(): Promise<void>;
}

/**
 * A drachtio-server outside of vitest, by a command that becomes one. Resolves when it can be connected to.
 * `contact` is where it takes SIP, as a URI.
 */
export async function startDrachtioProcess(
  command: string,
  at: { readonly port: number; readonly secret: string; readonly contact: string },
): Promise<DrachtioProcess> {
  const { port, secret, contact } = at;
  const child = spawn(command, ['--port', `${port}`, '--secret', secret, '--contact', contact], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  try {
    await reachable(port);
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: child.pid ?? 0, stop };
}

async function reachable(port: number): Promise<void> {
  const deadlineMs = performance.now() + START_PATIENCE_MS;
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return;
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
      await sleep(100);
    } finally {
      socket.destroy();
    }
  }
}
