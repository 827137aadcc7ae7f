import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../../src/sip-agent/syntax/limits.js';
import { SipRequest, SipResponse } from '../../../src/sip-agent/syntax/message.js';
import {
  isSessionTooShort,
  minSeOf,
  sessionExpiresOf,
  settleSession,
  termsForRequest,
  termsGiven,
  termsOfResponse,
  type SessionPolicy,
} from '../../../src/sip-agent/dialog/session-expires.js';

const POLICY: SessionPolicy = { minimumS: 90, wantedS: undefined };

type Fields = Readonly<Record<string, string>>;

function request(fields: Fields): SipRequest {
  const made = new SipRequest('INVITE', 'sip:x@192.0.2.1');
  for (const [name, value] of Object.entries(fields)) made.add(name, value);
  return made;
}

function response(fields: Fields): SipResponse {
  const made = new SipResponse(200, 'OK');
  for (const [name, value] of Object.entries(fields)) made.add(name, value);
  return made;
}

describe('Session-Expires', () => {
  test.each([
    ['1800', { intervalS: 1_800 }],
    ['1800;refresher=uac', { intervalS: 1_800, refresher: 'uac' }],
    ['1800 ; Refresher = UAS', { intervalS: 1_800, refresher: 'uas' }],
    ['1800;refresher=both', { intervalS: 1_800 }],
    ['1800;x;;', { intervalS: 1_800 }],
    ['4294967295', { intervalS: LIMITS.sessionIntervalS }],
    ['4294967296', undefined],
    ['-90', undefined],
    ['90s', undefined],
    ['', undefined],
    [';refresher=uac', undefined],
  ])('%s', (value, expected) => expect(sessionExpiresOf(request({ 'session-expires': value }))).toEqual(expected));

  test('no timer is asked to wait longer than it can', () =>
    expect(LIMITS.sessionIntervalS * 1_000).toBeLessThan(2 ** 31));

  test.each([
    ['120', 120],
    ['x', 0],
  ])('Min-SE %s', (value, expected) => expect(minSeOf(request({ 'min-se': value }))).toBe(expected));
});

describe('an interval below our minimum', () =>
  test.each([
    ['is refused', { 'session-expires': '89', supported: 'replaces, timer' }, true],
    ['is taken from a peer that does not know a 422', { 'session-expires': '89' }, false],
    ['is not one that equals it', { 'session-expires': '90', supported: 'timer' }, false],
    ['is not one that makes no sense', { 'session-expires': 'soon', supported: 'timer' }, false],
  ])('%s', (_, fields, expected) =>
    expect(isSessionTooShort(request(fields as unknown as Fields), POLICY)).toBe(expected),
  ));

describe('what our 2xx says', () => {
  /** RFC 4028 table 2, its impossible rows as the peer would have it. */
  test.each([
    ['nothing', {}, undefined],
    ['timer alone', { supported: 'timer' }, undefined],
    ['no refresher, no timer', { 'session-expires': '600' }, { intervalS: 600, refresher: 'uas' }],
    ['no refresher, timer', { 'session-expires': '600', supported: 'timer' }, { intervalS: 600, refresher: 'uac' }],
    ['uac', { 'session-expires': '600;refresher=uac', supported: 'timer' }, { intervalS: 600, refresher: 'uac' }],
    ['uas', { 'session-expires': '600;refresher=uas', supported: 'timer' }, { intervalS: 600, refresher: 'uas' }],
    ['uac without timer', { 'session-expires': '600;refresher=uac' }, { intervalS: 600, refresher: 'uac' }],
    ['too little, by a proxy', { 'session-expires': '30' }, { intervalS: 90, refresher: 'uas' }],
  ])('to %s', (_, fields, expected) =>
    expect(termsForRequest(request(fields as unknown as Fields), POLICY, undefined)).toEqual(expected),
  );

  test('who refreshes goes on doing so unless the peer says otherwise', () => {
    const again = request({ 'session-expires': '600', supported: 'timer' });
    expect(termsForRequest(again, POLICY, 'local')?.refresher).toBe('uas');
    expect(termsForRequest(again, POLICY, 'remote')?.refresher).toBe('uac');
    const swapped = request({ 'session-expires': '600;refresher=uac', supported: 'timer' });
    expect(termsForRequest(swapped, POLICY, 'local')?.refresher).toBe('uac');
  });

  test('an interval of our own is asked for, never a longer one than the peer wants, nor below its minimum', () => {
    const policy = { minimumS: 90, wantedS: 300 };
    expect(termsForRequest(request({}), policy, undefined)).toEqual({ intervalS: 300, refresher: 'uas' });
    expect(termsForRequest(request({ supported: 'timer' }), policy, undefined)?.refresher).toBe('uac');
    expect(termsForRequest(request({ 'session-expires': '120' }), policy, undefined)?.intervalS).toBe(120);
    expect(termsForRequest(request({ 'session-expires': '900' }), policy, undefined)?.intervalS).toBe(300);
    const bounded = request({ 'session-expires': '900', 'min-se': '600' });
    expect(termsForRequest(bounded, policy, undefined)?.intervalS).toBe(600);
  });

  test("is the client's own choice, but for the minimum", () => {
    expect(termsGiven(response({}), POLICY)).toBeUndefined();
    expect(termsGiven(response({ 'session-expires': '45' }), POLICY)).toEqual({ intervalS: 90, refresher: 'uac' });
    const given = response({ 'session-expires': '600;refresher=uas' });
    expect(termsGiven(given, POLICY)).toEqual({ intervalS: 600, refresher: 'uas' });
  });

  test.each([
    ['the peer is to refresh', { supported: 'timer' }, 'uac', '100rel, timer'],
    ['we do, and it should know', { supported: 'timer' }, 'uas', '100rel, timer'],
    ['we do, and it cannot know', {}, 'uas', '100rel'],
  ] as const)('requires timer when %s', (_, fields, refresher, expected) => {
    const ok = response({ require: '100rel' });
    settleSession(ok, request(fields), { intervalS: 600, refresher });
    expect(ok.get('session-expires')).toBe(`600;refresher=${refresher}`);
    expect(ok.get('require')).toBe(expected);
  });
});

describe('what the 2xx of the peer says', () => {
  const asked = request({ 'session-expires': '600;refresher=uas' });

  test.each([
    ['the peer refreshes', { 'session-expires': '500;refresher=uas' }, { intervalS: 500, refresher: 'uas' }],
    ['nobody is named: we do', { 'session-expires': '500' }, { intervalS: 500, refresher: 'uac' }],
    ['nothing: we do, as we asked', {}, { intervalS: 600, refresher: 'uac' }],
    ['nothing that makes sense', { 'session-expires': 'x;refresher=uas' }, { intervalS: 600, refresher: 'uac' }],
    ['to refresh every second', { 'session-expires': '1;refresher=uac' }, { intervalS: 90, refresher: 'uac' }],
  ])('%s', (_, fields, expected) =>
    expect(termsOfResponse(asked, response(fields as unknown as Fields), POLICY)).toEqual(expected),
  );

  test('nothing, as we have not asked', () =>
    expect(termsOfResponse(request({}), response({}), POLICY)).toBeUndefined());
});
