import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import type { EndReason } from '../../src/events/call-record.js';
import { dies, echo, refuse } from '../../src/simulator/scenarios.js';
import type { Scenario } from '../../src/simulator/simulator-session.js';
import { tone } from '../../src/simulator/speech.js';
import type { CallOptions } from '../../src/phone/test-caller.js';
import type { TestCall } from '../../src/phone/test-call.js';
import { TestCaller } from '../../src/phone/test-caller.js';
import { BridgeUnderTest, heapUsed, SILENT_LOGGER } from '../support/bridge-under-test.js';
import { measuresRealTime } from '../support/real-time.js';
import { OFFER, PeerCall, respond } from '../support/sip-call.js';
import { UdpPeer } from '../support/sip-peer.js';

measuresRealTime();

const CALLS = 1_000;
const WARM_UP_CALLS = 200;
const CALLS_AT_ONCE = 20;
const MORTALS = 7;
const MAX_GROWTH_BYTES = 2 * 1024 * 1024;

const AGENTS: Readonly<Record<string, Scenario>> = {
  echo: echo(),
  talker: {
    onOpen: (session) => {
      session.start();
      session.say(tone(440, 20_000));
    },
  },
  'hangs-up': {
    onOpen: (session) => {
      session.start();
      session.after(100, () => session.say(tone(800, 100), () => session.close(1000, 'Call terminated by agent')));
    },
  },
  'refuses-4001': refuse(4001, 'Unauthorized'),
  'refuses-4003': refuse(4003, 'Agent not found'),
  'never-starts': { onOpen: () => undefined },
  // Nobody waits for this one until it counts as unreachable, and is refused to the next caller.
  'keeps-ringing': { onOpen: () => undefined },
  ...Object.fromEntries(Array.from({ length: MORTALS }, (_, n) => [`dies-${n}`, dies(100)])),
};

/** Another one for each caller: three that are lost at a time would count as one that cannot be reached. */
const mortalOf = (from: string): string => `dies-${Number(from.replace(/\D/g, '')) % MORTALS}`;

interface Way {
  readonly reason: EndReason;
  /** Places a call and resolves when the caller's side of it is over. */
  readonly call: (rig: Rig, from: string) => Promise<void>;
}

/** All the ways a call can end. */
const WAYS: readonly Way[] = [
  { reason: 'caller_hangup', call: (rig, from) => rig.hangUpAfter(100, rig.place('echo', from)) },
  { reason: 'caller_hangup', call: (rig, from) => rig.hangUpAfter(0, rig.place('talker', from)) },
  { reason: 'caller_hangup', call: (rig, from) => rig.hangUpAfter(50, rig.place('talker;transport=tcp', from)) },
  { reason: 'caller_cancel', call: (rig, from) => rig.cancelWhenRinging(rig.place('keeps-ringing', from)) },
  { reason: 'caller_cancel', call: (rig, from) => rig.cancelAtOnce(rig.place('keeps-ringing', from)) },
  { reason: 'agent_hangup', call: (rig, from) => rig.endedByCallee(rig.place('hangs-up', from)) },
  { reason: 'agent_configuration', call: (rig, from) => rig.refusedWith(500, rig.place('refuses-4001', from)) },
  { reason: 'agent_configuration', call: (rig, from) => rig.refusedWith(500, rig.place('refuses-4003', from)) },
  { reason: 'agent_unreachable', call: (rig, from) => rig.refusedWith(503, rig.place('never-starts', from)) },
  { reason: 'agent_unreachable', call: (rig, from) => rig.refusedWith(503, rig.place('unreachable', from)) },
  { reason: 'agent_unreachable', call: (rig, from) => rig.endedByCallee(rig.place(mortalOf(from), from)) },
  { reason: 'no_route', call: (rig, from) => rig.refusedWith(404, rig.place('nobody', from)) },
  { reason: 'not_acceptable', call: (rig, from) => rig.refusedWith(488, rig.place('echo', from, { codec: 'PCMU' })) },
  { reason: 'max_duration', call: (rig, from) => rig.endedByCallee(rig.place('echo', from)) },
  { reason: 'rtp_timeout', call: (rig) => rig.withoutRtp('echo') },
];

/** The bridge and its callers. */
class Rig {
  constructor(
    readonly under: BridgeUnderTest,
    readonly caller: TestCaller,
  ) {}

  static async start(): Promise<Rig> {
    const under = await BridgeUnderTest.start({
      config: {
        pranthora: { startTimeoutMs: 600, reconnect: { maxAttempts: 1, initialDelayMs: 10, maxDelayMs: 10 } },
        // Few enough that every port is used more than once.
        media: { bind: '127.0.0.1', workers: 0, codecs: ['PCMA'], ports: '20000-21199' },
        call: { maxDurationMs: 1_500, rtpTimeoutMs: 750 },
      },
      routes: [
        ...Object.keys(AGENTS).map((agentId) => ({ did: agentId, agentId })),
        { did: 'unreachable', agentId: 'echo', url: 'ws://127.0.0.1:9' },
      ],
      simulator: { scenarioFor: (agentId) => AGENTS[agentId], recordMs: 0 },
    });
    return new Rig(under, await TestCaller.start({ logger: SILENT_LOGGER, clock: under.clock }));
  }

