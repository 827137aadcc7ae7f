import { describe, expect, it } from 'vitest';
import { retryAfterSec } from '../../../src/pranthora/retry-after.js';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);

describe('Retry-After', () => {
  it.each([
    ['1', 1],
    [' 30 ', 30],
    ['0', 1],
    ['3600', 3_600],
    ['3601', 3_600],
    ['4294967296', 3_600],
    ['Fri, 02 Jan 2026 03:04:35 GMT', 30],
    ['Friday, 02-Jan-26 03:04:35 GMT', 30],
    ['Fri Jan  2 03:04:35 2026', 30],
    ['Fri, 02 Jan 2026 03:03:05 GMT', 1],
    ['Fri, 02 Jan 2032 03:04:05 GMT', 3_600],
  ])('%j is %i s', (text, seconds) => expect(retryAfterSec({ 'retry-after': text }, NOW)).toBe(seconds));

  it.each([
    undefined,
    '',
    '-5',
    '1.5',
    '1e3',
    '0x10',
    '30 s',
    '30, 60',
    '99999999999',
    'soon',
    '2026-01-02T03:04:35Z',
    'Fri, 99 Foo 2026 03:04:35 GMT',
    `Fri, ${' '.repeat(5_000)}`,
  ])('%.40j is none', (text) =>
    expect(retryAfterSec(text === undefined ? {} : { 'retry-after': text }, NOW)).toBeUndefined(),
  );

  it('takes a date against the clock it was written by', () => {
    const headers = { 'retry-after': 'Fri, 02 Jan 2026 09:00:20 GMT', date: 'Fri, 02 Jan 2026 09:00:00 GMT' };
    expect(retryAfterSec(headers, NOW)).toBe(20);
    expect(retryAfterSec({ ...headers, date: 'yesterday' }, Date.UTC(2026, 0, 2, 9, 0, 10))).toBe(10);
  });
});
