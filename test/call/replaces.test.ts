import { describe, expect, it } from 'vitest';
import { FakeInvite } from '../support/fake-invite.js';
import { CallBench, OFFER, route, settle } from './call-bench.js';

const naming = (callId: string, params = ''): { replaces: string } => ({
  replaces: `${callId};to-tag=ours;from-tag=theirs${params}`,
});

/** The second caller's, elsewhere and in another codec. */
const OTHER_OFFER = OFFER.replaceAll('192.0.2.7', '192.0.2.8').replace('4000 RTP/AVP 0 8', '6000 RTP/AVP 8 0');

/** An INVITE that is no call of its own: the bench's books have no record of it. */
function replace(bench: CallBench, options: ConstructorParameters<typeof FakeInvite>[0] = {}): FakeInvite {
  const invite = new FakeInvite({ offer: OTHER_OFFER, from: 'bob', address: '192.0.2.8', ...options });
  bench.controller.onInvite(invite);
  return invite;
}

describe('an INVITE with Replaces', () => {
  it('takes the caller’s place: the agent stays, the media moves, the one replaced gets a BYE', async () => {
    const bench = new CallBench();
    const { invite, dialog, bridge } = await bench.answered();
    const bob = replace(bench, { headers: naming(invite.callId) });
    await settle();
    expect(bob.rings).toBe(0);
    expect(bob.answers[0]).toContain('m=audio 20002 RTP/AVP 8 101');
    expect(dialog.byes).toEqual([{ cause: 16, text: 'replaced by another call' }]);
    expect(bridge.commands).toEqual(['connect-agent', 'set-media', 'start', 'set-media']);
    expect(bridge.media[1]).toMatchObject({ encoding: 'PCMA', remote: { address: '192.0.2.8', port: 6_000 } });
    expect(bridge.media.map(({ newParty }) => newParty)).toEqual([undefined, true]);
    expect(bench.pool.bridges).toHaveLength(1);
    const known = { callId: invite.callId, replacedBy: [bob.callId], from: 'alice', codec: 'PCMA', state: 'active' };
    expect(bench.controller.call(invite.callId)).toMatchObject(known);
    expect(bench.controller.call(bob.callId)).toMatchObject(known);
    expect(bench.logger.of('call.replaced', invite.callId)).toMatchObject([{ replacedBy: bob.callId, from: 'bob' }]);

    // What the replaced one still says changes nothing.
    dialog.handlers.onEnd({ byPeer: true, reason: 'BYE' });
    dialog.handlers.onDigit?.({ digit: '5', durationMs: 100 });
    await expect(dialog.handlers.onRenegotiate({ offer: OFFER, method: 'INVITE' })).rejects.toMatchObject({
      status: 481,
    });
    expect(bench.logger.of('call.dtmf')).toEqual([]);
    expect(bench.controller.active).toBe(1);
    bob.dialog?.end();
    await bench.expectAllOver();
    expect(bob.dialog?.byes).toEqual([]);
    expect(bench.record(invite)).toMatchObject({ reason: 'caller_hangup', replacedBy: [bob.callId], sipStatus: 200 });
  });

  it('may be replaced in turn, and the last one is hung up on', async () => {
    const bench = new CallBench();
    const { invite, bridge } = await bench.answered();
    const bob = replace(bench, { headers: naming(invite.callId) });
    await settle();
    const carol = replace(bench, { headers: naming(bob.callId) });
    await settle();
    expect(bob.dialog?.byes).toHaveLength(1);
    bridge.agentEnded({ kind: 'agent-hangup', detail: 'the agent ended the call', closeCode: 1000 });
    await bench.expectAllOver();
    expect(carol.dialog?.byes).toEqual([{ cause: 16, text: 'agent ended the call' }]);
    expect(bench.record(invite)).toMatchObject({ replacedBy: [bob.callId, carol.callId], reason: 'agent_hangup' });
  });

  it('without an offer: the media moves when the ACK has brought the answer', async () => {
    const bench = new CallBench();
    const { invite, bridge } = await bench.answered();
    const bob = replace(bench, { headers: naming(invite.callId), offer: undefined });
    await settle();
    expect(bob.answers[0]).toContain('RTP/AVP 0 8 101');
    expect(bridge.media).toHaveLength(1);
    bob.dialog?.handlers.onAck(OTHER_OFFER);
    await settle();
    expect(bridge.media[1]).toMatchObject({ encoding: 'PCMA', newParty: true });
    bob.dialog?.end();
    await bench.expectAllOver();
  });

  it('whose ACK comes before its answer is known to be out', async () => {
    const bench = new CallBench();
    const { invite, bridge } = await bench.answered();
    const bob = replace(bench, { headers: naming(invite.callId), offer: undefined, holdAnswer: true });
    await settle();
    bob.early.handlers.onAck(OTHER_OFFER);
    bob.confirmAnswer();
    await settle();
    expect(bridge.media[1]).toMatchObject({ encoding: 'PCMA', remote: { port: 6_000 } });
    bob.dialog?.end();
    await bench.expectAllOver();
  });

  it.each([
    ['481 where there is none', naming('nobody@nowhere'), 481],
    ['481 where a tag is wrong', { replaces: 'main@a;to-tag=ours;from-tag=guessed' }, 481],
    ['486 where it may only replace a call that rings', naming('main@a', ';early-only'), 486],
    ['400 where it cannot be read', { replaces: 'main@a' }, 400],
    ['400 where there are two', { replaces: 'main@a;to-tag=ours;from-tag=theirs,b;to-tag=1;from-tag=2' }, 400],
    ['400 where it contradicts itself', { ...naming('main@a'), join: 'main@a;to-tag=ours;from-tag=theirs' }, 400],
  ])('is refused with %s', async (_, headers, status) => {
    const bench = new CallBench();
    const { dialog } = await bench.answered({ callId: 'main@a' });
    const bob = bench.receive({ headers });
    await settle();
    expect(bob.rejections).toMatchObject([{ status }]);
    expect(bench.record(bob)).toMatchObject({ reason: 'replaces_refused', sipStatus: status, outcome: 'client_error' });
    expect(dialog.byes).toEqual([]);
    dialog.end();
    await bench.expectAllOver();
  });

  it('is refused as it is whatever the route’s fallback', async () => {
    const bench = new CallBench({ routes: [route({ fallback: { redirect: 'sip:operator@pbx.example' } })] });
    const bob = bench.receive({ headers: naming('nobody@nowhere') });
    expect(bob.rejections).toMatchObject([{ status: 481 }]);
    await bench.expectAllOver();
  });

  it('that can be neither answered nor refused harms no call', async () => {
    const bench = new CallBench();
    const { invite, dialog } = await bench.answered();
    const bob = new FakeInvite({ offer: undefined, headers: naming(invite.callId), holdAnswer: true });
    bob.rejectFault = new Error('no connection');
    bench.controller.onInvite(bob);
    await settle();
    bob.failAnswer('no connection');
    await settle();
    expect(bench.logger.of('call.error', invite.callId)).toHaveLength(1);
    replace(bench, { headers: naming(invite.callId) }).dialog?.end();
    await settle();
    expect(dialog.byes).toHaveLength(1);
    bench.controller.endAll();
    await bench.expectAllOver();
  });

  it('is refused with 603 once the call is over, or its caller replaced, and later with 481', async () => {
    const bench = new CallBench();
    const { invite } = await bench.answered();
    const bob = replace(bench, { headers: naming(invite.callId) });
    await settle();
    const late = bench.receive({ headers: naming(invite.callId) });
    bob.dialog?.end();
    await settle();
    const later = bench.receive({ headers: naming(bob.callId) });
    expect([late, later].map(({ rejections }) => rejections[0]?.status)).toEqual([603, 603]);
    bench.clock.advance(33_000);
    const last = bench.receive({ headers: naming(bob.callId) });
    expect(last.rejections[0]?.status).toBe(481);
    await bench.expectAllOver();
  });

  it('is refused with 481 while the call it names still rings', async () => {
    const bench = new CallBench();
    const alice = bench.connecting();
    const bob = bench.receive({ headers: naming(alice.callId) });
    expect(bob.rejections).toMatchObject([{ status: 481 }]);
    alice.cancel();
    await bench.expectAllOver();
  });

  it('is nobody’s but a caller’s: 403 from elsewhere', async () => {
    const bench = new CallBench({ allow: (address) => address === '192.0.2.7' });
    const { invite, dialog } = await bench.answered();
    const mallory = bench.receive({ headers: naming(invite.callId), address: '203.0.113.9' });
    expect(mallory.rejections).toMatchObject([{ status: 403 }]);
    dialog.end();
    await bench.expectAllOver();
  });

  it('is taken while no new calls are', async () => {
    const bench = new CallBench({ maxConcurrent: 1, routes: [route({ maxConcurrent: 1 })] });
    const { invite } = await bench.answered();
    const idle = bench.controller.drain();
    const bob = replace(bench, { headers: naming(invite.callId) });
    await settle();
    bob.dialog?.end();
    await idle;
    await bench.expectAllOver();
  });

  it('that cannot be answered leaves all as it was', async () => {
    const bench = new CallBench();
    const { invite, dialog, bridge } = await bench.answered();
    const codecs = replace(bench, { headers: naming(invite.callId), offer: OFFER.replace('0 8 101', '18') });
    await settle();
    bench.media.fault = new Error('no media server');
    const unlucky = replace(bench, { headers: naming(invite.callId) });
    await settle();
    bench.media.fault = undefined;
    const canceled = replace(bench, { headers: naming(invite.callId), holdAnswer: true });
    await settle();
    const busy = replace(bench, { headers: naming(invite.callId) });
    canceled.cancel();
    await settle();
    const statuses = [codecs, unlucky, busy].map(({ rejections }) => rejections[0]?.status);
    expect(statuses).toEqual([488, 500, 491]);
    expect(bridge.media).toHaveLength(1);
    expect(bench.media.closed.size).toBe(1);
    expect(dialog.byes).toEqual([]);
    expect(bench.logger.of('call.replace_failed', invite.callId)).toHaveLength(3);
    expect(bench.controller.call(invite.callId)).not.toHaveProperty('replacedBy');
    dialog.end();
    await bench.expectAllOver();
  });

  it('finds the call over: 603, or a BYE where it was answered already', async () => {
    const bench = new CallBench();
    const { invite, bridge } = await bench.answered();
    const release = bench.media.hold();
    const bob = replace(bench, { headers: naming(invite.callId) });
    bridge.agentEnded({ kind: 'agent-hangup', detail: 'the agent ended the call', closeCode: 1000 });
    release();
    await bench.expectAllOver();
    expect(bob.rejections).toMatchObject([{ status: 603 }]);

    const second = await bench.answered();
    const carol = replace(bench, { headers: naming(second.invite.callId), holdAnswer: true });
    await settle();
    second.bridge.agentEnded({ kind: 'agent-hangup', detail: 'the agent ended the call', closeCode: 1000 });
    carol.confirmAnswer();
    await bench.expectAllOver();
    expect(carol.dialog?.byes).toHaveLength(1);
  });

  it('keeps the call when the one replaced hangs up meanwhile, and loses it with it when it comes to nothing', async () => {
    const bench = new CallBench();
    const { invite, dialog } = await bench.answered();
    const bob = replace(bench, { headers: naming(invite.callId), holdAnswer: true });
    await settle();
    dialog.end();
    bob.confirmAnswer();
    await settle();
    expect(bench.controller.call(bob.callId)).toMatchObject({ state: 'active' });
    const carol = replace(bench, { headers: naming(bob.callId), holdAnswer: true });
    await settle();
    bob.dialog?.end();
    carol.cancel();
    await bench.expectAllOver();
    expect(bench.record(invite)).toMatchObject({ reason: 'caller_hangup', replacedBy: [bob.callId] });
  });

  it('keeps the media it brought when the media server of the one replaced is lost', async () => {
    const bench = new CallBench();
    const { invite, dialog } = await bench.answered();
    bench.media.lose();
    await settle();
    expect(dialog.offers).toHaveLength(1);
    const bob = replace(bench, { headers: naming(invite.callId) });
    await settle();
    dialog.refuseOffer('the dialog is over');
    await settle();
    expect(bench.controller.call(bob.callId)).toMatchObject({ state: 'active', codec: 'PCMA' });
    bob.dialog?.end();
    await bench.expectAllOver();
  });
});
