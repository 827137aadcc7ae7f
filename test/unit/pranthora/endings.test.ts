import { describe, expect, it } from 'vitest';
import {
  classifyClose,
  classifyNetworkError,
  classifyUpgradeStatus,
  connectTimeout,
  handshakeTimeout,
  pingTimeout,
  proxyFailed,
  proxyRefused,
  startTimeout,
} from '../../../src/pranthora/endings.js';

function networkError(code: string, message = 'boom'): Error {
  return Object.assign(new Error(message), { code });
}

describe('what a close code means', () => {
  it.each([
    [1000, 'Session timeout reached', 'session-timeout'],
    [1000, 'SESSION TIMEOUT', 'session-timeout'],
    [1000, 'Call terminated by agent', 'agent-hangup'],
    [1000, '', 'agent-hangup'],
    [1000, 'session_timeout', 'session-timeout'],
    [1000, 'Session  timeout', 'session-timeout'],
    [1000, 'SESSION-TIME-OUT', 'session-timeout'],
    [1000, 'sessionTimeout', 'session-timeout'],
    [1000, 'Session timed out.', 'session-timeout'],
    [1000, 'timed_out', 'session-timeout'],
    [1000, 'Idle timeout reached', 'session-timeout'],
    [1000, '{"reason":"idle_timeout"}', 'session-timeout'],
    [1000, 'The caller is out of time', 'agent-hangup'],
    [1000, 'Sometimes outside', 'agent-hangup'],
    [1001, '', 'unreachable'],
    [1002, '', 'unreachable'],
    [1005, '', 'unreachable'],
    [1006, '', 'unreachable'],
    [1008, 'Missing required parameter', 'configuration'],
    [1011, 'Session not found', 'session-not-found'],
    [1011, 'session_not_found', 'session-not-found'],
    [1011, 'unexpected condition', 'unreachable'],
    [1012, '', 'unreachable'],
    [1013, '', 'unreachable'],
    [1014, '', 'unreachable'],
    [4001, 'Unauthorized', 'configuration'],
    [4002, '', 'configuration'],
    [4003, 'Agent not found', 'configuration'],
    [4999, '', 'unreachable'],
  ])('%i "%s" is %s', (code, reason, kind) =>
    expect(classifyClose(code, reason)).toMatchObject({ kind, closeCode: code }),
  );

  it('repeats a hostile reason bounded and on one line', () => {
    const { detail } = classifyClose(1001, `a\r\nReason: SIP;cause=200"${'x'.repeat(5_000)}`);
    expect(detail).not.toMatch(/[^\x20-\x7e]/);
    expect(detail.length).toBeLessThan(200);
    expect(detail).toContain('a??Reason: SIP;cause=200?');
  });
});

describe('what an HTTP answer to the upgrade means', () =>
  it.each([
    [200, 'configuration'],
    [301, 'configuration'],
    [302, 'configuration'],
    [400, 'configuration'],
    [401, 'configuration'],
    [403, 'configuration'],
    [404, 'configuration'],
    [408, 'unreachable'],
    [422, 'configuration'],
    [425, 'unreachable'],
    [429, 'unreachable'],
    [500, 'unreachable'],
    [502, 'unreachable'],
    [503, 'unreachable'],
    [504, 'unreachable'],
  ])('%i is %s', (status, kind) => {
    const ending = classifyUpgradeStatus(status);
    expect(ending).toMatchObject({ kind, httpStatus: status });
    expect(ending.detail).toContain(String(status));
  }));

describe('a key that is refused', () => {
  it.each([401, 403])('is told by HTTP %i', (status) => expect(classifyUpgradeStatus(status).isKeyRefused).toBe(true));

  it('is told by close code 4001, and by nothing else', () => {
    expect(classifyClose(4001, '').isKeyRefused).toBe(true);
    for (const ending of [classifyClose(4003, ''), classifyUpgradeStatus(404), proxyRefused(403), proxyRefused(407)]) {
      expect(ending.isKeyRefused).toBeUndefined();
    }
  });
});

