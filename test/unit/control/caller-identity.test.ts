import { describe, expect, it } from 'vitest';
import { callerIdentity, type CallerIdentity } from '../../../src/control/caller-identity.js';

const identity = (headers: Readonly<Record<string, string>>): CallerIdentity => callerIdentity((name) => headers[name]);

describe('callerIdentity', () => {
  it('is the name of the From and the number the trunk vouches for', () => {
    const headers = { From: '"Bond, James" <sip:7@pbx.example>;tag=1', 'P-Asserted-Identity': '<tel:+1-555-0007>' };
    expect(identity(headers)).toEqual({ fromName: 'Bond, James', assertedIdentity: '+15550007' });
    expect(identity({ From: '<sip:7@pbx.example>;tag=1' })).toEqual({});
    expect(identity({})).toEqual({});
  });

  it('is the name the trunk gives to a caller without one', () => {
    const headers = { From: 'sip:7@pbx.example', 'P-Asserted-Identity': '"ACME, Inc." <sip:+15550007@pbx.example>' };
    expect(identity(headers)).toEqual({ fromName: 'ACME, Inc.', assertedIdentity: '+15550007' });
  });

  it.each([
    ['<sip:jdoe@pbx.example>,<tel:+15550007>', '+15550007'],
    ['<tel:+15550007>, "J" <sip:jdoe@pbx.example>', '+15550007'],
    ['<sip:jdoe@pbx.example>', 'jdoe'],
    ['<sip:+15550007;npdi@pbx.example;user=phone>', '+15550007'],
    ['sip:%2B15550007@pbx.example', '+15550007'],
    ['<sip:anonymous@anonymous.invalid>', undefined],
    [`<sip:${'7'.repeat(100)}@pbx.example>`, undefined],
    ['', undefined],
  ])('of %s is %s', (value, assertedIdentity) =>
    expect(identity({ 'P-Asserted-Identity': value }).assertedIdentity).toBe(assertedIdentity),
  );

  it.each(['id', 'ID;critical', 'user', 'header', 'none, id', 'full'])(
    'is withheld where the caller wants it: %s',
    (value) => {
      const headers = {
        From: '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1',
        'P-Asserted-Identity': '"James" <sip:+15550007@pbx.example>',
        'Remote-Party-ID': '<sip:+15550007@pbx.example>;screen=yes',
        Privacy: value,
      };
      expect(identity(headers)).toEqual({});
    },
  );

  it.each(['none', 'history', 'session;critical', ''])('is not withheld by Privacy: %s', (value) => {
    const headers = { 'P-Asserted-Identity': '<tel:+15550007>', Privacy: value };
    expect(identity(headers)).toEqual({ assertedIdentity: '+15550007' });
  });

  it.each([
    [';party=calling;screen=yes;privacy=off', '+15550007'],
    [';screen=YES', '+15550007'],
    [';party=called;screen=yes', undefined],
    [';party=calling;screen=no', undefined],
    [';party=calling', undefined],
    [';party=calling;screen=yes;privacy=full', undefined],
  ])('without P-Asserted-Identity is a Remote-Party-ID with %s: %s', (params, assertedIdentity) =>
    expect(identity({ 'Remote-Party-ID': `"J" <sip:+15550007@pbx.example>${params}` }).assertedIdentity).toBe(
      assertedIdentity,
    ),
  );

  it('is not what the caller would like to be', () =>
    expect(identity({ 'P-Preferred-Identity': '<tel:+15550007>' })).toEqual({}));
});
