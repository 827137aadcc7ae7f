import { describe, expect, it } from 'vitest';
import { CallBench, ENDINGS, route, settle } from './call-bench.js';
import { agent, workflow } from '../support/targets.js';

/** A call that finds its only agent unreachable, after `waitedMs`. */
async function unreachable(bench: CallBench, waitedMs: number): Promise<void> {
  const invite = bench.connecting();
  bench.clock.advance(waitedMs);
  bench.bridge.agentEnded(ENDINGS.unreachable);
  await settle();
  expect(invite.rejections[0]?.status).toBe(503);
}

describe('a target that cannot be reached', () => {
  it('costs three calls their wait, and the next ones nothing', async () => {
    const bench = new CallBench();
    for (let i = 0; i < 3; i++) await unreachable(bench, 4_000);
    for (let i = 0; i < 17; i++) {
      const invite = bench.connecting();
      await settle();
      expect(bench.bridge.agents).toEqual([]);
      expect(invite.rejections).toEqual([
        expect.objectContaining({
          status: 503,
          retryAfterSec: 5,
          warning: expect.stringMatching('^not tried') as string,
        }),
      ]);
      expect(bench.record(invite)).toMatchObject({ reason: 'agent_unreachable', durationMs: 1 });
    }
    await bench.expectAllOver();
  });

  it('is passed over for the next target', async () => {
    const bench = new CallBench();
    for (let i = 0; i < 3; i++) await unreachable(bench, 4_000);
    bench.configure({ routes: [route({ targets: [agent('agent-1'), agent('agent-2')] })], maxConcurrent: 10 });
    const { invite, dialog, bridge } = await bench.answered();
    expect(bridge.agents.map(({ target }) => target)).toEqual([{ agentId: 'agent-2' }]);
    dialog.end();
    await settle();
    expect(bench.record(invite)).toMatchObject({ agentId: 'agent-2', outcome: 'completed' });
    await bench.expectAllOver();
  });

  it('sends calls to the fallback at once', async () => {
    const bench = new CallBench({ routes: [route({ fallback: { redirect: 'sip:desk@pbx.example' } })] });
    for (let i = 0; i < 3; i++) {
      bench.connecting();
      bench.bridge.agentEnded(ENDINGS.unreachable);
    }
    const invite = bench.connecting();
    await settle();
    expect(bench.bridge.agents).toEqual([]);
    expect(invite.rejections).toEqual([{ status: 302, contact: 'sip:desk@pbx.example' }]);
    await bench.expectAllOver();
  });

  it('is tried by one call after a while, and taken by all when that one was answered', async () => {
    const bench = new CallBench();
    for (let i = 0; i < 3; i++) await unreachable(bench, 100);
    bench.clock.advance(5_000);
    const trying = bench.connecting();
    const { bridge } = bench;
    const meanwhile = bench.connecting();
    await settle();
    expect(meanwhile.rejections[0]?.status).toBe(503);
    bridge.agentReady();
    await settle();
    expect(trying.answers).toHaveLength(1);
    const next = await bench.answered();
    trying.dialog?.end();
    next.dialog.end();
    await bench.expectAllOver();
  });

  it('is tried by the next call when the one that tried was cancelled', async () => {
    const bench = new CallBench();
    for (let i = 0; i < 3; i++) await unreachable(bench, 100);
    bench.clock.advance(5_000);
    bench.connecting().cancel();
    await settle();
    const { dialog } = await bench.answered();
    dialog.end();
    await bench.expectAllOver();
  });

  it('is closed off by agents lost in the middle of calls as well', async () => {
    const bench = new CallBench();
    const calls = [await bench.answered(), await bench.answered(), await bench.answered()];
    for (const { bridge } of calls) bridge.agentEnded(ENDINGS.unreachable);
    await settle();
    const invite = bench.connecting();
    await settle();
    expect(invite.rejections[0]?.status).toBe(503);
    expect(bench.bridge.agents).toEqual([]);
    await bench.expectAllOver();
  });

  it('is not one that refuses the key: that is told to every call by Pranthora itself', async () => {
    const bench = new CallBench();
    for (let i = 0; i < 10; i++) {
      const invite = bench.connecting();
      expect(bench.bridge.agents).toHaveLength(1);
      bench.bridge.agentEnded(ENDINGS.configuration);
      await settle();
      expect(invite.rejections[0]?.status).toBe(500);
    }
    await bench.expectAllOver();
  });
});

