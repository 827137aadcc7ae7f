import { describe, expect, it } from 'vitest';
import { MediaUnavailable } from '../../src/media/engine.js';
import type { FakeDialog, FakeInvite } from '../support/fake-invite.js';
import type { FakeBridge } from '../support/fake-bridge-pool.js';
import { CallBench, ENDINGS, OFFER, settle } from './call-bench.js';

const MOVED = OFFER.replace('m=audio 4000', 'm=audio 6000');

interface LostCall {
  readonly bench: CallBench;
  readonly invite: FakeInvite;
  readonly dialog: FakeDialog;
  readonly bridge: FakeBridge;
}

/** A call in progress whose media server is gone; the re-INVITE is on its way. */
async function lostCall(): Promise<LostCall> {
  const bench = new CallBench();
  const call = await bench.answered();
  bench.media.lose('FreeSWITCH fs:8021: connection lost');
  await settle();
  expect(call.dialog.offers).toHaveLength(1);
  return { bench, ...call };
}

describe('a call whose media server is lost', () => {
  it('moves the caller by a re-INVITE, tells the bridge, and keeps the agent', async () => {
    const { bench, invite, dialog, bridge } = await lostCall();
    const [offer] = dialog.offers;
    expect(offer).toContain('m=audio 20002 RTP/AVP 0 8 101'); // where the bridge has listened all the time
    expect(offer).toContain('c=IN IP4 198.51.100.4');
    expect(bridge.media).toHaveLength(1);
    dialog.answerOffer(MOVED.replace('0 8 101', '8 101'));
    await settle();
    expect(bridge.media).toHaveLength(2);
    expect(bridge.media[1]).toMatchObject({ encoding: 'PCMA', remote: { address: '192.0.2.7', port: 6_000 } });
    expect(bridge.commands).toEqual(['connect-agent', 'set-media', 'start', 'set-media']);
    expect(bench.controller.call(invite.callId)).toMatchObject({ state: 'active', codec: 'PCMA' });
    // The lost leg is let go of; the new one lives.
    const [lost, next] = bench.media.legs;
    expect([...bench.media.closed]).toEqual([lost]);
    expect(next).toBeDefined();

    const { callId } = invite;
    expect(bench.logger.of('call.media_lost', callId)).toMatchObject([
      { level: 'warn', detail: 'FreeSWITCH fs:8021: connection lost' },
    ]);
    expect(bench.logger.of('call.media_replaced', callId)).toMatchObject([{ level: 'info', codec: 'PCMA' }]);
    dialog.end();
    await bench.expectAllOver();
    expect(bench.record(invite)).toMatchObject({ reason: 'caller_hangup', outcome: 'completed', codec: 'PCMA' });
  });

  it('goes on as any call: hold, resume, BYE', async () => {
    const { bench, dialog, bridge } = await lostCall();
    dialog.answerOffer(MOVED);
    await settle();
    const held = await dialog.handlers.onRenegotiate({ offer: `${MOVED}a=sendonly\r\n`, method: 'INVITE' });
    expect(held).toContain('a=recvonly');
    expect(bridge.media.at(-1)).toMatchObject({ sending: false });
    bridge.agentEnded(ENDINGS.hangup);
    await bench.expectAllOver();
    expect(dialog.byes).toEqual([{ cause: 16, text: 'agent ended the call' }]);
  });

  it('ends with a BYE that says why when the caller will not be moved', async () => {
    const { bench, invite, dialog, bridge } = await lostCall();
    dialog.refuseOffer('488 Not Acceptable Here');
    await bench.expectAllOver();
    expect(dialog.byes).toEqual([{ cause: 41, text: 'media server lost' }]);
    expect(bridge.media).toHaveLength(1);
    expect(bench.media.legs).toHaveLength(2);
    expect(bench.record(invite)).toMatchObject({
      reason: 'media_unavailable',
      detail: 'FreeSWITCH fs:8021: connection lost; 488 Not Acceptable Here',
      endedBy: 'bridge',
      outcome: 'server_error',
      sipStatus: 200,
      level: 'warn',
    });
    expect(bench.logger.of('call.error')).toEqual([]);
  });

  it('ends likewise when the answer cannot be used', async () => {
    const { bench, invite, dialog } = await lostCall();
    dialog.answerOffer(OFFER.replace('0 8 101', '18'));
    await bench.expectAllOver();
    expect(dialog.byes).toMatchObject([{ cause: 41 }]);
    expect(bench.record(invite)).toMatchObject({
      reason: 'media_unavailable',
      detail: expect.stringContaining('none of PCMU, PCMA') as string,
    });
  });

  it('ends at once, without a word to the caller before, when there is nowhere to move to', async () => {
    const bench = new CallBench();
    bench.media.replaceFault = new MediaUnavailable('no FreeSWITCH: fs:8021: connection lost');
    const { invite, dialog } = await bench.answered();
    const lostAtMs = bench.clock.nowMs();
    bench.media.lose('connection lost');
    await bench.expectAllOver();
    expect(bench.clock.nowMs()).toBe(lostAtMs);
    expect(dialog.offers).toEqual([]);
    expect(dialog.byes).toEqual([{ cause: 41, text: 'media server lost' }]);
    expect(bench.record(invite)).toMatchObject({
      reason: 'media_unavailable',
      detail: 'connection lost; no FreeSWITCH: fs:8021: connection lost',
    });
  });

  it('may lose the next one as well', async () => {
    const { bench, invite, dialog, bridge } = await lostCall();
    dialog.answerOffer(MOVED);
    await settle();
    bench.media.lose('the other one, too');
    await settle();
    expect(dialog.offers).toHaveLength(2);
    dialog.answerOffer(OFFER.replace('m=audio 4000', 'm=audio 7000'));
    await settle();
    expect(bridge.media.map(({ remote }) => remote?.port)).toEqual([4_000, 6_000, 7_000]);
    expect(bench.media.closed.size).toBe(2);
    expect(bench.logger.of('call.media_lost', invite.callId)).toHaveLength(2);
    bench.media.replaceFault = new MediaUnavailable('none is left');
    bench.media.lose('and the last');
    await bench.expectAllOver();
    expect(dialog.byes).toMatchObject([{ cause: 41 }]);
    expect(bench.record(invite).detail).toBe('and the last; none is left');
  });
});

