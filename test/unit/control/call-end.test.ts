import { describe, expect, it } from 'vitest';
import { callEnd, withFallback, type CallEnd } from '../../../src/control/call-end.js';
import type { AgentEnding } from '../../../src/pranthora/endings.js';

const agent = (kind: AgentEnding['kind'], closeCode?: number): CallEnd =>
  callEnd.agentEnded({ kind, detail: `it was ${kind}`, ...(closeCode === undefined ? {} : { closeCode }) });

/** One of every way a call can end, with what an INVITE without a final response gets for it. */
const WAYS: readonly (readonly [name: string, end: CallEnd, status: number | undefined])[] = [
  ['callerHangup', callEnd.callerHangup(), undefined],
  ['callerCancel', callEnd.callerCancel(), undefined],
  ['dtmfHangup', callEnd.dtmfHangup(), undefined],
  ['transferred', callEnd.transferred('the transfer was answered with 200 OK'), undefined],
  ['transferFailed', callEnd.transferFailed('the REFER was refused', agent('unreachable')), undefined],
  ['forbidden', callEnd.forbidden('203.0.113.5'), 403],
  ['noRoute', callEnd.noRoute('123'), 404],
  ['atCapacity', callEnd.atCapacity('full'), 503],
  ['draining', callEnd.draining(), 503],
  ['notAcceptable', callEnd.notAcceptable('only opus'), 488],
  ['noMediaPort', callEnd.noMediaPort('none'), 503],
  ['mediaUnavailable', callEnd.mediaUnavailable('FreeSWITCH fs:8021: connection lost'), 503],
  ['rtpTimeout', callEnd.rtpTimeout(30_000.7), undefined],
  ['maxDuration', callEnd.maxDuration(60_000), undefined],
  ['noAck', callEnd.noAck('timer H'), undefined],
  ['shutdown', callEnd.shutdown(), 503],
  ['internalError', callEnd.internalError('oops'), 500],
  ['agent-hangup', agent('agent-hangup', 1000), 480],
  ['configuration', agent('configuration', 4001), 500],
  ['unreachable', agent('unreachable'), 503],
  ['session-timeout', agent('session-timeout'), 503],
  ['session-not-found', agent('session-not-found'), 503],
];

describe('the ways a call ends', () => {
  it.each(WAYS)('%s has its SIP status', (_, end, status) => {
    expect(end.rejection?.status).toBe(status);
    // Who is to try again is told when; who is not, is not.
    expect(end.rejection?.retryAfterSec !== undefined).toBe(status === 503);
    expect(end.detail).toMatch(/^\S.*\S$|^\S$/);
  });

  it.each(WAYS)('%s can be told in one line of a header', (_, end) => {
    for (const text of [end.rejection?.warning ?? '', end.byeReason?.text ?? '']) expect(text).not.toMatch(/[\r\n]/);
    if (end.byeReason) expect(end.byeReason.cause).toBeGreaterThan(0);
    if (end.byeReason) expect(end.byeReason.cause).toBeLessThan(128);
  });

  it('are told apart by their reason', () => {
    const agentIsLost = new Set(['session-timeout', 'session-not-found']);
    const distinct = WAYS.filter(([name]) => !agentIsLost.has(name)).map(([, end]) => end.reason);
    expect(new Set(distinct).size).toBe(distinct.length);
  });

  it('tell whose doing it was', () => {
    const by = (who: CallEnd['endedBy']): string[] =>
      WAYS.filter(([, end]) => end.endedBy === who).map(([name]) => name);
    expect(by('caller')).toEqual(['callerHangup', 'callerCancel', 'dtmfHangup', 'transferred']);
    expect(by('agent')).toEqual(['agent-hangup']);
  });

  it('tell what an operator must look at', () => {
    const upstream = WAYS.filter(([, end]) => end.outcome === 'upstream_error').map(([name]) => name);
    expect(upstream).toEqual([
      'transferFailed',
      'configuration',
      'unreachable',
      'session-timeout',
      'session-not-found',
    ]);
    const completed = WAYS.filter(([, end]) => end.outcome === 'completed').map(([name]) => name);
    expect(completed).toEqual(['callerHangup', 'dtmfHangup', 'transferred', 'maxDuration', 'agent-hangup']);
  });

  it('keep the close code of the WebSocket', () => {
    expect(agent('configuration', 4001).closeCode).toBe(4001);
    expect(agent('unreachable')).not.toHaveProperty('closeCode');
  });

  it('round what is measured', () =>
    expect(callEnd.rtpTimeout(30_000.7).detail).toBe('no RTP from the caller for 30001 ms'));
});

describe("a route's fallback", () => {
  const redirect = { redirect: 'sip:reception@pbx.example' };

  it('takes the place of the refusal and of nothing else', () => {
    const end = agent('unreachable');
    expect(withFallback(end, redirect)).toEqual({
      ...end,
      rejection: { status: 302, contact: 'sip:reception@pbx.example' },
    });
    expect(withFallback(end, { reject: 486 })).toEqual({ ...end, rejection: { status: 486, warning: end.detail } });
    expect(withFallback(end, undefined)).toBe(end);
  });

  it('is not for a caller who gave up', () => {
    expect(withFallback(callEnd.callerCancel(), redirect)).toEqual(callEnd.callerCancel());
    expect(withFallback(callEnd.callerHangup(), redirect)).toEqual(callEnd.callerHangup());
  });

  it('is not told to strangers', () => {
    const refusal = { status: 403, warning: '203.0.113.5 is not in sip.allow' };
    expect(withFallback(callEnd.forbidden('203.0.113.5'), redirect).rejection).toEqual(refusal);
    expect(withFallback(callEnd.forbidden('203.0.113.5'), { reject: 486 }).rejection).toEqual(refusal);
  });

  it('takes the place of a media server', () =>
    expect(withFallback(callEnd.mediaUnavailable('gone'), redirect).rejection?.status).toBe(302));

  it('adds no refusal where there is none', () =>
    expect(withFallback(callEnd.rtpTimeout(1), redirect)).not.toHaveProperty('rejection'));
});
