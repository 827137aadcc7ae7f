import { describe, expect, it } from 'vitest';
import { RenegotiationRefused } from '../../src/signaling/sip-endpoint.js';
import { STATS } from '../support/fake-bridge-pool.js';
import { CallBench, ENDINGS, OFFER, route, settle } from './call-bench.js';
import { agent, workflow } from '../support/targets.js';

describe('a call ends', () => {
  it('by the caller: the record says all there is to say', async () => {
    const bench = new CallBench();
    const { invite, dialog } = await bench.answered({ callId: 'abc@pbx', from: 'bob', number: '15551234' });
    bench.clock.advance(9_860);
    dialog.end();
    await bench.expectAllOver();
    expect(bench.record(invite)).toEqual({
      level: 'info',
      event: 'call.ended',
      agentCallId: expect.stringMatching(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/) as string,
      callId: 'abc@pbx',
      from: 'bob',
      to: '15551234',
      did: '15551234',
      route: 'main',
      mode: 'websocket',
      agentId: 'agent-1',
      sipEngine: 'embedded',
      mediaEngine: 'embedded',
      codec: 'PCMU',
      receivedAt: '2026-01-02T03:04:05.000Z',
      answeredAt: '2026-01-02T03:04:05.140Z',
      endedAt: '2026-01-02T03:04:15.000Z',
      durationMs: 10_000,
      endedBy: 'caller',
      reason: 'caller_hangup',
      detail: 'the caller hung up',
      outcome: 'completed',
      sipStatus: 200,
      interruptions: STATS.interruptions,
      reconnects: STATS.reconnects,
      uplink: STATS.uplink,
      downlink: STATS.downlink,
      firstAudioMs: STATS.firstAudioMs,
    });
  });

  it("by the agent: BYE once the bridge says that the agent's last words are played", async () => {
    const bench = new CallBench();
    const { invite, dialog, bridge } = await bench.answered();
    bridge.agentEnded(ENDINGS.hangup);
    await bench.expectAllOver();
    expect(dialog.byes).toEqual([{ cause: 16, text: 'agent ended the call' }]);
    expect(bench.record(invite)).toMatchObject({
      reason: 'agent_hangup',
      endedBy: 'agent',
      outcome: 'completed',
      closeCode: 1000,
      sipStatus: 200,
    });
    expect(bench.logger.of('call.rejected')).toEqual([]);
  });

  it('by the loss of the agent, after the other targets', async () => {
    const bench = new CallBench({ routes: [route({ targets: [agent('a'), agent('b')] })] });
    const { invite, dialog, bridge } = await bench.answered();
    bridge.agentEnded(ENDINGS.unreachable);
    expect(bridge.agents).toHaveLength(2);
    bridge.agentReady();
    expect(bench.controller.call(invite.callId)?.state).toBe('active');
    bridge.agentEnded(ENDINGS.configuration);
    await bench.expectAllOver();
    expect(dialog.byes).toEqual([{ cause: 41, text: ENDINGS.configuration.detail }]);
    expect(bench.record(invite)).toMatchObject({ reason: 'agent_configuration', outcome: 'upstream_error' });
    expect(bench.agentOutcomes).toEqual([true, false, true, false]);
  });

  it('when no RTP comes', async () => {
    const bench = new CallBench();
    const { invite, dialog, bridge } = await bench.answered();
    bridge.tell({ kind: 'rtp-timeout', silentMs: 30_012.4 });
    await bench.expectAllOver();
    expect(dialog.byes).toEqual([{ cause: 102, text: 'no RTP' }]);
    expect(bench.record(invite)).toMatchObject({
      reason: 'rtp_timeout',
      detail: 'no RTP from the caller for 30012 ms',
      endedBy: 'bridge',
      outcome: 'client_error',
    });
  });

  it('at its maximum duration, to the millisecond, counted from the answer', async () => {
    const bench = new CallBench({ maxDurationMs: 60_000 });
    const { invite, dialog } = await bench.answered();
    bench.clock.advance(59_999);
    await settle();
    expect(bench.controller.active).toBe(1);
    bench.clock.advance(1);
    await bench.expectAllOver();
    expect(dialog.byes).toEqual([{ cause: 31, text: 'maximum call duration' }]);
    expect(bench.record(invite)).toMatchObject({ reason: 'max_duration', outcome: 'completed', durationMs: 60_140 });
  });

  it('when the 200 is never acknowledged: the SIP agent has sent the BYE', async () => {
    const bench = new CallBench();
    const { invite, dialog } = await bench.answered();
    bench.clock.advance(32_000);
    dialog.end(false, 'no ACK');
    await bench.expectAllOver();
    expect(dialog.byes).toEqual([]);
    expect(bench.record(invite)).toMatchObject({ reason: 'no_ack', detail: 'no ACK', endedBy: 'bridge' });
  });

  it('when the daemon shuts down: every call, whatever it is doing', async () => {
    const bench = new CallBench();
    const { dialog } = await bench.answered();
    const connecting = bench.connecting();
    const answering = bench.connecting({ holdAnswer: true });
    bench.bridge.agentReady();
    await settle();
    const idle = bench.controller.drain();
    bench.controller.endAll();
    answering.confirmAnswer();
    await idle;
    await bench.expectAllOver();
    expect(dialog.byes).toEqual([{ cause: 41, text: 'shutting down' }]);
    expect(connecting.rejections).toMatchObject([{ status: 503, retryAfterSec: 5 }]);
    expect(answering.dialog?.byes).toEqual([{ cause: 41, text: 'shutting down' }]);
    expect(bench.invites.map((invite) => bench.record(invite).reason)).toEqual(['shutdown', 'shutdown', 'shutdown']);
  });

  it('for the first reason: what comes later changes nothing', async () => {
    const bench = new CallBench();
    const { invite, dialog, bridge } = await bench.answered();
    dialog.holdBye = true;
    bridge.agentEnded(ENDINGS.hangup);
    await settle();
    dialog.end(); // their BYE crosses ours
    bridge.agentEnded(ENDINGS.unreachable);
    bridge.tell({ kind: 'rtp-timeout', silentMs: 1 });
    bench.controller.endAll();
    bench.clock.advance(700_000);
    await settle();
    expect(bench.controller.call(invite.callId)?.state).toBe('closing');
    dialog.answerBye();
    await settle();
    expect(dialog.byes).toHaveLength(1);
    expect(bench.record(invite)).toMatchObject({ reason: 'agent_hangup', endedBy: 'agent' });
    expect(bench.controller.active).toBe(0);
    expect(bench.clock.pendingTimers).toBe(0);
    expect(bridge.count('close')).toBe(1);
  });

  it('only when its bridge is closed, with the last figures', async () => {
    const bench = new CallBench();
    bench.pool.holdClosed = true;
    const { invite, dialog, bridge } = await bench.answered();
    dialog.end();
    await settle();
    expect(bench.controller.active).toBe(1);
    bridge.closed();
    await bench.expectAllOver();
    expect(bench.record(invite).uplink).toEqual(STATS.uplink);
  });
});

