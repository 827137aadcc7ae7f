import { expect, it } from 'vitest';
import { isProxied } from '../../../src/pranthora/no-proxy.js';

it.each([
  ['wss://a.example/', 'a.example', false],
  ['wss://A.example/', 'a.EXAMPLE', false],
  ['wss://b.a.example/', 'a.example', false],
  ['wss://b.a.example/', '.a.example', false],
  ['wss://b.a.example/', '*.a.example', false],
  ['wss://ba.example/', 'a.example', true],
  ['wss://a.example.org/', 'a.example', true],
  ['wss://a.example/', 'a.example:443', false],
  ['wss://a.example:8443/', 'a.example:443', true],
  ['https://a.example:8443/', 'a.example:8443', false],
  ['wss://192.0.2.1/', '192.0.2.1', false],
  ['wss://[2001:db8::1]/', '2001:db8::1', false],
  ['wss://[2001:db8::1]:8443/', '[2001:db8::1]:8443', false],
  ['wss://[2001:db8::1]/', '[2001:db8::1]', false],
  ['wss://a.example/', '*', false],
  ['wss://a.example/', '.', true],
  ['wss://a.example/', '', true],
])('%s with NO_PROXY=%s: proxied %s', (url, exception, proxied) =>
  expect(isProxied(new URL(url), ['other.example', exception])).toBe(proxied),
);