describe('a call whose media server is lost before it is answered', () => {
  it('is refused with 503 and Retry-After when the leg was being made', async () => {
    const bench = new CallBench();
    const release = bench.media.hold();
    const invite = bench.connecting();
    bench.bridge.agentReady();
    await settle();
    expect(bench.controller.call(invite.callId)?.state).toBe('answering');
    release();
    bench.media.fault = new MediaUnavailable('FreeSWITCH fs:8021, endpoint: no answer within 3000 ms');
    await bench.expectAllOver();
    expect(invite.rejections).toEqual([{ status: 503, warning: 'no media server', retryAfterSec: 5 }]);
  });

  it('ends as soon as there is a dialog when the 200 is on its way', async () => {
    const bench = new CallBench();
    const invite = bench.connecting({ holdAnswer: true });
    bench.bridge.agentReady();
    await settle();
    bench.media.lose('connection lost');
    await settle();
    // No media for a caller who has not heard any: another server is the next call's chance.
    expect(bench.media.legs).toHaveLength(1);
    invite.confirmAnswer();
    await bench.expectAllOver();
    expect(invite.dialog?.byes).toEqual([{ cause: 41, text: 'media server lost' }]);
    expect(bench.bridge.count('start')).toBe(0);
    expect(bench.record(invite)).toMatchObject({ reason: 'media_unavailable', detail: 'connection lost' });
  });

  it('is refused with 503 when the 200 could not be sent either', async () => {
    const bench = new CallBench();
    const invite = bench.connecting({ holdAnswer: true });
    bench.bridge.agentReady();
    await settle();
    bench.media.lose('connection lost');
    await settle();
    invite.failAnswer('socket closed');
    await settle();
    expect(bench.record(invite)).toMatchObject({ reason: 'media_unavailable', sipStatus: 503 });
    expect(bench.media.closed.size).toBe(1);
    expect(bench.controller.active).toBe(0);
  });
});