describe('an INVITE without an offer', () => {
  it('gets ours, and the ACK brings the answer', async () => {
    const bench = new CallBench();
    const { invite, dialog, bridge } = await bench.answered({ offer: undefined });
    expect(invite.answers[0]).toContain('m=audio 20002 RTP/AVP 0 8 101');
    expect(bridge.commands).toEqual(['connect-agent']);
    dialog.handlers.onAck(OFFER.replace('0 8 101', '8 101'));
    await settle();
    expect(bridge.commands).toEqual(['connect-agent', 'confirm', 'set-media', 'start']);
    expect(bridge.media[0]).toMatchObject({ encoding: 'PCMA', payloadType: 8, telephoneEventPayloadType: 101 });
    dialog.handlers.onAck(OFFER); // retransmitted
    await settle();
    expect([bridge.count('set-media'), bridge.count('start')]).toEqual([1, 1]);
    dialog.end();
    await bench.expectAllOver();
    expect(bench.record(invite).codec).toBe('PCMA');
  });

  it.each([undefined, 'v=0\r\n', OFFER.replace('0 8 101', '18')])(
    'ends when the ACK brings none we can use: %j',
    async (sdp) => {
      const bench = new CallBench();
      const { invite, dialog } = await bench.answered({ offer: undefined });
      dialog.handlers.onAck(sdp);
      await bench.expectAllOver();
      expect(dialog.byes).toMatchObject([{ cause: 31 }]);
      expect(bench.record(invite)).toMatchObject({ reason: 'not_acceptable', sipStatus: 200 });
      expect(bench.bridge.count('start')).toBe(0);
    },
  );

  it('is not started by an ACK that comes after the end', async () => {
    const bench = new CallBench();
    const { dialog, bridge } = await bench.answered({ offer: undefined });
    dialog.end();
    dialog.handlers.onAck(OFFER);
    await bench.expectAllOver();
    expect(bridge.commands).toEqual(['connect-agent', 'close']);
  });
});

