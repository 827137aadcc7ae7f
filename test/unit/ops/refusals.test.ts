import { expect, it } from 'vitest';
import { Refusals } from '../../../src/ops/refusals.js';
import { FakeClock } from '../../support/fake-clock.js';

const MINUTE_MS = 60_000;

it('counts what was refused in the last five minutes, by reason, and forgets the rest', () => {
  const clock = new FakeClock();
  const refusals = new Refusals(clock);
  const none = { lastMinutes: 5, forbidden: 0, scanners: 0, limited: 0, callsPerSource: 0 };
  expect(refusals.recent()).toEqual(none);
  refusals.note('forbidden');
  refusals.note('forbidden');
  clock.advance(4 * MINUTE_MS);
  refusals.note('limited');
  refusals.note('scanners');
  refusals.note('callsPerSource');
  expect(refusals.recent()).toEqual({ ...none, forbidden: 2, limited: 1, scanners: 1, callsPerSource: 1 });
  clock.advance(MINUTE_MS);
  expect(refusals.recent()).toEqual({ ...none, limited: 1, scanners: 1, callsPerSource: 1 });
  clock.advance(60 * MINUTE_MS);
  expect(refusals.recent()).toEqual(none);
});
