import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AgentRig } from '../support/agent-rig.js';
import { ANSWER, OFFER, PeerCall } from '../support/sip-call.js';
import { closed, type UdpPeer } from '../support/sip-peer.js';
import { answer, type TestDialog } from '../support/srf-client.js';

const FOLDER = new URL('../fixtures/sip/torture/', import.meta.url);
const TORTURE = readdirSync(FOLDER).map((file) => readFileSync(new URL(file, FOLDER)));
const SEED = 20_260_101;
const MUTATIONS = 4_000;
/** What the agent is sent before it is asked whether it is still there: less than a socket buffer. */
const BATCH = 50;

/** Numerical Recipes' generator: the same sequence on every machine. */
class Random {
  #state = SEED;

  next(below: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * below);
  }
}

function mutate(bytes: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  for (let change = random.next(4); change >= 0; change--) copy[random.next(copy.length)] = random.next(256);
  const start = random.next(copy.length);
  if (random.next(4) > 0) return copy;
  return Buffer.concat([copy.subarray(0, start), copy.subarray(random.next(copy.length))]);
}

let rig: AgentRig;
let peer: UdpPeer;
let call: PeerCall;
let dialog: TestDialog;

beforeEach(async () => {
  // Retransmission would only repeat what is sent here anyway.
  rig = await AgentRig.start({ timers: { t1Ms: 20, t2Ms: 80, t4Ms: 100 } });
  let live: TestDialog | undefined;
  await rig.withClient((srf) =>
    srf.invite((request, response) => {
      if (live) response.send(486);
      else
        void answer(srf, request, response, ANSWER).then((made) => {
          live = made;
        });
    }),
  );
  peer = await rig.udpPeer();
  call = new PeerCall(peer, rig.port('udp'));
  await call.establish();
  dialog = await vi.waitFor(() => {
    if (!live) throw new Error('not yet');
    return live;
  });
});

afterEach(async () => {
  await rig.close();
});

/** The call of before goes on, and nothing of what came after it is left. */
async function expectUnharmed(): Promise<void> {
  call.sequence = 2_000_000_000;
  call.send('INFO');
  await peer.next('200 INFO');
  expect(dialog.connected).toBe(true);
  expect(rig.logger.events('sip.fault')).toEqual([]);
  await vi.waitFor(
    () => expect(rig.agent.stats()).toMatchObject({ dialogs: 1, serverTransactions: 0, clientTransactions: 0 }),
    { interval: 50 },
  );
}

test('the torture messages of RFC 4475 leave a call alone', async () => {
  for (const message of TORTURE) peer.send(message);
  await expectUnharmed();
});

test('mutated datagrams leave a call alone', async () => {
  const random = new Random();
  // Of this call too, so that mutations get past the first checks.
  const own = ['INVITE', 'UPDATE', 'INFO', 'ACK', 'CANCEL', 'OPTIONS'].map((method) =>
    Buffer.from(call.request(method, { sequence: 2, body: OFFER })),
  );
  const corpus = [...TORTURE, ...own, ...own, ...own];
  for (let sent = 0; sent < MUTATIONS; sent += BATCH) {
    for (let each = 0; each < BATCH; each++) {
      peer.send(mutate(corpus[random.next(corpus.length)] ?? Buffer.alloc(0), random));
    }
    const ping = new PeerCall(peer, rig.port('udp'));
    ping.send('OPTIONS');
    await peer.next('200 OPTIONS');
  }
  await expectUnharmed();
});

test('mutated streams leave a call alone, and no connection stays', async () => {
  const random = new Random();
  for (let connection = 0; connection < 100; connection++) {
    const socket = connect(rig.port('tcp'), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume();
    for (let each = 0; each < 10; each++)
      socket.write(mutate(TORTURE[random.next(TORTURE.length)] ?? Buffer.from(OFFER), random));
    socket.end();
    await closed(socket);
  }
  await expectUnharmed();
  await vi.waitFor(() => expect(rig.agent.stats().connections).toBe(0));
});