describe('a re-INVITE', () => {
  const versionOf = (sdp: string | undefined): string | undefined => /o=- \d+ (\d+) /.exec(sdp ?? '')?.[1];

  it('may hold, resume and move the media', async () => {
    const bench = new CallBench();
    const { invite, dialog, bridge } = await bench.answered();
    const { handlers } = dialog;
    const held = await handlers.onRenegotiate({ offer: `${OFFER}a=sendonly\r\n`, method: 'INVITE' });
    expect(held).toContain('a=recvonly');
    expect(bridge.media.at(-1)).toMatchObject({ sending: false, receiving: true });
    const resumed = await handlers.onRenegotiate({ offer: OFFER, method: 'INVITE' });
    expect(resumed).toContain('a=sendrecv');
    expect(bridge.media.at(-1)).toMatchObject({ sending: true, receiving: true });
    const moving = OFFER.replace('m=audio 4000', 'm=audio 6000');
    const moved = await handlers.onRenegotiate({ offer: moving, method: 'UPDATE' });
    expect(bridge.media.at(-1)?.remote).toEqual({ address: '192.0.2.7', port: 6_000 });
    expect([invite.answers[0], held, resumed, moved].map(versionOf)).toEqual(['1', '2', '3', '4']);
    expect(bench.logger.of('call.renegotiated')).toMatchObject([
      { codec: 'PCMU', sending: false },
      { codec: 'PCMU', sending: true },
      { codec: 'PCMU', sending: true },
    ]);
    dialog.end();
    await bench.expectAllOver();
  });

  it('may change the codec', async () => {
    const bench = new CallBench();
    const { invite, dialog, bridge } = await bench.answered();
    await dialog.handlers.onRenegotiate({ offer: OFFER.replace('0 8 101', '8'), method: 'INVITE' });
    expect(bridge.media.at(-1)).toMatchObject({ encoding: 'PCMA', payloadType: 8 });
    dialog.end();
    await bench.expectAllOver();
    expect(bench.record(invite).codec).toBe('PCMA');
  });

  it('we cannot accept is refused with 488, and the call goes on as it was', async () => {
    const bench = new CallBench();
    const { invite, dialog, bridge } = await bench.answered();
    for (const offer of ['', 'nonsense', OFFER.replace('0 8 101', '18'), OFFER.replace('4000', '0')]) {
      const renegotiated = dialog.handlers.onRenegotiate({ offer, method: 'INVITE' });
      await expect(renegotiated).rejects.toBeInstanceOf(RenegotiationRefused);
      await expect(renegotiated).rejects.toMatchObject({ status: 488 });
    }
    expect(bridge.media).toHaveLength(1);
    expect(bench.controller.call(invite.callId)?.state).toBe('active');
    dialog.end();
    await bench.expectAllOver();
  });

  it('without an offer gets ours, and the ACK brings the answer', async () => {
    const bench = new CallBench();
    const { dialog, bridge } = await bench.answered();
    const offer = await dialog.handlers.onRenegotiate({ offer: undefined, method: 'INVITE' });
    expect(versionOf(offer)).toBe('2');
    expect(offer).toContain('m=audio 20002 RTP/AVP 0 8 101');
    dialog.handlers.onAck(OFFER.replace('4000', '4100'));
    await settle();
    expect(bridge.media.at(-1)?.remote?.port).toBe(4_100);
    dialog.end();
    await bench.expectAllOver();
  });

  it('without an offer whose ACK brings no answer leaves the call as it was', async () => {
    const bench = new CallBench();
    const { invite, dialog, bridge } = await bench.answered();
    await dialog.handlers.onRenegotiate({ offer: undefined, method: 'INVITE' });
    dialog.handlers.onAck(undefined);
    await settle();
    expect(bench.controller.call(invite.callId)?.state).toBe('active');
    expect(bridge.media).toHaveLength(1);
    dialog.end();
    await bench.expectAllOver();
  });

  it('UPDATE without an offer is a session refresh', async () => {
    const bench = new CallBench();
    const { dialog, bridge } = await bench.answered();
    expect(await dialog.handlers.onRenegotiate({ offer: undefined, method: 'UPDATE' })).toBeUndefined();
    dialog.handlers.onAck(undefined);
    await settle();
    expect(bridge.media).toHaveLength(1);
    expect(bench.logger.of('call.renegotiated')).toEqual([]);
    dialog.end();
    await bench.expectAllOver();
  });

  it('comes too late when the call is over', async () => {
    const bench = new CallBench();
    const { dialog } = await bench.answered();
    const { handlers } = dialog;
    dialog.end();
    await expect(handlers.onRenegotiate({ offer: OFFER, method: 'INVITE' })).rejects.toMatchObject({
      name: 'RenegotiationRefused',
      status: 481,
    });
    await bench.expectAllOver();
  });
});

