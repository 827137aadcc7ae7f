import { describe, expect, it } from 'vitest';
import type { Route } from '../../src/config/types.js';
import type { CallRecord } from '../../src/events/call-record.js';
import type { FakeBridge } from '../support/fake-bridge-pool.js';
import type { FakeDialog, FakeInvite } from '../support/fake-invite.js';
import { CallBench, ENDINGS, OFFER, route, settle } from './call-bench.js';
import { agent } from '../support/targets.js';

const SURVEY = 'sip:survey@pbx.example';
const DESK = 'sip:desk@pbx.example';
const OPERATOR = 'sip:operator@pbx.example';

const ROUTE: Partial<Route> = {
  onAgentEnd: { refer: SURVEY },
  fallback: { redirect: DESK },
  dtmf: { '0': { refer: OPERATOR }, '9': { refer: DESK }, '#': 'hangup' },
};

interface Transferring {
  readonly bench: CallBench;
  readonly invite: FakeInvite;
  readonly dialog: FakeDialog;
  readonly bridge: FakeBridge;
}

/** What makes the bridge send a REFER, where to, and who is said to have ended the call when it succeeds. */
const CAUSES = {
  'the agent ends the call': {
    begin: (bridge: FakeBridge) => bridge.agentEnded(ENDINGS.hangup),
    referTo: SURVEY,
    endedBy: 'agent',
    keepsAgent: false,
    why: ENDINGS.hangup.detail,
    failedOutcome: 'client_error',
  },
  'the last agent is lost': {
    begin: (bridge: FakeBridge) => bridge.agentEnded(ENDINGS.configuration),
    referTo: DESK,
    endedBy: 'bridge',
    keepsAgent: false,
    why: ENDINGS.configuration.detail,
    failedOutcome: 'upstream_error',
  },
  'a digit asks for it': {
    begin: (bridge: FakeBridge) => bridge.tell({ kind: 'dtmf', digit: '0' }),
    referTo: OPERATOR,
    endedBy: 'caller',
    keepsAgent: true,
    why: '',
    failedOutcome: '',
  },
} as const;

type Cause = keyof typeof CAUSES;
const ALL = Object.keys(CAUSES) as Cause[];
const WITHOUT_AGENT = ALL.filter((cause) => !CAUSES[cause].keepsAgent);

async function transferring(cause: Cause, changes: Partial<Route> = {}): Promise<Transferring> {
  const bench = new CallBench({ routes: [route({ ...ROUTE, ...changes })] });
  const call = await bench.answered();
  CAUSES[cause].begin(call.bridge);
  expect(call.dialog.refers).toEqual([CAUSES[cause].referTo]);
  expect(call.dialog.referTimeoutMs).toBe(15_000);
  expect(bench.controller.call(call.invite.callId)?.state).toBe('transferring');
  expect(bench.logger.of('call.transferring')).toMatchObject([{ level: 'info', referTo: CAUSES[cause].referTo }]);
  return { bench, ...call };
}

async function ended({ bench, invite }: Transferring): Promise<CallRecord> {
  await bench.expectAllOver();
  return bench.record(invite);
}

describe.each(ALL)('a transfer, because %s,', (cause) => {
  const { endedBy, why } = CAUSES[cause];

  it('that succeeds ends the call with our BYE', async () => {
    const call = await transferring(cause);
    call.dialog.progressRefer(202);
    call.dialog.progressRefer(180);
    call.dialog.settleRefer(true, 'the transfer was answered with 200 OK');
    const { reason, outcome, detail, ...record } = await ended(call);
    expect(record.endedBy).toBe(endedBy);
    expect({ reason, outcome }).toEqual({ reason: 'transferred', outcome: 'completed' });
    expect(detail).toBe([why, 'the transfer was answered with 200 OK'].filter(Boolean).join('; '));
    expect(call.dialog.byes).toEqual([{ cause: 16, text: 'transferred' }]);
    expect(call.bench.logger.of('call.transfer_progress').map(({ status }) => status)).toEqual([202, 180]);
  });

  it('whose caller hangs up once it was accepted has succeeded', async () => {
    const call = await transferring(cause);
    call.dialog.progressRefer(202);
    call.dialog.end();
    expect(await ended(call)).toMatchObject({ reason: 'transferred', outcome: 'completed', endedBy });
    expect(call.dialog.byes).toEqual([]);
  });

  it('whose caller hangs up before anything was said is a hang-up', async () => {
    const call = await transferring(cause);
    call.dialog.end();
    expect(await ended(call)).toMatchObject({ reason: 'caller_hangup', endedBy: 'caller' });
  });

  it('is not taken for done when the SIP agent had to end the dialog', async () => {
    const call = await transferring(cause);
    call.dialog.progressRefer(202);
    call.dialog.end(false, 'session timer expired');
    expect(await ended(call)).toMatchObject({ reason: 'no_ack', endedBy: 'bridge' });
  });

  it('is broken off by a shutdown', async () => {
    const call = await transferring(cause);
    call.bench.controller.endAll();
    expect(await ended(call)).toMatchObject({ reason: 'shutdown' });
    expect(call.dialog.byes).toHaveLength(1);
  });

  it('is broken off by the maximum duration', async () => {
    const call = await transferring(cause);
    call.bench.clock.advance(600_000);
    expect(await ended(call)).toMatchObject({ reason: 'max_duration' });
  });

  it('is alone: digits and agents that go start no second one', async () => {
    const call = await transferring(cause);
    for (const digit of ['0', '9', '#']) call.bridge.tell({ kind: 'dtmf', digit });
    call.bridge.agentEnded(ENDINGS.hangup);
    call.bridge.agentEnded(ENDINGS.unreachable);
    expect(call.dialog.refers).toHaveLength(1);
    call.dialog.settleRefer(true);
    expect(await ended(call)).toMatchObject({ reason: 'transferred' });
  });

  it('goes on while there is no RTP, and while the caller is put on hold and moved', async () => {
    const call = await transferring(cause);
    call.bridge.tell({ kind: 'rtp-timeout', silentMs: 30_000 });
    const held = await call.dialog.handlers.onRenegotiate({ offer: `${OFFER}a=sendonly\r\n`, method: 'INVITE' });
    expect(held).toContain('a=recvonly');
    call.bench.media.lose();
    await settle();
    call.dialog.answerOffer(OFFER);
    await settle();
    expect(call.bench.controller.call(call.invite.callId)?.state).toBe('transferring');
    call.dialog.settleRefer(true);
    expect(await ended(call)).toMatchObject({ reason: 'transferred' });
  });
});

