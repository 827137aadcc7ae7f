import { describe, expect, it } from 'vitest';
import { DigitFilter, type DigitPath } from '../../../src/control/digit-filter.js';

/** What came: when, by which path (r: RTP, i: INFO of 160 ms unless it says otherwise), which digit. */
type Came = readonly [atMs: number, path: 'r' | 'i', digit: string, durationMs?: number];

const PATHS: Record<'r' | 'i', DigitPath> = { r: 'telephone-event', i: 'info' };

function pressed(came: readonly Came[]): string {
  const filter = new DigitFilter();
  return came
    .filter(([atMs, path, digit, durationMs = path === 'i' ? 160 : 0]) =>
      filter.accept(digit, PATHS[path], 1_000 + atMs, durationMs),
    )
    .map(([, , digit]) => digit)
    .join('');
}

describe('digits', () => {
  it.each<[what: string, came: readonly Came[], keys: string]>([
    [
      'in RTP alone',
      [
        [0, 'r', '5'],
        [100, 'r', '5'],
        [200, 'r', '6'],
      ],
      '556',
    ],
    [
      'by INFO alone',
      [
        [0, 'i', '5'],
        [100, 'i', '5'],
        [200, 'i', '6'],
      ],
      '556',
    ],
    [
      'by both, RTP first',
      [
        [0, 'r', '5'],
        [180, 'i', '5'],
      ],
      '5',
    ],
    [
      'by both, INFO first',
      [
        [0, 'i', '5'],
        [20, 'r', '5'],
      ],
      '5',
    ],
    [
      'by both, pressed in haste',
      [
        [0, 'r', '5'],
        [90, 'r', '5'],
        [170, 'i', '5'],
        [260, 'i', '5'],
      ],
      '55',
    ],
    [
      'by both, pressed twice',
      [
        [0, 'r', '5'],
        [10, 'i', '5'],
        [300, 'r', '5'],
        [310, 'i', '5'],
      ],
      '55',
    ],
    [
      'by both, several keys',
      [
        [0, 'r', '1'],
        [80, 'r', '2'],
        [200, 'i', '1'],
        [280, 'i', '2'],
      ],
      '12',
    ],
    [
      'of different keys',
      [
        [0, 'r', '1'],
        [10, 'i', '2'],
      ],
      '12',
    ],
    [
      'a second and its duration apart',
      [
        [0, 'r', '5'],
        [1_160, 'i', '5'],
      ],
      '5',
    ],
    [
      'further apart than that',
      [
        [0, 'r', '5'],
        [1_161, 'i', '5'],
      ],
      '55',
    ],
    [
      'held down for long',
      [
        [0, 'r', '5'],
        [4_100, 'i', '5', 4_000],
      ],
      '5',
    ],
    [
      'held down for long, INFO first',
      [
        [0, 'i', '5', 4_000],
        [4_100, 'r', '5'],
      ],
      '5',
    ],
  ])('%s', (_, came, keys) => expect(pressed(came)).toBe(keys));

  it('are forgotten in time: a flood leaves nothing to look through', () => {
    const filter = new DigitFilter();
    for (let n = 0; n < 100_000; n++) filter.accept('1', 'info', n, 10_000);
    expect(filter.accept('2', 'telephone-event', 100_000, 0)).toBe(true);
    // 32 wait for their twins, no more.
    const twins = Array.from({ length: 100 }, () => filter.accept('1', 'telephone-event', 100_000, 0));
    expect(twins.filter((isNew) => !isNew)).toHaveLength(31);
  });
});
