import { describe, expect, it } from 'vitest';
import { normaliseNumber, splitUri, withoutUriPasswords } from '../../../src/addresses/number.js';

describe('the user of a URI', () => {
  it.each([
    ['sip:+15550100:s3cret@pbx', '+15550100', 'pbx'],
    ['<sips:alice;x=1:s3cret@pbx:5061;lr>', 'alice', 'pbx'],
    ['sip:+1-555-0100:1234@pbx', '+1-555-0100', 'pbx'],
    ['sip:a%3Ab:pw@pbx', 'a:b', 'pbx'],
    ['sip::s3cret@pbx', '', 'pbx'],
    ['tel:+15550100', '+15550100', ''],
  ])('%s is without its password', (uri, user, host) => expect(splitUri(uri)).toEqual({ user, host }));

  it('makes the number a call is routed by', () =>
    expect(normaliseNumber('sip:+1-555-0100:9999@pbx')).toBe('+15550100'));
});

describe('withoutUriPasswords', () =>
  it.each([
    ['sip:alice:s3cret@pbx', 'sip:alice@pbx'],
    ['"A:b" <sips:bob;x=1:p:w;x@pbx:5061>, <sip:c:d@e>', '"A:b" <sips:bob;x=1@pbx:5061>, <sip:c@e>'],
    ['sip:10.0.0.1:5060', 'sip:10.0.0.1:5060'],
    ['sip:alice@pbx:5060', 'sip:alice@pbx:5060'],
    ['from sip:10.0.0.1:5060 for alice@pbx', 'from sip:10.0.0.1:5060 for alice@pbx'],
  ])('%s becomes %s', (text, clean) => expect(withoutUriPasswords(text)).toBe(clean)));
