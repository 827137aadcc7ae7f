import { describe, expect, it } from 'vitest';
import type { NumberPlace } from '../../../src/config/types.js';
import { calledNumber } from '../../../src/control/routing/called-number.js';

const ALL: readonly NumberPlace[] = ['pCalledPartyId', 'diversion', 'historyInfo', 'to', 'requestUri'];

/** The number, and where it was found, of a call to the trunk's own number. */
function find(
  headers: Readonly<Record<string, string>>,
  places: readonly NumberPlace[] = ALL,
  { requestUri = 'sip:trunk@192.0.2.10', to = '<sip:>' } = {},
): string {
  const header = (name: string): string | undefined => headers[name];
  const { number, place } = calledNumber({ requestUri, to, header }, places);
  return `${number} ${place}`;
}

const inDiversion = (value: string): string => find({ Diversion: value }, ['diversion']);
const inHistory = (value: string): string => find({ 'History-Info': value }, ['historyInfo']);

describe('the number called', () => {
  it('is that of the first place that has one', () => {
    const headers = { 'P-Called-Party-ID': '<tel:+15550001>', Diversion: '<sip:+15550002@a.example>' };
    expect(find(headers)).toBe('+15550001 pCalledPartyId');
    expect(find(headers, ['diversion', 'pCalledPartyId'])).toBe('+15550002 diversion');
    expect(find({}, ALL, { to: 'sip:+15550003@a.example' })).toBe('+15550003 to');
    expect(find(headers, ['requestUri', 'diversion'])).toBe('trunk requestUri');
    expect(find(headers, ['requestUri', 'diversion'], { requestUri: 'sip:192.0.2.10:5060' })).toBe(
      '+15550002 diversion',
    );
  });

  it('is what the Request-URI says where there is none', () => {
    expect(find({}, ['diversion'])).toBe('trunk requestUri');
    expect(find({}, ['diversion'], { requestUri: 'sip:15551234' })).toBe('15551234 requestUri');
    expect(find({ Diversion: '' }, ['diversion', 'to'])).toBe('trunk requestUri');
  });

  it.each([
    ['<tel:+1-555-0100;phone-context=example.com>;reason=unconditional', '+15550100'],
    ['tel:+1(555)0100', '+15550100'],
    ['<sip:+15550100;npdi;rn=+15559990000@a.example;user=phone>;counter=1', '+15550100'],
    ['<sip:%2B15550100@a.example>', '+15550100'],
    ['<sip:+15550100:secret@a.example>', '+15550100'],
    ['"Sales, \\"North\\" <1>" <sip:5550100@a.example:5060;transport=tcp>', '5550100'],
    ['sip:+15550100@a.example;reason=user-busy', '+15550100'],
    ['<sips:+1.555.0100@[2001:db8::1]:5061>', '+15550100'],
    ['Büro (EU) <sip:reception@a.example>', 'reception'],
  ])('is understood in the form %s', (value, number) => expect(inDiversion(value)).toBe(`${number} diversion`));

  it('is the lowest of several diversions: the first that was made', () => {
    const top = '"Second, hop" <sip:+15550002@a.example>;reason=no-answer;counter=1';
    const bottom = '<sip:+15550001@a.example>;reason=unconditional';
    expect(inDiversion(`${top},${bottom}`)).toBe('+15550001 diversion');
    expect(inDiversion(`${top} , <sip:unavailable@unknown.invalid>;reason=unconditional`)).toBe('+15550002 diversion');
  });

  it('is the entry of index 1 in the history', () => {
    const first = '<sip:+15550001@a.example;user=phone?Privacy=none&Reason=SIP%3Bcause%3D302>;index=1';
    const second = '<sip:+15550002@a.example;cause=302>;index=1.1;mp=1';
    expect(inHistory(`${first}, ${second}`)).toBe('+15550001 historyInfo');
    expect(inHistory(`${second},${first}`)).toBe('+15550001 historyInfo');
    expect(inHistory(second)).toBe('+15550002 historyInfo');
    expect(inHistory('<tel:+15550001?Reason=SIP%3Bcause%3D486>;index=1')).toBe('+15550001 historyInfo');
    expect(inHistory(`<sip:anonymous@anonymous.invalid>;index=1, ${second}`)).toBe('+15550002 historyInfo');
  });

  it.each([
    '<sip:a.example>',
    '<sip:@a.example>',
    '<sip:192.0.2.10:5060>',
    '<sip:anonymous@anonymous.invalid>',
    `<sip:${'1'.repeat(65)}@a.example>`,
    '<>',
    '"',
    ',,,',
  ])('is not %s', (value) => expect(inDiversion(value)).toBe('trunk requestUri'));
});
