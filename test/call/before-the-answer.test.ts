import { describe, expect, it } from 'vitest';
import { MediaUnavailable } from '../../src/media/engine.js';
import { CallBench, ENDINGS, OFFER, route, settle } from './call-bench.js';
import { agent, workflow } from '../support/targets.js';

describe('a call that is answered', () => {
  it('rings, connects the agent, listens, answers and speaks, in that order', async () => {
    const bench = new CallBench();
    const { invite, bridge } = await bench.answered();
    expect(invite.rings).toBe(1);
    expect(invite.answers).toHaveLength(1);
    expect(invite.answers[0]).toContain('m=audio 20002 RTP/AVP 0 101');
    expect(invite.answers[0]).toContain('c=IN IP4 198.51.100.4');
    expect(bridge.commands).toEqual(['connect-agent', 'set-media', 'start']);
    expect(bridge.agents).toEqual([
      {
        mode: 'websocket',
        baseUrl: 'wss://pranthora.example',
        target: { agentId: 'agent-1' },
        apiKeys: ['key'],
        agentCallId: bench.controller.call(invite.callId)?.agentCallId,
        encoding: 'mulaw',
        callSid: invite.callId,
        customParameters: { from: 'alice', to: '15551234', did: '15551234', sipCallId: invite.callId },
      },
    ]);
    expect(bridge.media[0]).toMatchObject({ encoding: 'PCMU', remote: { address: '192.0.2.7', port: 4_000 } });
    expect(bench.agentOutcomes).toEqual([true]);

    const { callId } = invite;
    expect(bench.logger.lines.map(({ event, callId: of }) => [event, of])).toEqual(
      ['call.received', 'call.routed', 'agent.connected', 'call.answered'].map((event) => [event, callId]),
    );
    expect(JSON.stringify(bench.logger.lines)).not.toContain('"key"');
    expect(bench.controller.call(callId)).toMatchObject({ state: 'active', codec: 'PCMU', durationMs: 140 });
    invite.dialog?.end();
    await bench.expectAllOver();
  });

  it('is not answered before the agent is ready', async () => {
    const bench = new CallBench();
    const invite = bench.connecting();
    bench.clock.advance(3_000);
    await settle();
    expect(invite.finals).toBe(0);
    expect(bench.controller.call(invite.callId)?.state).toBe('connecting');
    invite.cancel();
    await bench.expectAllOver();
  });
});

