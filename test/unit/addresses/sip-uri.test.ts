import { describe, expect, it } from 'vitest';
import { sipUri } from '../../../src/config/formats.js';

describe('the URI of a transfer or a redirect', () => {
  it.each([
    'sip:operator@pbx.example.com',
    'sip:pbx.example.com',
    'SIPS:+15550100@10.0.0.1:5061;transport=tls',
    'sip:+1-555-0100;phone-context=%2B1@gateway.example;user=phone',
    'sip:a@[2001:db8::1]:5070;lr',
    'sip:%2372@pbx.example',
    'sip:*72@pbx.example',
    "sip:o'brien!(x)~_.a@pbx.example",
    'sip:bob@pbx.example?Replaces=abc%40x%3Bto-tag%3D1&Require=replaces&Empty=',
    'tel:+1-555-0100',
    'tel:*72#;phone-context=pbx.example',
  ])('may be %s', (uri) => expect(sipUri.parse(` ${uri} `)).toBe(uri));

  it.each([
    '',
    'bob',
    'sip:',
    'sip:bob@',
    'http://pbx.example',
    'sip:bob@pbx.example:0',
    'sip:bob@pbx.example:65536',
    'sip:bob@10.0.0.256',
    'sip:bob@[10.0.0.1]x',
    'sip:bob:secret@pbx.example',
    'sip:#72@pbx.example',
    'sip:b%4@pbx.example',
    'sip:b%zz@pbx.example',
    'sip:bób@pbx.example',
    'sip:{did}@pbx.example',
    'sip:b ob@pbx.example',
    'sip:bob@pbx.example>',
    'sip:bob@pbx.example"',
    'sip:bob@pbx.example;;x',
    'sip:bob@pbx.example;x=;y',
    'sip:bob@pbx.example?Subject',
    'sip:bob@pbx.example?a=b&',
    'sip:bob@pbx.example\r\nX: y',
    'tel:',
    'tel:+',
    'tel:bob',
    `sip:${'b'.repeat(250)}@pbx.example`,
  ])('may not be %j', (uri) => expect(sipUri.parse(uri)).toBeUndefined());

  it.each(['sip:' + '%41'.repeat(80), `tel:${'1-'.repeat(120)}x`, `sip:a@b${';a=b'.repeat(60)};`])(
    'is judged in no time: %s',
    (uri) => expect(sipUri.parse(uri)).toBeUndefined(),
  );
});
