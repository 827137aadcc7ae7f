import type { PeerCertificate } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { identityFault } from '../../../src/sip-agent/transport/tls-sockets.js';

function certificate(subjectaltname?: string, CN = 'none.test'): PeerCertificate {
  return { subject: { CN }, ...(subjectaltname === undefined ? {} : { subjectaltname }) } as unknown as PeerCertificate;
}

describe('a certificate', () => {
  test.each([
    ['pbx.test', 'DNS:pbx.test'],
    ['PBX.test', 'DNS:other.test, URI:sip:pbx.test'],
    ['192.0.2.1', 'IP Address:192.0.2.1'],
    ['one.pbx.test', 'DNS:*.pbx.test'],
  ])('is for %s that says %s', (name, subjectaltname) =>
    expect(identityFault(name, certificate(subjectaltname))).toBeUndefined(),
  );

  test.each([
    ['pbx.test', 'DNS:other.test'],
    ['pbx.test', 'URI:sip:other.test'],
    ['pbx.test', 'URI:sip:alice@pbx.test'],
    ['pbx.test', 'URI:https://pbx.test'],
    ['pbx.test', 'DNS:"a, URI:sip:pbx.test, b"'],
    ['192.0.2.1', 'DNS:pbx.test'],
    ['pbx.test', 'IP Address:192.0.2.1'],
  ])('is not for %s that says %s', (name, subjectaltname) =>
    expect(identityFault(name, certificate(subjectaltname))).toBeInstanceOf(Error),
  );

  test('is taken by its common name only when it has no other', () => {
    expect(identityFault('pbx.test', certificate(undefined, 'pbx.test'))).toBeUndefined();
    expect(identityFault('pbx.test', certificate('DNS:other.test', 'pbx.test'))).toBeInstanceOf(Error);
  });
});