it('tells when to come again where coming again is of use', () => {
  expect(classifyUpgradeStatus(503, 30)).toMatchObject({ retryAfterSec: 30 });
  expect(classifyUpgradeStatus(429, 30)).toMatchObject({ retryAfterSec: 30 });
  expect(classifyUpgradeStatus(404, 30)).not.toHaveProperty('retryAfterSec');
  expect(classifyUpgradeStatus(503)).not.toHaveProperty('retryAfterSec');
});

describe('what a network error means', () => {
  it.each([
    ['ENOTFOUND', /DNS/],
    ['EAI_AGAIN', /DNS/],
    ['ECONNREFUSED', /refused/],
    ['ECONNRESET', /reset/],
    ['ETIMEDOUT', /timed out/],
    ['CERT_HAS_EXPIRED', /certificate/],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', /certificate/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', /certificate/],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /certificate/],
    ['EPROTO', /TLS/],
    ['ERR_SSL_WRONG_VERSION_NUMBER', /TLS/],
    ['HPE_INVALID_CONSTANT', /does not speak HTTP/],
    ['WS_ERR_INVALID_UTF8', /UTF-8/],
    ['WS_ERR_UNEXPECTED_RSV_1', /WebSocket protocol/],
  ])('%s is said in words', (code, words) => {
    const ending = classifyNetworkError(networkError(code));
    expect(ending.kind).toBe('unreachable');
    expect(ending.detail).toMatch(words);
    expect(ending.detail).toContain(code);
  });

  it('falls back to the message, bounded and printable', () => {
    const { detail } = classifyNetworkError(new Error(`odd\n${'y'.repeat(1_000)}`));
    expect(detail).toMatch(/^connection failed: odd\?y+$/);
    expect(detail.length).toBeLessThan(150);
  });
});

it('names the timeout that passed', () => {
  expect(connectTimeout(4_000)).toMatchObject({
    kind: 'unreachable',
    detail: expect.stringContaining('4000 ms') as string,
  });
  expect(startTimeout('start_media_streaming', 3_000).detail).toContain('start_media_streaming within 3000 ms');
  expect(pingTimeout(10_000).detail).toContain('10000 ms');
});

describe('a host with several addresses', () => {
  const refused = networkError('ECONNREFUSED', 'connect ECONNREFUSED ::1:1');
  const timedOut = networkError('ETIMEDOUT');

  it('failed at each of them, for these reasons', () => {
    const error = Object.assign(new AggregateError([refused, timedOut, refused]), { code: 'ECONNREFUSED' });
    expect(classifyNetworkError(error)).toEqual({
      kind: 'unreachable',
      detail:
        'none of 3 addresses could be reached: connection refused [ECONNREFUSED], connection timed out [ETIMEDOUT]',
    });
  });

  it('is told in a line of bounded length, whatever the errors', () => {
    const errors = Array.from({ length: 50 }, (_, i) => new Error(`${i}${'x'.repeat(1_000)}`));
    expect(classifyNetworkError(new AggregateError(errors)).detail.length).toBeLessThan(600);
    const strange = Object.assign(new AggregateError([]), { code: 'ENETUNREACH', errors: 'none' });
    expect(classifyNetworkError(strange).detail).toContain('no route to the network');
  });
});

describe('a proxy', () => {
  it.each([
    [403, 'configuration', 'refused'],
    [407, 'configuration', 'credentials'],
    [404, 'configuration', 'refused'],
    [302, 'configuration', 'refused'],
    [500, 'unreachable', 'refused'],
    [504, 'unreachable', 'refused'],
    [NaN, 'unreachable', 'refused'],
  ])('that answers %i', (status, kind, word) => {
    const ending = proxyRefused(status);
    expect(ending.kind).toBe(kind);
    expect(ending.detail).toContain(word);
  });

  it('that cannot be reached is not mistaken for Pranthora', () => {
    const ending = proxyFailed(networkError('ENOTFOUND'));
    expect(ending.detail).toBe('the proxy cannot be used: the host name does not exist (DNS) [ENOTFOUND]');
  });
});

it('says which of the two took too long', () => {
  expect(handshakeTimeout(4_000).detail).toContain('handshake within 4000 ms');
  expect(classifyNetworkError(networkError('ERR_TLS_CERT_ALTNAME_INVALID')).detail).toContain('for another host');
});