describe('a call whose agent fails before the answer', () => {
  it('is refused with 500 and a Warning for a fault of configuration', async () => {
    const bench = new CallBench();
    const invite = bench.connecting();
    bench.bridge.agentEnded(ENDINGS.configuration);
    await bench.expectAllOver();
    expect(invite.rejections).toEqual([{ status: 500, warning: ENDINGS.configuration.detail }]);
    expect(bench.record(invite)).toMatchObject({
      reason: 'agent_configuration',
      endedBy: 'bridge',
      outcome: 'upstream_error',
      sipStatus: 500,
      closeCode: 4001,
      level: 'warn',
    });
    expect(bench.logger.of('call.rejected')).toMatchObject([{ callId: invite.callId, sipStatus: 500, level: 'warn' }]);
    expect(bench.agentOutcomes).toEqual([false]);
  });

  it('is refused with 503 and Retry-After when the agent cannot be reached', async () => {
    const bench = new CallBench();
    const invite = bench.connecting();
    bench.bridge.agentEnded(ENDINGS.unreachable);
    await bench.expectAllOver();
    expect(invite.rejections).toEqual([{ status: 503, warning: ENDINGS.unreachable.detail, retryAfterSec: 5 }]);
    expect(bench.record(invite)).toMatchObject({
      reason: 'agent_unreachable',
      outcome: 'upstream_error',
      sipStatus: 503,
    });
  });

  it('is refused with 480 when the agent declines', async () => {
    const bench = new CallBench();
    const invite = bench.connecting();
    bench.bridge.agentEnded(ENDINGS.hangup);
    await bench.expectAllOver();
    expect(invite.rejections).toEqual([{ status: 480, warning: ENDINGS.hangup.detail }]);
    expect(bench.record(invite)).toMatchObject({ reason: 'agent_hangup', endedBy: 'agent', sipStatus: 480 });
    expect(bench.agentOutcomes).toEqual([]);
  });

  it("goes to the route's targets in order", async () => {
    const targets = [agent('a'), workflow('w'), agent('b')];
    const bench = new CallBench({ routes: [route({ targets })] });
    const invite = bench.connecting();
    bench.bridge.agentEnded(ENDINGS.configuration);
    bench.bridge.agentEnded(ENDINGS.unreachable);
    expect(bench.bridge.agents.map(({ target }) => target)).toEqual([
      { agentId: 'a' },
      { workflowId: 'w' },
      { agentId: 'b' },
    ]);
    expect(invite.finals).toBe(0);
    bench.bridge.agentReady();
    await settle();
    expect(bench.controller.call(invite.callId)).toMatchObject({ state: 'active', agentId: 'b' });
    expect(bench.logger.of('agent.failed')).toHaveLength(2);
    invite.dialog?.end();
    await bench.expectAllOver();
    expect(bench.record(invite)).toMatchObject({ agentId: 'b', reason: 'caller_hangup' });
    expect(bench.record(invite)).not.toHaveProperty('workflowId');
  });

  it('is refused for what the last target said', async () => {
    const bench = new CallBench({ routes: [route({ targets: [agent('a'), agent('b')] })] });
    const invite = bench.connecting();
    bench.bridge.agentEnded(ENDINGS.configuration);
    bench.bridge.agentEnded(ENDINGS.unreachable);
    await bench.expectAllOver();
    expect(invite.rejections).toMatchObject([{ status: 503 }]);
  });

  it('does not try another target when the agent declines', async () => {
    const bench = new CallBench({ routes: [route({ targets: [agent('a'), agent('b')] })] });
    const invite = bench.connecting();
    bench.bridge.agentEnded(ENDINGS.hangup);
    await bench.expectAllOver();
    expect(bench.bridge.agents).toHaveLength(1);
    expect(invite.rejections).toMatchObject([{ status: 480 }]);
  });

  it.each([
    {
      fallback: { redirect: 'sip:reception@pbx.example' },
      rejection: { status: 302, contact: 'sip:reception@pbx.example' },
    },
    { fallback: { reject: 486 }, rejection: { status: 486, warning: ENDINGS.unreachable.detail } },
  ])("takes the route's fallback: $rejection.status", async ({ fallback, rejection }) => {
    const bench = new CallBench({ routes: [route({ fallback })] });
    const invite = bench.connecting();
    bench.bridge.agentEnded(ENDINGS.unreachable);
    await bench.expectAllOver();
    expect(invite.rejections).toEqual([rejection]);
    // The record keeps what went wrong.
    expect(bench.record(invite)).toMatchObject({ sipStatus: rejection.status, reason: 'agent_unreachable' });
  });
});

/** Why, but not where calls go instead. */
const FORBIDDEN = { status: 403, warning: expect.stringMatching(/^[\d.]+ is not in sip\.allow$/) as string };

