import { describe, expect, it } from 'vitest';
import { advertisedAddresses, advertisedTo } from '../../../src/config/sections/advertise.js';
import { faultsOf, load, ROUTES } from './support.js';

describe('an advertised address', () => {
  it('is one for everybody, in a file and in the environment', () => {
    const { config } = load(`${ROUTES}sip: {advertise: sip.example.com}\n`, {
      env: { MEDIA_ADVERTISE: '203.0.113.7' },
    });
    expect([config.sip.advertise, config.media.advertise]).toEqual(['sip.example.com', '203.0.113.7']);
    expect(advertisedTo(config.media.advertise)('10.0.0.9')).toBe('203.0.113.7');
    expect(advertisedTo(undefined)('10.0.0.9')).toBeUndefined();
  });

  it('is chosen by where the peer is: the first rule that has it', () => {
    const rules = `
sip:
  advertise:
    - {peers: [10.1.2.0/24], address: pbx-side.example.com}
    - {peers: "10.0.0.0/8, fd00::/8", address: 10.0.0.5}
    - {address: 203.0.113.7}
media:
  advertise: [{peers: [192.0.2.1], address: 192.0.2.2}]
`;
    const { config } = load(ROUTES + rules);
    const toSip = advertisedTo(config.sip.advertise);
    const toMedia = advertisedTo(config.media.advertise);
    expect(['10.1.2.3', '10.9.9.9', '::ffff:10.9.9.9', 'fd00::1', '198.51.100.1', ''].map(toSip)).toEqual([
      'pbx-side.example.com',
      '10.0.0.5',
      '10.0.0.5',
      '10.0.0.5',
      '203.0.113.7',
      '203.0.113.7',
    ]);
    expect(['192.0.2.1', '192.0.2.3', 'nonsense'].map(toMedia)).toEqual(['192.0.2.2', undefined, undefined]);
    expect(advertisedAddresses('media.advertise', config.media.advertise)).toEqual([
      { path: 'media.advertise[0].address', peers: ['192.0.2.1'], address: '192.0.2.2' },
    ]);
  });

  it.each([
    ['sip: {advertise: []}', 'sip.advertise'],
    ['sip: {advertise: {address: a.example}}', 'sip.advertise'],
    ['sip: {advertise: [a.example]}', 'sip.advertise[0]'],
    ['sip: {advertise: [{peers: [10.0.0.0/8]}]}', 'sip.advertise[0].address'],
    ['sip: {advertise: [{address: 0.0.0.0}]}', 'sip.advertise[0].address'],
    ['sip: {advertise: [{peers: [10.0.0.0/33], address: a.example}]}', 'sip.advertise[0].peers'],
    ['sip: {advertise: [{peers: [], address: a.example}]}', 'sip.advertise[0].peers'],
    ['sip: {advertise: [{peer: [10.0.0.0/8], address: a.example}]}', 'sip.advertise[0].peer'],
    ['sip: {advertise: [{address: a.example}, {address: b.example}]}', 'sip.advertise[0].peers'],
    ['media: {advertise: [{address: media.example.com}]}', 'media.advertise[0].address'],
    ['media: {advertise: [{peers: [10.0.0.0/8], address: 10.0.0.5}, {address: "::"}]}', 'media.advertise[1].address'],
  ])('is refused: %s', (content, path) => {
    const faults = faultsOf(ROUTES + content);
    expect(faults).toHaveLength(1);
    expect(faults[0]?.slice(0, path.length + 2)).toBe(`${path}: `);
  });

  it('is a single one in the environment', () =>
    expect(() => load(ROUTES, { env: { SIP_ADVERTISE: 'a.example,b.example' } })).toThrow('sip.advertise: expected'));
});
