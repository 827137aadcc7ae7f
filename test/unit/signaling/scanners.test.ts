import { describe, expect, it } from 'vitest';
import { SCHEMA } from '../../../src/config/schema.js';
import { ScannerNames, scannerMatcher } from '../../../src/signaling/scanners.js';

const byDefault = scannerMatcher(SCHEMA.sip.scanners.default as string[]);

describe('the scanners of the default list', () => {
  it.each([
    ['friendly-scanner', 'friendly-scanner'],
    ['Friendly-Scanner/1.0', 'friendly-scanner'],
    ['friendly-request', 'friendly-request'],
    ['sipcli/v1.8', 'sipcli'],
    ['sipcli v1.8', 'sipcli'],
    ['(sipcli)', 'sipcli'],
    ['sipvicious', 'sipvicious'],
    ['SIPVicious 0.3.4', 'sipvicious'],
    ['sundayddr', 'sundayddr'],
    ['sip-scan', 'sip-scan'],
    ['pplsip', 'pplsip'],
    ['SIVuS Scanner', 'sivus'],
    ['iWar/0.08', 'iwar/'],
    ['iwar', 'iwar/'],
  ])('%s is one', (userAgent, name) => expect(byDefault(userAgent)).toBe(name));

  it.each([
    ['SIPClient-macOS/0.1.0'],
    ['SIPClick2Call'],
    ['AcmeSipClient 3.2'],
    ['Example SIP Client/1.0'],
    ['Iwar Gateway 2'],
    ['sip-scanner-free PBX'],
    ['unfriendly-scanner'],
    ['pplsiphone/2'],
    ['mysipcli'],
    ['sipcli_gateway'],
    ['Asterisk PBX 20.1'],
    [''],
  ])('%s is none', (userAgent) => expect(byDefault(userAgent)).toBeUndefined());
});

describe('names of an operator', () => {
  it('are taken literally, whatever they mean in a regular expression', () => {
    const find = scannerMatcher(['a.b*c', 'Voice (test) [x]', '+1', 'x\\d']);
    expect(find('a.b*c')).toBe('a.b*c');
    expect(find('aXbbc')).toBeUndefined();
    expect(find('my voice (test) [x] 2')).toBe('Voice (test) [x]');
    expect(find('the +1 dialer')).toBe('+1');
    expect(find('x5')).toBeUndefined();
  });

  it('may be replaced, and be none', () => {
    const names = new ScannerNames(['sipcli']);
    const { find } = names;
    expect(find('sipcli')).toBe('sipcli');
    names.configure(['other']);
    expect([find('sipcli'), find('other/1')]).toEqual([undefined, 'other']);
    names.configure([]);
    expect([find('sipcli'), find('other/1'), find('')]).toEqual([undefined, undefined, undefined]);
  });
});