describe('a call that is refused at once', () => {
  it.each(['v=0\r\n', OFFER.replace('RTP/AVP', 'RTP/SAVP'), OFFER.replace('0 8 101', '18')])(
    'with 488: %j',
    async (offer) => {
      const bench = new CallBench();
      const invite = bench.receive({ offer });
      await bench.expectAllOver();
      expect(invite.rejections).toMatchObject([{ status: 488, warning: expect.stringMatching(/./) as string }]);
      expect(invite.rings).toBe(0);
      expect(bench.pool.bridges).toHaveLength(0);
      expect(bench.record(invite)).toMatchObject({ reason: 'not_acceptable', outcome: 'client_error', sipStatus: 488 });
      expect(bench.record(invite)).not.toHaveProperty('answeredAt');
    },
  );

  it('with 403 and no more when it comes from a stranger, whatever the route has to offer', async () => {
    const allow = (address: string): boolean => address === '192.0.2.7';
    const bench = new CallBench({ allow, routes: [route({ fallback: { redirect: 'sip:reception@pbx.example' } })] });
    const invite = bench.receive({ address: '203.0.113.5' });
    await settle();
    expect(invite.rejections).toEqual([FORBIDDEN]);
    expect(invite.rings).toBe(0);
    expect(bench.pool.bridges).toHaveLength(0);
    expect(bench.record(invite)).toMatchObject({
      reason: 'forbidden',
      detail: '203.0.113.5 is not in sip.allow',
      endedBy: 'bridge',
      outcome: 'client_error',
      sipStatus: 403,
      level: 'info',
    });
    const { dialog } = await bench.answered(); // from one who may
    dialog.end();
    await bench.expectAllOver();
  });

  it('with 403 from a stranger also when it would be refused anyway', async () => {
    const bench = new CallBench({ allow: () => false, routes: [], maxConcurrent: 0 });
    const invite = bench.receive();
    await bench.expectAllOver();
    expect(invite.rejections).toEqual([FORBIDDEN]);
  });

  it('with 404 when no route takes it', async () => {
    const bench = new CallBench({ routes: [route({ match: { did: '15550000' } })] });
    const invite = bench.receive({ number: '+1 (555) 1234' });
    await bench.expectAllOver();
    expect(invite.rejections).toMatchObject([{ status: 404 }]);
    expect(bench.record(invite)).toMatchObject({ reason: 'no_route', did: '+15551234' });
    expect(bench.record(invite)).not.toHaveProperty('route');
  });

  it('with 503 when its source has as many calls as it may, until one has ended; others are taken', async () => {
    const bench = new CallBench({ maxCallsPerSource: 1 });
    const { dialog } = await bench.answered();
    const refused = bench.receive();
    await settle();
    expect(refused.rejections).toEqual([
      { status: 503, retryAfterSec: 5, warning: 'sip.maxCallsPerSource (1) reached' },
    ]);
    expect(bench.record(refused)).toMatchObject({
      ...{ reason: 'source_at_capacity', outcome: 'client_error', sipStatus: 503 },
      detail: 'sip.maxCallsPerSource (1) reached by 192.0.2.7',
    });
    expect(bench.sourcesAtCapacity).toBe(1);
    const elsewhere = await bench.answered({ address: '192.0.2.8' });
    dialog.end();
    await settle();
    const { dialog: next } = await bench.answered();
    next.end();
    elsewhere.dialog.end();
    await bench.expectAllOver();
  });

  it('with 503 when the bridge is full, until a call has ended', async () => {
    const bench = new CallBench({ maxConcurrent: 1 });
    const { dialog } = await bench.answered();
    const refused = bench.receive();
    await settle();
    expect(refused.rejections).toMatchObject([{ status: 503, retryAfterSec: 5 }]);
    expect(bench.record(refused)).toMatchObject({ reason: 'at_capacity', outcome: 'server_error' });
    dialog.end();
    await settle();
    const next = await bench.answered();
    next.dialog.end();
    await bench.expectAllOver();
  });

  it('with 503 when its route is full, while others are not', async () => {
    const routes = [
      route({ name: 'one', match: { did: '111' }, maxConcurrent: 1 }),
      route({ name: 'two', match: { did: '222' } }),
    ];
    const bench = new CallBench({ routes });
    const first = await bench.answered({ number: '111' });
    const refused = bench.receive({ number: '111' });
    const other = await bench.answered({ number: '222' });
    expect(refused.rejections).toMatchObject([{ status: 503, warning: expect.stringContaining('one') as string }]);
    first.dialog.end();
    other.dialog.end();
    await bench.expectAllOver();
  });

  it('with 503 while draining, and drain ends with the last call', async () => {
    const bench = new CallBench();
    const { dialog } = await bench.answered();
    let drained = false;
    const draining = bench.controller.drain().then(() => (drained = true));
    const refused = bench.receive();
    await settle();
    expect(refused.rejections).toMatchObject([{ status: 503 }]);
    expect(bench.record(refused).reason).toBe('draining');
    expect(drained).toBe(false);
    dialog.end();
    await draining;
    await bench.expectAllOver();
    await bench.controller.drain(); // at once: there is nothing left
  });

  it('with 503 when no RTP port is free', async () => {
    const bench = new CallBench();
    const invite = bench.receive();
    bench.bridge.tell({ kind: 'open-failed', detail: 'No RTP port is free' });
    await bench.expectAllOver();
    expect(invite.rejections).toMatchObject([{ status: 503, retryAfterSec: 5 }]);
    expect(bench.record(invite)).toMatchObject({ reason: 'no_media_port', detail: 'No RTP port is free' });
  });

  it('with 503 when no media server would take it', async () => {
    const bench = new CallBench();
    bench.media.fault = new MediaUnavailable('no FreeSWITCH: fs:8021: connection lost');
    const invite = bench.connecting();
    bench.bridge.agentReady();
    await bench.expectAllOver();
    expect(invite.rejections).toEqual([{ status: 503, warning: 'no media server', retryAfterSec: 5 }]);
    expect(bench.record(invite)).toMatchObject({
      reason: 'media_unavailable',
      detail: 'no FreeSWITCH: fs:8021: connection lost',
      endedBy: 'bridge',
      outcome: 'server_error',
      sipStatus: 503,
      level: 'warn',
    });
    expect(bench.logger.of('call.error')).toEqual([]);
  });

  it('with 500 when the media engine fails, everything released', async () => {
    const bench = new CallBench();
    bench.media.fault = new Error('no room');
    const invite = bench.connecting();
    bench.bridge.agentReady();
    await bench.expectAllOver();
    expect(invite.rejections).toMatchObject([{ status: 500 }]);
    expect(bench.record(invite)).toMatchObject({ reason: 'internal_error', detail: 'no room' });
    expect(bench.logger.of('call.error')).toHaveLength(1);
  });
});

