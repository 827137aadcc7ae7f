import { describe, expect, it } from 'vitest';
import type { CallSubscriber } from '../../src/events/call-event-bus.js';
import type { CallEvent, CallEventOf } from '../../src/events/call-events.js';
import { STATS } from '../support/fake-bridge-pool.js';
import { CallBench, ENDINGS, OFFER, route, settle } from './call-bench.js';
import { agent, workflow } from '../support/targets.js';

const namesOf = (events: readonly CallEvent[]): string[] => events.map(({ event }) => event);

function find<E extends CallEvent['event']>(bench: CallBench, name: E): CallEventOf<E> {
  const found = bench.events.find((one): one is CallEventOf<E> => one.event === name);
  if (!found) throw new Error(`no ${name}`);
  return found;
}

describe('the events of a call', () => {
  it('are in the order in which things happened, from the INVITE to the record', async () => {
    const bench = new CallBench({ routes: [route({ targets: [agent('a'), workflow('w')] })] });
    const invite = bench.connecting();
    bench.bridge.agentEnded(ENDINGS.unreachable);
    bench.bridge.agentReady();
    await settle();
    bench.bridge.tell({ kind: 'interrupted', interruption: { reactionMs: 14, discardedMs: 800 } });
    bench.bridge.tell({ kind: 'stats', stats: STATS });
    bench.bridge.agentEnded(ENDINGS.hangup);
    await bench.expectAllOver();
    expect(namesOf(bench.events)).toEqual([
      ...['call.received', 'call.routed', 'agent.connecting', 'agent.failed', 'agent.connecting', 'agent.connected'],
      ...['call.answered', 'agent.interrupted', 'call.stats', 'agent.ended', 'call.closed', 'call.ended'],
    ]);
    expect(bench.events.every(({ call }) => call.callId === invite.callId)).toBe(true);
    expect(find(bench, 'agent.ended')).toMatchObject({ kind: 'agent-hangup', closeCode: 1000 });
  });

  it('carry what was known of the call then, and the time on both clocks', async () => {
    const bench = new CallBench({ routes: [route({ targets: [agent('a'), workflow('w')] })] });
    const invite = bench.connecting();
    bench.clock.advance(99);
    bench.bridge.agentEnded(ENDINGS.unreachable);
    bench.bridge.agentReady();
    await settle();
    invite.dialog?.end();
    await bench.expectAllOver();

    const [received, failed, answered] = [
      find(bench, 'call.received'),
      find(bench, 'agent.failed'),
      find(bench, 'call.answered'),
    ];
    expect(received.call).toMatchObject({ route: 'main', agentId: 'a', mode: 'websocket', did: '15551234' });
    expect(received.call).not.toHaveProperty('codec');
    expect(failed.call.agentId).toBe('a');
    expect(answered.call).toMatchObject({ workflowId: 'w', codec: 'PCMU', answeredAt: '2026-01-02T03:04:05.100Z' });
    expect(answered.call).not.toHaveProperty('agentId');
    expect([failed.atMs - received.atMs, failed.wallMs - received.wallMs]).toEqual([100, 100]);
    expect(new Date(received.wallMs).toISOString()).toBe(received.call.receivedAt);
    expect(answered).toMatchObject({ setupMs: 100 });
    expect(new Set(bench.events.map(({ call }) => call.agentCallId)).size).toBe(1);
  });

  it('share what is known of the call while nothing changes', async () => {
    const bench = new CallBench();
    const { bridge, dialog } = await bench.answered();
    for (let n = 0; n < 3; n++) bridge.tell({ kind: 'stats', stats: STATS });
    expect(new Set(bench.events.filter(({ event }) => event === 'call.stats').map(({ call }) => call)).size).toBe(1);
    dialog.end();
    await bench.expectAllOver();
  });

  it('end with all that the record is made from, and the record', async () => {
    const bench = new CallBench();
    const { invite, bridge } = await bench.answered();
    bridge.agentEnded(ENDINGS.hangup);
    await bench.expectAllOver();
    const closed = find(bench, 'call.closed');
    expect(closed).toMatchObject({
      end: { reason: 'agent_hangup', endedBy: 'agent', outcome: 'completed', sipStatus: 200, closeCode: 1000 },
      stats: STATS,
      durationMs: 140,
      sipSource: '192.0.2.7',
    });
    const { level, event, ...line } = bench.record(invite) as unknown as Record<string, unknown>;
    expect([level, event]).toEqual(['info', 'call.ended']);
    expect(find(bench, 'call.ended').record).toEqual(line);
  });

  it('say of a refused call that it was refused, before its record', async () => {
    const bench = new CallBench({ routes: [] });
    bench.receive();
    await bench.expectAllOver();
    expect(namesOf(bench.events)).toEqual(['call.received', 'call.closed', 'call.rejected', 'call.ended']);
  });

  it('are none of a digit that the log may not have', async () => {
    const bench = new CallBench();
    const { bridge, dialog } = await bench.answered();
    bridge.tell({ kind: 'dtmf', digit: '7' });
    expect(find(bench, 'call.dtmf')).toMatchObject({ path: 'telephone-event' });
    expect(find(bench, 'call.dtmf')).not.toHaveProperty('digit');
    dialog.end();
    await bench.expectAllOver();
  });

  it('can be copied to another thread, but for what was thrown', async () => {
    const bench = new CallBench();
    const { bridge, dialog } = await bench.answered();
    bridge.tell({ kind: 'stats', stats: STATS });
    await dialog.handlers.onRenegotiate({ offer: OFFER, method: 'INVITE' });
    dialog.end();
    await bench.expectAllOver();
    expect(structuredClone(bench.events)).toEqual(bench.events);
  });
});

describe('a subscriber of call events', () => {
  const broken: { readonly that: string; readonly onEvent: CallSubscriber }[] = [
    {
      that: 'throws',
      onEvent: () => {
        throw new Error('broken');
      },
    },
    { that: 'never returns', onEvent: () => new Promise(() => undefined) },
    { that: 'rejects', onEvent: () => Promise.reject(new Error('broken')) },
  ];

  it.each(broken)('that $that changes nothing of a call, its log and its record', async ({ onEvent }) => {
    const [plain, watched] = [new CallBench(), new CallBench()];
    watched.subscribe(onEvent);
    const [expected, lines] = [await linesOfCall(plain), await linesOfCall(watched)];
    expect(lines.filter(({ event }) => event !== 'events.subscriber_failed')).toEqual(expected);
  });

  it('is called after the call has done what it had to do', async () => {
    const bench = new CallBench();
    const rings: number[] = [];
    bench.subscribe(({ event }) => {
      if (event === 'call.received') rings.push(bench.invites[0]?.rings ?? 0);
    });
    const { dialog } = await bench.answered();
    expect(rings).toEqual([1]);
    dialog.end();
    await bench.expectAllOver();
  });
});

/** Of one call and the next, the second refused. */
async function linesOfCall(bench: CallBench): Promise<Record<string, unknown>[]> {
  const { dialog, bridge } = await bench.answered({ callId: 'first' });
  bridge.tell({ kind: 'dtmf', digit: '7' });
  dialog.end();
  bench.connecting({ callId: 'second' });
  bench.bridge.agentEnded(ENDINGS.configuration);
  await bench.expectAllOver();
  return bench.logger.lines.map((line) => ({ ...line, agentCallId: undefined }));
}