describe.each(WITHOUT_AGENT)('a transfer that fails, begun because %s,', (cause) => {
  const { why, failedOutcome } = CAUSES[cause];

  it('ends the call for the failure', async () => {
    const call = await transferring(cause);
    call.dialog.progressRefer(202);
    call.dialog.settleRefer(false, 'the transfer was answered with 486 Busy Here');
    expect(await ended(call)).toMatchObject({
      reason: 'transfer_failed',
      endedBy: 'bridge',
      outcome: failedOutcome,
      detail: `${why}; the transfer was answered with 486 Busy Here`,
      sipStatus: 200,
    });
    expect(call.dialog.byes).toEqual([{ cause: 31, text: 'the transfer was answered with 486 Busy Here' }]);
    expect(call.bench.logger.of('call.transfer_failed')).toMatchObject([
      { level: 'warn', detail: 'the transfer was answered with 486 Busy Here' },
    ]);
    expect(call.dialog.refers).toHaveLength(1);
  });
});

describe('a transfer that a digit has asked for', () => {
  it('leaves the call as it was when it fails, and may be tried again', async () => {
    const call = await transferring('a digit asks for it');
    call.dialog.progressRefer(202);
    call.dialog.settleRefer(false);
    await settle();
    expect(call.bench.controller.call(call.invite.callId)?.state).toBe('active');
    expect(call.bridge.count('close')).toBe(0);
    expect(call.dialog.byes).toEqual([]);
    call.bridge.tell({ kind: 'dtmf', digit: '9' });
    expect(call.dialog.refers).toEqual([OPERATOR, DESK]);
    // What the first one had been told counts no more.
    call.dialog.end();
    expect(await ended(call)).toMatchObject({ reason: 'caller_hangup' });
  });

  it('comes too late when the agent has gone meanwhile', async () => {
    const call = await transferring('a digit asks for it');
    call.bridge.agentEnded(ENDINGS.hangup);
    expect(call.bench.controller.call(call.invite.callId)?.state).toBe('transferring');
    call.dialog.settleRefer(false, 'the REFER was answered with 603 Decline');
    expect(await ended(call)).toMatchObject({
      reason: 'transfer_failed',
      detail: `${ENDINGS.hangup.detail}; the REFER was answered with 603 Decline`,
      closeCode: 1000,
    });
    expect(call.dialog.refers).toHaveLength(1);
  });

  it('does not keep another agent from taking over', async () => {
    const targets = [agent('a'), agent('b')];
    const call = await transferring('a digit asks for it', { targets });
    call.bridge.agentEnded(ENDINGS.unreachable);
    expect(call.bridge.agents).toHaveLength(2);
    call.bridge.agentReady();
    call.dialog.settleRefer(false);
    await settle();
    expect(call.bench.controller.call(call.invite.callId)).toMatchObject({ state: 'active', agentId: 'b' });
    call.dialog.end();
    expect(await ended(call)).toMatchObject({ reason: 'caller_hangup' });
  });
});