describe('a call that ends while its caller is being moved', () => {
  it('by BYE: nothing is left of either leg, and nothing is said any more', async () => {
    const { bench, invite, dialog, bridge } = await lostCall();
    dialog.end();
    await bench.expectAllOver(); // whatever becomes of the re-INVITE
    expect(bench.media.closed.size).toBe(2);
    const told = bridge.commands.length;
    dialog.answerOffer(MOVED);
    await bench.expectAllOver();
    expect(bridge.commands).toHaveLength(told);
    expect(dialog.byes).toEqual([]);
    expect(bench.record(invite).reason).toBe('caller_hangup');
    expect(bench.logger.of('call.media_replaced')).toEqual([]);
  });

  it('by BYE, and the re-INVITE fails for it', async () => {
    const { bench, invite, dialog } = await lostCall();
    dialog.end();
    dialog.refuseOffer('481 Call/Transaction Does Not Exist');
    await bench.expectAllOver();
    expect(bench.record(invite).reason).toBe('caller_hangup');
  });

  it('by the agent', async () => {
    const { bench, invite, dialog } = await lostCall();
    bench.bridge.agentEnded(ENDINGS.hangup);
    await settle();
    dialog.refuseOffer('487 Request Terminated');
    await bench.expectAllOver();
    expect(dialog.byes).toEqual([{ cause: 16, text: 'agent ended the call' }]);
    expect(bench.record(invite).reason).toBe('agent_hangup');
  });

  it('by BYE while the other media server takes its time', async () => {
    const bench = new CallBench();
    const { invite, dialog } = await bench.answered();
    const release = bench.media.hold();
    bench.media.lose('connection lost');
    dialog.end();
    await settle();
    expect(bench.record(invite).reason).toBe('caller_hangup');
    release();
    await bench.expectAllOver();
    expect(dialog.offers).toEqual([]);
    expect(bench.media.legs).toHaveLength(2);
  });

  it('and a loss after the end concerns nobody', async () => {
    const bench = new CallBench();
    const { dialog } = await bench.answered();
    dialog.holdBye = true;
    bench.bridge.agentEnded(ENDINGS.hangup);
    await settle();
    bench.media.lose('connection lost');
    await settle();
    expect(dialog.offers).toEqual([]);
    dialog.answerBye();
    await bench.expectAllOver();
  });
});

it('an offerless call whose media server is lost before the ACK speaks when both are there', async () => {
  const bench = new CallBench();
  const { dialog, bridge } = await bench.answered({ offer: undefined });
  bench.media.lose('connection lost');
  await settle();
  dialog.answerOffer(MOVED);
  await settle();
  expect(bridge.media.at(-1)?.remote?.port).toBe(6_000);
  dialog.handlers.onAck(MOVED);
  await settle();
  expect(bridge.count('start')).toBe(1);
  dialog.end();
  await bench.expectAllOver();
});

it('five hundred calls that lose their media at any moment, and end in any way, leave nothing behind', async () => {
  const bench = new CallBench({ maxConcurrent: 1_000 });
  for (let i = 0; i < 500; i++) {
    bench.media.replaceFault = i % 7 === 0 ? new MediaUnavailable('none') : undefined;
    const invite = bench.connecting({ holdAnswer: i % 5 === 0, offer: i % 11 === 0 ? undefined : OFFER });
    const { bridge } = bench;
    const steps: (() => void)[] = [
      () => bridge.agentReady(),
      () => bench.media.lose('gone'),
      () => {
        if (invite.answers.length > 0 && !invite.dialog && invite.finals === 1) invite.confirmAnswer();
      },
      () => bench.media.lose('gone'),
      () => {
        if (invite.dialog?.reinviting) invite.dialog.answerOffer(i % 3 === 0 ? 'v=0' : MOVED);
      },
      () => bench.media.lose('gone again'),
    ];
    for (const step of steps.slice(i % 2, 1 + (Math.floor(i / 2) % steps.length))) {
      step();
      await settle();
    }
    if (i % 4 === 0) bridge.agentEnded(ENDINGS.hangup);
    else if (i % 4 === 1 && invite.dialog?.byes.length === 0) invite.dialog.end();
    else bench.controller.endAll();
    await settle();
    if (invite.answers.length > 0 && !invite.dialog) invite.confirmAnswer();
    if (invite.dialog?.reinviting) invite.dialog.refuseOffer('481');
    await settle();
  }
  bench.controller.endAll();
  await bench.expectAllOver();
  expect(bench.media.legs.length).toBeGreaterThan(400);
});
