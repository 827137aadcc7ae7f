import { expect, it } from 'vitest';
import { MarkLedger } from '../../../src/simulator/mark-ledger.js';

/** Runs marks past the ledger and returns the kinds it complained about, in order. */
function ledger(run: (marks: MarkLedger) => void): string[] {
  const kinds: string[] = [];
  run(new MarkLedger(({ kind }) => kinds.push(kind)));
  return kinds;
}

it('is content with marks in order, at the end of the speech or later', () => {
  const kinds = ledger((marks) => {
    marks.send('a', 1_000);
    marks.send('b', 2_000);
    marks.echo('a', 901);
    marks.echo('b', 3_900);
    marks.end(9_000);
    expect(marks.counts).toEqual({ sent: 2, echoed: 2 });
  });
  expect(kinds).toEqual([]);
});

it('notices marks that come before the speech is over, unless it was discarded', () => {
  expect(
    ledger((marks) => {
      marks.send('a', 1_000);
      marks.echo('a', 899);
    }),
  ).toEqual(['mark-early']);
  expect(
    ledger((marks) => {
      marks.send('a', 1_000);
      marks.clear(500);
      marks.echo('a', 510);
    }),
  ).toEqual([]);
});

it('notices marks nobody sent, and those out of order', () => {
  const kinds = ledger((marks) => {
    marks.echo('a', 0);
    marks.send('a', 0);
    marks.send('b', 0);
    marks.echo('b', 10);
    marks.echo('a', 10);
    marks.echo('b', 10);
  });
  expect(kinds).toEqual(['mark-unknown', 'mark-unknown']);
});

it('misses at the end what is long due, once, and not what may still be played', () => {
  const kinds = ledger((marks) => {
    marks.send('a', 1_000);
    marks.send('b', 2_000);
    marks.end(3_500);
    marks.end(99_000);
  });
  expect(kinds).toEqual(['mark-missing']);
});