  place(number: string, from: string, options: CallOptions = {}): TestCall {
    const [user = '', parameters = ''] = number.split(';');
    const port = this.under.port(parameters === '' ? 'udp' : 'tcp');
    const uri = `sip:${user}@127.0.0.1:${port}${parameters && `;${parameters}`}`;
    return this.caller.call(uri, { codec: 'PCMA', maxRecordMs: 1_000, from, ...options });
  }

  async hangUpAfter(delayMs: number, call: TestCall): Promise<void> {
    await call.answered;
    await sleep(delayMs);
    await call.hangUp();
    expect(call.ending?.by).toBe('caller');
  }

  async cancelWhenRinging(call: TestCall): Promise<void> {
    call.once('ringing', () => call.cancel());
    expect(await call.ended).toMatchObject({ by: 'caller', reason: expect.stringMatching(/^487/) as string });
  }

  async cancelAtOnce(call: TestCall): Promise<void> {
    call.once('progress', () => {
      setImmediate(() => call.cancel());
    });
    expect(await call.ended).toMatchObject({ by: 'caller', reason: expect.stringMatching(/^487/) as string });
  }

  async endedByCallee(call: TestCall): Promise<void> {
    expect(await call.ended).toMatchObject({ by: 'callee' });
  }

  async refusedWith(status: number, call: TestCall): Promise<void> {
    expect(await call.ended).toMatchObject({ by: 'refused', reason: expect.stringMatching(`^${status}`) as string });
  }

  /** A telephone that never sends a packet, and whose RTP port nobody listens on. */
  async withoutRtp(number: string): Promise<void> {
    const port = this.under.port('udp');
    const peer = await UdpPeer.open({ address: '127.0.0.1', port });
    const call = new PeerCall(peer, port);
    await call.establish({
      uri: `sip:${number}@127.0.0.1:${port}`,
      body: OFFER.replace('RTP/AVP 0', 'RTP/AVP 8'),
    });
    respond(peer, await peer.next('BYE'), '200 OK');
    await this.under.record(call.callId);
    await peer.close();
  }

  /** Lets every timer run out; then nothing may be held on either side. */
  async nothingHeld(): Promise<void> {
    await this.under.nothingHeld();
    await vi.waitFor(() => expect(this.caller.held).toMatchObject({ calls: 0, rtpPorts: 0, ticking: 0 }));
    expect(this.caller.held.sip).toMatchObject({ serverTransactions: 0, clientTransactions: 0, dialogs: 0 });
  }

  async stop(): Promise<void> {
    await this.caller.close();
    await this.under.stop();
  }
}

/** Handles of the process by kind: sockets, servers, timers. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** Of what there is more than there was; waits a moment for what has been closed to go. */
async function leftOver(before: Record<string, number>): Promise<Record<string, number>> {
  let more: [string, number][] = [];
  for (let attempt = 0; attempt < 100; attempt++) {
    await sleep(20);
    more = Object.entries(resources()).filter(([kind, count]) => count > (before[kind] ?? 0));
    if (more.length === 0) break;
  }
  return Object.fromEntries(more);
}

/** Places calls `first` to `until`, as many at once as allowed, each ending its own way. */
async function placeCalls(rig: Rig, first: number, until: number): Promise<void> {
  let next = first;
  const caller = async (): Promise<void> => {
    while (next < until) {
      const number = next++;
      const way = WAYS[number % WAYS.length];
      await way?.call(rig, `caller-${number}`);
    }
  };
  await Promise.all(Array.from({ length: CALLS_AT_ONCE }, caller));
}

/** Every call has its record, with the reason it was meant to have. Forgets the log. */
function checkRecords(rig: Rig, first: number, until: number): void {
  const { log } = rig.under;
  const counts = new Map<unknown, number>();
  for (const { reason } of log.events('call.ended') as { reason?: unknown }[]) {
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  const expected = new Map<unknown, number>();
  for (let number = first; number < until; number++) {
    const reason = WAYS[number % WAYS.length]?.reason;
    expected.set(reason, (expected.get(reason) ?? 0) + 1);
  }
  expect(Object.fromEntries(counts)).toEqual(Object.fromEntries(expected));
  expect(log.faults()).toEqual([]);
  log.lines.length = 0;
}

it('after a thousand calls that ended in all ways nothing is left of them', { timeout: 180_000 }, async () => {
  const before = resources();
  const rig = await Rig.start();

  await placeCalls(rig, 0, WARM_UP_CALLS);
  await rig.nothingHeld();
  checkRecords(rig, 0, WARM_UP_CALLS);
  const running = resources();
  const warmBytes = await heapUsed();

  await placeCalls(rig, WARM_UP_CALLS, CALLS);
  await rig.nothingHeld();
  checkRecords(rig, WARM_UP_CALLS, CALLS);
  const grownBytes = (await heapUsed()) - warmBytes;

  expect(grownBytes).toBeLessThan(MAX_GROWTH_BYTES);
  expect(await leftOver(running)).toEqual({});
  await rig.stop();
  expect(rig.under.violations.filter(({ kind }) => kind !== 'gap' && kind !== 'burst')).toEqual([]);
  expect(await leftOver(before)).toEqual({});
});