describe('CANCEL', () => {
  it.each(['before the port is open', 'while connecting'])('%s', async (when) => {
    const bench = new CallBench();
    const invite = when === 'while connecting' ? bench.connecting() : bench.receive();
    bench.clock.advance(500);
    invite.cancel();
    bench.bridge.opened();
    bench.bridge.agentReady();
    await bench.expectAllOver();
    expect(invite.rejections).toEqual([]);
    expect(bench.bridge.commands.at(-1)).toBe('close');
    expect(bench.record(invite)).toMatchObject({
      reason: 'caller_cancel',
      endedBy: 'caller',
      outcome: 'client_error',
      sipStatus: 487,
      level: 'info',
    });
    expect(bench.logger.of('call.rejected')).toEqual([]);
  });

  it('while the media server makes the leg: it is released as soon as it is there', async () => {
    const bench = new CallBench();
    const invite = bench.connecting();
    const release = bench.media.hold();
    bench.bridge.agentReady();
    await settle();
    invite.cancel();
    await settle();
    expect(bench.bridge.isClosed).toBe(true);
    expect(bench.media.legs).toEqual([]);
    release();
    await bench.expectAllOver();
    expect(bench.media.legs).toHaveLength(1);
    expect(invite.answers).toEqual([]);
    expect(bench.record(invite)).toMatchObject({ reason: 'caller_cancel', sipStatus: 487 });
  });

  it('while the 200 is on its way', async () => {
    const bench = new CallBench();
    const invite = bench.connecting({ holdAnswer: true });
    bench.bridge.agentReady();
    await settle();
    expect(invite.answers).toHaveLength(1);
    invite.cancel();
    await bench.expectAllOver();
    expect(bench.record(invite)).toMatchObject({ reason: 'caller_cancel', sipStatus: 487 });
    expect(bench.record(invite)).not.toHaveProperty('answeredAt');
  });

  it('that crosses the 200: the dialog nobody wants is ended', async () => {
    const bench = new CallBench();
    const invite = bench.connecting({ holdAnswer: true });
    bench.bridge.agentReady();
    await settle();
    // The SIP agent learns of both; the call hears of the CANCEL first and of its dialog afterwards.
    invite.onCancel?.();
    invite.confirmAnswer();
    await bench.expectAllOver();
    expect(invite.dialog?.byes).toHaveLength(1);
    expect(bench.bridge.count('start')).toBe(0);
    expect(bench.record(invite)).toMatchObject({ reason: 'caller_cancel', endedBy: 'caller' });
  });
});