describe('what agents are told of a call', () => {
  it('is what the operator wants them to be told', async () => {
    const headers = { 'x-account': '42', 'x-secret': 'no' };
    const bench = new CallBench({
      customParameters: {
        from: false,
        fromName: false,
        assertedIdentity: false,
        to: true,
        did: true,
        sipCallId: false,
        headers: ['X-Account', 'X-Missing'],
      },
    });
    const { dialog, bridge } = await bench.answered({ number: '15550001', headers });
    expect(bridge.agents[0]?.customParameters).toEqual({ to: '15550001', did: '15550001', 'X-Account': '42' });
    dialog.end();
    await bench.expectAllOver();
  });

  it('is the same for every target of the route', async () => {
    const telephony = { mode: 'telephony', encoding: 'alaw' } as const;
    const bench = new CallBench({
      routes: [route({ targets: [agent('a', telephony), workflow('w', telephony)] })],
    });
    const invite = bench.connecting();
    bench.bridge.agentEnded(ENDINGS.unreachable);
    const [first, second] = bench.bridge.agents;
    expect(second).toEqual({ ...first, target: { workflowId: 'w' } });
    expect(second).toMatchObject({ mode: 'telephony', encoding: 'alaw', callSid: invite.callId });
    bench.bridge.agentEnded(ENDINGS.unreachable);
    await bench.expectAllOver();
  });
});

describe('a call that lasts too long', () => {
  it('is announced a minute before its end', async () => {
    const bench = new CallBench({ maxDurationMs: 600_000 });
    const { invite, dialog } = await bench.answered();
    bench.clock.advance(539_999);
    expect(bench.logger.of('call.max_duration_near')).toEqual([]);
    bench.clock.advance(1);
    expect(bench.logger.of('call.max_duration_near', invite.callId)).toMatchObject([{ leftMs: 60_000 }]);
    bench.clock.advance(59_999);
    await settle();
    expect(dialog.byes).toEqual([]);
    bench.clock.advance(1);
    await settle();
    expect(dialog.byes).toEqual([{ cause: 31, text: 'maximum call duration' }]);
    expect(bench.record(invite)).toMatchObject({ reason: 'max_duration', outcome: 'completed', durationMs: 600_140 });
    expect(bench.logger.of('call.max_duration_near')).toHaveLength(1);
    await bench.expectAllOver();
  });

  it('that may not last ten minutes is announced when a tenth of it is left', async () => {
    const bench = new CallBench({ maxDurationMs: 10_000 });
    const { invite } = await bench.answered();
    bench.clock.advance(8_999);
    expect(bench.logger.of('call.max_duration_near')).toEqual([]);
    bench.clock.advance(1);
    expect(bench.logger.of('call.max_duration_near', invite.callId)).toMatchObject([{ leftMs: 1_000 }]);
    bench.clock.advance(1_000);
    await settle();
    expect(bench.record(invite).reason).toBe('max_duration');
    await bench.expectAllOver();
  });

  it.each([1_000, 545_000])('is announced no more once it has ended, after %d ms', async (lastedMs) => {
    const bench = new CallBench({ maxDurationMs: 600_000 });
    const { dialog } = await bench.answered();
    bench.clock.advance(lastedMs);
    const before = bench.logger.of('call.max_duration_near').length;
    dialog.end();
    await bench.expectAllOver();
    bench.clock.advance(600_000);
    expect(bench.logger.of('call.max_duration_near')).toHaveLength(before);
  });
});