describe('while the 200 is on its way', () => {
  it.each([
    { what: 'hangs up', ending: ENDINGS.hangup, referTo: SURVEY },
    { what: 'is lost', ending: ENDINGS.unreachable, referTo: DESK },
  ])('an agent that $what leads to a REFER as soon as there is a dialog', async ({ ending, referTo }) => {
    const bench = new CallBench({ routes: [route(ROUTE)] });
    const invite = bench.connecting({ holdAnswer: true });
    bench.bridge.agentReady();
    await settle();
    bench.bridge.agentEnded(ending);
    expect(bench.controller.call(invite.callId)?.state).toBe('answering');
    invite.confirmAnswer();
    await settle();
    expect(invite.dialog?.refers).toEqual([referTo]);
    invite.dialog?.settleRefer(true);
    await bench.expectAllOver();
    expect(bench.record(invite)).toMatchObject({ reason: 'transferred' });
  });

  it('a CANCEL is the end', async () => {
    const bench = new CallBench({ routes: [route(ROUTE)] });
    const invite = bench.connecting({ holdAnswer: true });
    bench.bridge.agentReady();
    await settle();
    bench.bridge.agentEnded(ENDINGS.hangup);
    invite.cancel();
    await bench.expectAllOver();
    expect(bench.record(invite)).toMatchObject({ reason: 'caller_cancel' });
  });

  it('before it is sent, the fallback is a 302', async () => {
    const bench = new CallBench({ routes: [route(ROUTE)] });
    const release = bench.media.hold();
    const invite = bench.connecting();
    bench.bridge.agentReady();
    await settle();
    bench.bridge.agentEnded(ENDINGS.unreachable);
    release();
    await bench.expectAllOver();
    expect(invite.rejections).toEqual([{ status: 302, contact: DESK }]);
  });
});

describe('without a place to go', () =>
  it.each([
    { what: 'hangs up', ending: ENDINGS.hangup, changes: { onAgentEnd: 'hangup' as const }, reason: 'agent_hangup' },
    {
      what: 'is lost',
      ending: ENDINGS.unreachable,
      changes: { fallback: { reject: 486 } },
      reason: 'agent_unreachable',
    },
  ])('an agent that $what ends the call', async ({ ending, changes, reason }) => {
    const bench = new CallBench({ routes: [route({ ...ROUTE, ...changes })] });
    const { invite, dialog, bridge } = await bench.answered();
    bridge.agentEnded(ending);
    await bench.expectAllOver();
    expect(dialog.refers).toEqual([]);
    expect(bench.record(invite)).toMatchObject({ reason });
  }));

describe('digits', () => {
  it('by INFO act as those in RTP do, and a key told twice is one', async () => {
    const bench = new CallBench({ routes: [route({ dtmf: ROUTE.dtmf ?? {} })] });
    const { dialog, bridge } = await bench.answered();
    dialog.handlers.onDigit?.({ digit: '5', durationMs: 160 });
    bridge.tell({ kind: 'dtmf', digit: '5' });
    bench.clock.advance(300);
    bridge.tell({ kind: 'dtmf', digit: '0' });
    dialog.handlers.onDigit?.({ digit: '0', durationMs: 160 });
    expect(bench.logger.of('call.dtmf').map(({ path }) => path)).toEqual(['info', 'telephone-event']);
    expect(dialog.refers).toEqual([OPERATOR]);
    dialog.settleRefer(true);
    await bench.expectAllOver();
  });

  it('hang up where the route says so', async () => {
    const bench = new CallBench({ routes: [route(ROUTE)] });
    const { invite, dialog } = await bench.answered();
    dialog.handlers.onDigit?.({ digit: '#', durationMs: 100 });
    await bench.expectAllOver();
    expect(dialog.byes).toEqual([{ cause: 16, text: 'hung up by a digit' }]);
    expect(bench.record(invite)).toMatchObject({ reason: 'dtmf_hangup', endedBy: 'caller', outcome: 'completed' });
  });

  it('do nothing where it does not, and nothing any more once the call is over', async () => {
    const bench = new CallBench({ routes: [route(ROUTE)] });
    const { invite, dialog, bridge } = await bench.answered();
    for (const digit of '12345678*ABCD') bridge.tell({ kind: 'dtmf', digit });
    expect(bench.controller.call(invite.callId)?.state).toBe('active');
    dialog.end();
    dialog.handlers.onDigit?.({ digit: '0', durationMs: 160 });
    await bench.expectAllOver();
    expect(dialog.refers).toEqual([]);
    expect(bench.logger.of('call.dtmf')).toHaveLength(13);
  });

  it.each([true, false])('are named in the log only if it is wanted: %s', async (logDigits) => {
    const bench = new CallBench({ logDigits });
    const { dialog, bridge } = await bench.answered();
    bridge.tell({ kind: 'dtmf', digit: '7' });
    dialog.handlers.onDigit?.({ digit: '8', durationMs: 160 });
    expect(bench.logger.of('call.dtmf').map(({ digit }) => digit)).toEqual(
      logDigits ? ['7', '8'] : [undefined, undefined],
    );
    dialog.end();
    await bench.expectAllOver();
  });
});
