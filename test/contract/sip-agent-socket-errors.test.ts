import type * as Dgram from 'node:dgram';
import type { EventEmitter } from 'node:events';
import type * as Net from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AgentRig } from '../support/agent-rig.js';
import { PeerCall } from '../support/sip-call.js';

/** The sockets the agent has made, real ones. */
const made = vi.hoisted(() => ({ sockets: [] as EventEmitter[] }));

vi.mock('node:dgram', async (original) => {
  const dgram = await original<typeof Dgram>();
  const createSocket = (...options: Parameters<typeof dgram.createSocket>) => keep(dgram.createSocket(...options));
  return { ...dgram, createSocket };
});
vi.mock('node:net', async (original) => {
  const net = await original<typeof Net>();
  return { ...net, createServer: () => keep(net.createServer()) };
});

function keep<T extends EventEmitter>(socket: T): T {
  made.sockets.push(socket);
  return socket;
}

let rig: AgentRig;

beforeEach(async () => {
  made.sockets = [];
  rig = await AgentRig.start();
});

afterEach(async () => {
  await rig.close();
});

test.each(['udp', 'tcp'] as const)(
  'a %s listener in trouble says so once for each kind, and listens on',
  async (protocol) => {
    const listener = made.sockets[protocol === 'udp' ? 0 : 1];
    for (const reason of ['bind ENODEV', 'accept EMFILE', 'bind ENODEV', 'accept EMFILE']) {
      listener?.emit('error', new Error(reason));
    }
    expect(rig.logger.warnings).toEqual([
      { event: `sip.${protocol}_error`, reason: 'bind ENODEV' },
      { event: `sip.${protocol}_error`, reason: 'accept EMFILE' },
    ]);
    const peer = await rig.peer(protocol);
    new PeerCall(peer, rig.port(protocol)).send('OPTIONS');
    await peer.next('200 OPTIONS');
  },
);
