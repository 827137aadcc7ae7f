import { describe, expect, it } from 'vitest';
import { agent } from '../support/targets.js';
import { CallBench, ENDINGS, route, settle } from './call-bench.js';

describe('an agent that is gone', () => {
  it.each(['hangup', 'configuration', 'unreachable'] as const)('is heard to its end, after %s', async (how) => {
    const bench = new CallBench();
    const { invite, dialog, bridge } = await bench.answered();
    bridge.holdPlayout = true;
    bridge.agentEnded(ENDINGS[how]);
    await settle();
    expect(bridge.count('play-out')).toBe(1);
    expect([dialog.byes, bridge.count('close')]).toEqual([[], 0]);
    bridge.playedOut();
    await bench.expectAllOver();
    expect(bench.record(invite).sipStatus).toBe(200);
    expect(bench.logger.of('call.farewell_cut')).toEqual([]);
  });

  it('is said to have been cut off when its time was over', async () => {
    const bench = new CallBench();
    const { invite, bridge } = await bench.answered();
    bridge.holdPlayout = true;
    bridge.agentEnded(ENDINGS.hangup);
    bridge.playedOut(3_980.4);
    await bench.expectAllOver();
    expect(bench.logger.of('call.farewell_cut', invite.callId)).toMatchObject([{ level: 'warn', leftMs: 3_980 }]);
  });

  it('is heard although it ended while the call was being answered', async () => {
    const bench = new CallBench();
    const release = bench.media.hold();
    const invite = bench.connecting();
    bench.bridge.holdPlayout = true;
    bench.bridge.agentReady();
    bench.bridge.agentEnded(ENDINGS.hangup);
    release();
    await settle();
    expect(invite.answers).toHaveLength(1);
    expect(bench.bridge.commands.slice(-2)).toEqual(['set-media', 'start']);
    bench.bridge.playedOut();
    await bench.expectAllOver();
    expect(bench.record(invite)).toMatchObject({ reason: 'agent_hangup', endedBy: 'agent', sipStatus: 200 });
  });

  it('has declined the call when it ended while the call was being answered, and had said nothing', async () => {
    const bench = new CallBench();
    const release = bench.media.hold();
    const invite = bench.connecting();
    bench.bridge.agentReady();
    bench.bridge.agentEnded(ENDINGS.hangup);
    release();
    await bench.expectAllOver();
    expect(invite.rejections).toEqual([{ status: 480, warning: ENDINGS.hangup.detail }]);
  });

  it('is a refusal when it is for another reason that it ended while the call was being answered', async () => {
    const bench = new CallBench();
    const release = bench.media.hold();
    const invite = bench.connecting();
    bench.bridge.holdPlayout = true;
    bench.bridge.agentReady();
    bench.bridge.agentEnded(ENDINGS.configuration);
    release();
    await bench.expectAllOver();
    expect(invite.rejections).toMatchObject([{ status: 500 }]);
  });

  it('does not keep the next target waiting', async () => {
    const bench = new CallBench({ routes: [route({ targets: [agent('a'), agent('b')] })] });
    const { dialog, bridge } = await bench.answered();
    bridge.agentEnded(ENDINGS.configuration);
    expect(bridge.commands.slice(-1)).toEqual(['connect-agent']);
    dialog.end();
    await bench.expectAllOver();
  });

  it('is not waited for when the caller hangs up, the bridge fails, or the call is ended', async () => {
    const bench = new CallBench();
    for (const end of ['caller', 'fault', 'shutdown']) {
      const { dialog, bridge } = await bench.answered();
      bridge.holdPlayout = true;
      bridge.agentEnded(ENDINGS.hangup);
      if (end === 'caller') dialog.end();
      else if (end === 'fault') bridge.agentEnded({ kind: 'configuration', detail: 'internal fault' });
      else bench.controller.endAll();
      await settle();
      bridge.playedOut();
    }
    await bench.expectAllOver();
  });

  it('sends the caller on when it has been heard', async () => {
    const bench = new CallBench({ routes: [route({ onAgentEnd: { refer: 'sip:desk@pbx.example' } })] });
    const { dialog, bridge } = await bench.answered();
    bridge.holdPlayout = true;
    bridge.agentEnded(ENDINGS.hangup);
    expect(dialog.refers).toEqual([]);
    bridge.playedOut();
    await settle();
    expect(dialog.refers).toEqual(['sip:desk@pbx.example']);
    dialog.end();
    await bench.expectAllOver();
  });
});

describe('Retry-After', () => {
  it('is Pranthora’s own, where it said when to come again', async () => {
    const bench = new CallBench();
    const invite = bench.connecting();
    bench.bridge.agentEnded({ ...ENDINGS.unreachable, retryAfterSec: 30 });
    await bench.expectAllOver();
    expect(invite.rejections).toMatchObject([{ status: 503, retryAfterSec: 30 }]);
  });

  it.each([
    [503, 30],
    [486, undefined],
  ])('goes with a fallback of %i as far as that is about it', async (reject, retryAfterSec) => {
    const bench = new CallBench({ routes: [route({ fallback: { reject } })] });
    const invite = bench.connecting();
    bench.bridge.agentEnded({ ...ENDINGS.unreachable, retryAfterSec: 30 });
    await bench.expectAllOver();
    expect(invite.rejections[0]?.retryAfterSec).toBe(retryAfterSec);
  });
});

describe('keys pressed', () =>
  it('go to the agent, those of a route’s own actions not', async () => {
    const bench = new CallBench({ routes: [route({ dtmf: { '#': { refer: 'sip:desk@pbx.example' } } })] });
    const { dialog, bridge } = await bench.answered();
    bridge.tell({ kind: 'dtmf', digit: '1' });
    dialog.handlers.onDigit?.({ digit: '2', durationMs: 100 });
    bridge.tell({ kind: 'dtmf', digit: '#' });
    expect(bridge.digits).toEqual(['1', '2']);
    expect(bench.logger.lines.some((line) => 'digit' in line)).toBe(false);
    dialog.end();
    await bench.expectAllOver();
  }));

describe('a reload', () =>
  it('reaches calls in progress with its keys alone', async () => {
    const bench = new CallBench({ routes: [route({ targets: [agent('a'), agent('b')] })] });
    const { dialog, bridge } = await bench.answered();
    const targets = ['a', 'b'].map((id) => agent(id, { apiKeys: ['new'] }));
    bench.configure({ routes: [route({ targets })] });
    expect(bridge.keys).toEqual([['new']]);
    bridge.agentEnded(ENDINGS.unreachable);
    expect(bridge.agents.map(({ apiKeys }) => apiKeys)).toEqual([['key'], ['new']]);
    dialog.end();
    await bench.expectAllOver();
  }));
