import { describe, expect, it } from 'vitest';
import { placesFor } from '../../../src/config/did-from.js';
import { faultsOf, load, ROUTES } from './support.js';

describe('sip.didFrom', () => {
  it('is the Request-URI unless it is said otherwise', () => {
    const { didFrom } = load(ROUTES).config.sip;
    expect(didFrom).toEqual(['requestUri']);
    expect(placesFor(didFrom)('192.0.2.1')).toEqual(['requestUri']);
  });

  it.each([
    ['[diversion, requestUri]', ['diversion', 'requestUri']],
    ['to', ['to']],
    ['"historyInfo, to"', ['historyInfo', 'to']],
  ])('is a list of places for everybody: %s', (text, places) => {
    const { didFrom } = load(`${ROUTES}sip: {didFrom: ${text}}`).config.sip;
    expect(placesFor(didFrom)('192.0.2.1')).toEqual(places);
  });

  it('is a list of rules, of which the first for the peer holds', () => {
    const rules = `
sip:
  didFrom:
    - {peers: [10.1.2.0/24], from: [to]}
    - {peers: "10.0.0.0/8, fd00::/8", from: [diversion, requestUri]}
    - {peers: [192.0.2.1], from: pCalledPartyId}
`;
    const places = placesFor(load(ROUTES + rules).config.sip.didFrom);
    expect(['10.1.2.3', '10.9.9.9', 'fd00::1', '192.0.2.1', '198.51.100.1', ''].map(places)).toEqual([
      ['to'],
      ['diversion', 'requestUri'],
      ['diversion', 'requestUri'],
      ['pCalledPartyId'],
      ['requestUri'],
      ['requestUri'],
    ]);
  });

  it.each([
    ['[]', 'sip.didFrom'],
    ['5', 'sip.didFrom'],
    ['{from: [to]}', 'sip.didFrom'],
    ['[to, To]', 'sip.didFrom'],
    ['[to, to]', 'sip.didFrom'],
    ['[to, {from: [to]}]', 'sip.didFrom[0]'],
    ['[{peers: [10.0.0.0/8]}]', 'sip.didFrom[0].from'],
    ['[{from: [Diversion]}]', 'sip.didFrom[0].from'],
    ['[{from: []}]', 'sip.didFrom[0].from'],
    ['[{peers: [10.0.0.0/33], from: [to]}]', 'sip.didFrom[0].peers'],
    ['[{from: [to]}, {from: [diversion]}]', 'sip.didFrom[0].peers'],
    ['[{peer: [10.0.0.0/8], from: [to]}]', 'sip.didFrom[0].peer'],
    ['[null]', 'sip.didFrom[0]'],
  ])('is refused: %s', (text, path) => {
    const faults = faultsOf(`${ROUTES}sip: {didFrom: ${text}}`);
    expect(faults).toHaveLength(1);
    expect(faults[0]?.slice(0, path.length + 2)).toBe(`${path}: `);
  });
});