describe('while the 200 is on its way', () => {
  it('BYE ends the call, without one of ours', async () => {
    const bench = new CallBench();
    const invite = bench.connecting({ holdAnswer: true });
    bench.bridge.agentReady();
    await settle();
    invite.early.end();
    invite.confirmAnswer();
    await bench.expectAllOver();
    expect(invite.dialog?.byes).toEqual([]);
    expect(bench.bridge.count('start')).toBe(0);
    expect(bench.record(invite)).toMatchObject({ reason: 'caller_hangup', sipStatus: 200 });
  });

  it('the agent may hang up: the call waits for its dialog to end it', async () => {
    const bench = new CallBench();
    const invite = bench.connecting({ holdAnswer: true });
    bench.bridge.agentReady();
    await settle();
    bench.bridge.agentEnded(ENDINGS.hangup);
    await settle();
    expect(bench.controller.active).toBe(1);
    invite.confirmAnswer();
    await bench.expectAllOver();
    expect(invite.rejections).toEqual([]);
    expect(invite.dialog?.byes).toEqual([{ cause: 16, text: 'agent ended the call' }]);
    expect(bench.record(invite)).toMatchObject({ reason: 'agent_hangup', sipStatus: 200 });
  });

  it('another target may take over', async () => {
    const bench = new CallBench({ routes: [route({ targets: [agent('a'), agent('b')] })] });
    const invite = bench.connecting({ holdAnswer: true });
    bench.bridge.agentReady();
    await settle();
    bench.bridge.agentEnded(ENDINGS.unreachable);
    bench.bridge.agentReady();
    invite.confirmAnswer();
    await settle();
    expect(invite.answers).toHaveLength(1);
    expect(bench.logger.of('agent.connected')).toMatchObject([{ agentId: 'a' }, { agentId: 'b' }]);
    expect(bench.controller.call(invite.callId)).toMatchObject({ state: 'active', agentId: 'b' });
    invite.dialog?.end();
    await bench.expectAllOver();
  });

  it('it may fail to be sent', async () => {
    const bench = new CallBench();
    const invite = bench.connecting({ holdAnswer: true });
    bench.bridge.agentReady();
    await settle();
    invite.failAnswer('socket closed');
    await bench.expectAllOver();
    expect(bench.record(invite)).toMatchObject({ reason: 'internal_error', detail: 'socket closed', sipStatus: 500 });
  });
});

it('a refusal that cannot be sent leaves nothing behind', async () => {
  const bench = new CallBench();
  const invite = bench.connecting();
  invite.rejectFault = new Error('no such status');
  bench.bridge.agentEnded(ENDINGS.unreachable);
  await settle();
  expect(bench.bridge.count('close')).toBe(1);
  expect(bench.controller.active).toBe(0);
  expect(bench.logger.of('call.error')).toHaveLength(1);
  expect(bench.record(invite).reason).toBe('agent_unreachable');
});
