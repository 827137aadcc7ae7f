import { describe, expect, it } from 'vitest';
import type { BridgeConfig } from '../../../src/config/types.js';
import { checkTold } from '../../../src/ops/told-addresses.js';

const NAMES: Readonly<Record<string, string[]>> = { 'sbc.test': ['203.0.113.7'], 'here.test': ['10.0.0.5'] };

async function told(
  sip: { listen?: string[]; advertise?: unknown },
  media: { bind?: string; advertise?: unknown } = {},
  own: string[] = ['127.0.0.1', '10.0.0.5'],
): Promise<string[]> {
  const config = { sip: { listen: ['udp://0.0.0.0:5060'], ...sip }, media: { bind: '0.0.0.0', ...media } };
  const resolve = (name: string): Promise<string[]> =>
    NAMES[name] ? Promise.resolve(NAMES[name]) : Promise.reject(new Error('ENOTFOUND'));
  const findings = await checkTold(config as unknown as BridgeConfig, { resolve, own });
  return findings.map(({ level, what, detail }) => `${level} ${what}: ${detail}`);
}

const FOR_OUTSIDE = 'private: callers from outside need sip.advertise, the public address';

describe('an address that is advertised', () => {
  it.each([
    ['10.0.0.5', 'ok sip.advertise: 10.0.0.5'],
    ['here.test', 'ok sip.advertise: here.test is 10.0.0.5'],
    [
      'sbc.test',
      'note sip.advertise: sbc.test is 203.0.113.7, no address of this machine: right if a NAT forwards its ports to here',
    ],
    ['nosuch.test', 'FAIL sip.advertise: nosuch.test has no address here: ENOTFOUND'],
    ['0.0.0.0', 'FAIL sip.advertise: 0.0.0.0 is not an address a peer can send to'],
    [
      '127.0.0.1',
      'FAIL sip.advertise: 127.0.0.1 can only be reached from this machine, but sip.listen takes calls from others',
    ],
  ])('%s', async (advertise, expected) => {
    expect(await told({ advertise })).toEqual([expected]);
  });

  it('is of no use when calls are taken from this machine alone', async () => {
    const [finding] = await told({ listen: ['udp://127.0.0.1:5060'], advertise: '10.9.9.9' });
    expect(finding).toBe('FAIL sip.advertise: 10.9.9.9, but sip.listen takes calls from this machine alone');
  });
});

describe('where nothing is advertised', () => {
  it('says which address callers are told, and that it is private', async () => {
    expect(await told({})).toEqual([
      `note callers are told, for SIP: 10.0.0.5, ${FOR_OUTSIDE}`,
      `note callers are told, for RTP: 10.0.0.5, ${FOR_OUTSIDE}`,
    ]);
  });

  it('to some, says what the others are told', async () => {
    const advertise = [{ peers: ['10.0.0.0/8'], address: '10.0.0.5' }];
    expect(await told({ advertise }, {}, ['198.51.100.9', '10.0.0.5'])).toEqual([
      'ok sip.advertise[0].address: 10.0.0.5',
      'ok callers are told, for SIP: the one they reach us at of 198.51.100.9, 10.0.0.5',
      'ok callers are told, for RTP: the one they reach us at of 198.51.100.9, 10.0.0.5',
    ]);
  });

  it('knows a machine that nobody can reach', async () => {
    expect(await told({}, { bind: '198.51.100.9' }, ['127.0.0.1', '::1'])).toEqual([
      'note callers are told, for SIP: this machine has no address but loopback',
      'ok callers are told, for RTP: 198.51.100.9',
    ]);
  });
});
