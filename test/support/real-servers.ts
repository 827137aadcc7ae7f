import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { EventSocketAddress } from '../../src/media/freeswitch/event-socket-probe.js';
import { askFreeSwitch, type DrachtioAddress } from './engines.js';
import { eventually } from './engine-rig.js';

/** Commands that start a server in the foreground, and become it: what they are sent, it gets. */
const { FREESWITCH_START, DRACHTIO_START } = process.env;

/** Variables without which there is nothing to break. */
export const missingToBreak = Object.entries({ FREESWITCH_START, DRACHTIO_START }).flatMap(([name, value]) =>
  value ? [] : [name],
);

const START_PATIENCE_MS = 20_000;

/** A program of a test's own, which may do with it what it likes. */
export class OwnProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.#child = spawn(command, args, { stdio: 'ignore', env: { ...process.env, ...env } });
    this.#ended = once(this.#child, 'exit');
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }

  /** Kill -9. Resolves when it is gone. Idempotent. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

/**
 * A FreeSWITCH on ports of its own: the start command has to heed FREESWITCH_PORT, FREESWITCH_SIP_PORT and
 * FREESWITCH_RTP_FIRST_PORT to _LAST_PORT, as the configuration of this repository does. Resolves when it takes calls.
 */
export async function startFreeSwitch(
  at: EventSocketAddress & { sipPort: number; rtpPort: number },
): Promise<OwnProcess> {
  const server = new OwnProcess(FREESWITCH_START ?? '', [], {
    FREESWITCH_PORT: String(at.port),
    FREESWITCH_SECRET: at.secret,
    FREESWITCH_SIP_PORT: String(at.sipPort),
    FREESWITCH_RTP_FIRST_PORT: String(at.rtpPort),
    FREESWITCH_RTP_LAST_PORT: String(at.rtpPort + 199),
  });
  await eventually(async () => {
    const status = await askFreeSwitch('sofia status', at);
    if (!/^\s*drachtio_mrf\s.*RUNNING/m.test(status)) throw new Error(status);
  }, START_PATIENCE_MS);
  return server;
}

/** A drachtio-server on ports of its own. Resolves when it can be connected to. */
export async function startDrachtio({ port, secret, sip }: DrachtioAddress): Promise<OwnProcess> {
  const contact = `sip:${sip};transport=udp,tcp`;
  const server = new OwnProcess(DRACHTIO_START ?? '', ['--port', `${port}`, '--secret', secret, '--contact', contact]);
  await eventually(() => reach(port), START_PATIENCE_MS);
  return server;
}

async function reach(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}