describe('during a call', () => {
  it('what the agent and the caller do is logged, digits without saying which', async () => {
    const bench = new CallBench();
    const { invite, dialog, bridge } = await bench.answered();
    bridge.tell({ kind: 'interrupted', interruption: { reactionMs: 14, discardedMs: 800 } });
    bridge.tell({ kind: 'agent-reconnecting', ending: ENDINGS.unreachable, attempt: 1, delayMs: 151.7 });
    bridge.tell({ kind: 'agent-reconnected', outageMs: 260.3 });
    bridge.tell({ kind: 'dtmf', digit: '7' });
    expect(bench.logger.of('agent.interrupted')).toMatchObject([{ reactionMs: 14, discardedMs: 800 }]);
    expect(bench.logger.of('agent.reconnecting')).toMatchObject([{ attempt: 1, delayMs: 152, level: 'warn' }]);
    expect(bench.logger.of('agent.reconnected')).toMatchObject([{ outageMs: 260 }]);
    expect(bench.logger.of('call.dtmf')).toEqual([
      { level: 'info', event: 'call.dtmf', callId: invite.callId, path: 'telephone-event' },
    ]);
    dialog.end();
    await bench.expectAllOver();
  });

  it('its snapshot has the latest figures', async () => {
    const bench = new CallBench();
    const { invite, dialog, bridge } = await bench.answered();
    expect(bench.controller.call(invite.callId)).not.toHaveProperty('media');
    bridge.tell({ kind: 'stats', stats: STATS });
    expect(bench.controller.calls()).toMatchObject([{ callId: invite.callId, media: STATS }]);
    expect(bench.controller.call('another')).toBeUndefined();
    dialog.end();
    await bench.expectAllOver();
  });

  it('new settings are for the calls to come', async () => {
    const bench = new CallBench({ maxDurationMs: 60_000 });
    const first = await bench.answered();
    bench.configure({
      routes: [route({ name: 'new', targets: [workflow('w')] })],
      ...{ maxConcurrent: 2, maxDurationMs: 10_000 },
    });
    const second = await bench.answered();
    bench.clock.advance(10_000);
    await settle();
    expect(bench.record(second.invite)).toMatchObject({ reason: 'max_duration', route: 'new', workflowId: 'w' });
    expect(bench.controller.maxConcurrent).toBe(2);
    expect(bench.controller.call(first.invite.callId)).toMatchObject({ state: 'active', route: 'main' });
    first.dialog.end();
    await bench.expectAllOver();
  });
});

it('a thousand calls, ended in every way at any moment, leave nothing behind', async () => {
  const bench = new CallBench({
    maxConcurrent: 30,
    routes: [route({ targets: [agent('a'), agent('b')], fallback: { reject: 486 } })],
  });
  for (let i = 0; i < 1_000; i++) {
    const invite = bench.receive({ holdAnswer: i % 3 === 0 });
    const bridge = bench.pool.bridges.at(-1);
    const steps: (() => void)[] = [
      () => bridge?.opened(),
      () => bridge?.agentReady(),
      () => {
        if (invite.answers.length > 0 && !invite.dialog && i % 3 === 0 && !invite.canceled) invite.confirmAnswer();
      },
      () => bridge?.tell({ kind: 'stats', stats: STATS }),
    ];
    const ends: (() => void)[] = [
      () => bridge?.agentEnded(ENDINGS.hangup),
      () => {
        bridge?.agentEnded(ENDINGS.unreachable);
        bridge?.agentEnded(ENDINGS.configuration);
      },
      () => bridge?.tell({ kind: 'open-failed', detail: 'full' }),
      () => {
        if (invite.dialog) invite.dialog.end();
        else if (invite.finals === 0) invite.cancel();
        else bridge?.agentEnded(ENDINGS.hangup);
      },
      () => bench.controller.endAll(),
    ];
    const endAfter = Math.floor(i / ends.length) % (steps.length + 1);
    for (const step of steps.slice(0, endAfter)) {
      step();
      await settle();
      bench.clock.advance(7);
    }
    ends[i % ends.length]?.();
    await settle();
    if (invite.answers.length > 0 && !invite.dialog && !invite.canceled) invite.confirmAnswer();
    await settle();
  }
  await bench.expectAllOver();
  const reasons = new Set(bench.invites.map((invite) => bench.record(invite).reason));
  expect(reasons.size).toBeGreaterThanOrEqual(6);
});
