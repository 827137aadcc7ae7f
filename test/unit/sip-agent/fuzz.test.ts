import assert from 'node:assert/strict';
import { expect, test } from 'vitest';
import { parseDatagram, StreamParser, type StreamItem } from '../../../src/sip-agent/syntax/parse.js';
import { checkResult, mutated, outcomeOf, Random, savedCorpus } from '../../support/sip-fuzz.js';
import { inviteText } from './sip-texts.js';

/** The same messages each time; another seed is tried with FUZZ_SEED. */
const SEED = Number(process.env['FUZZ_SEED'] ?? 0x5eed_51b0);
const ITERATIONS = 20_000;

/** A stream's items as text, without its pings, of which each push reports one. */
function described(items: StreamItem[]): string[] {
  return items
    .filter((item) => !('kind' in item && item.kind === 'ping'))
    .map((item) => {
      if ('kind' in item) return JSON.stringify(item);
      return item.ok ? item.message.toString() : item.failure.reason;
    });
}

function checkSameHoweverCut(bytes: Buffer, random: Random): void {
  const cut = new StreamParser();
  const items: StreamItem[] = [];
  for (let rest = bytes; rest.length > 0;) {
    const size = 1 + random.next(random.pick([4, 100, 1_000]));
    items.push(...cut.push(rest.subarray(0, size)));
    rest = rest.subarray(size);
  }
  assert.deepEqual(described(items), described(new StreamParser().push(bytes)));
  for (const item of items) if (!('kind' in item)) checkResult(item);
}

test.each(savedCorpus)('$name of the corpus', ({ name, bytes }) => {
  const result = parseDatagram(bytes);
  checkResult(result);
  expect(name.replace(/^slow-\d+-|\.dat$/g, '')).toBe(outcomeOf(result));
});

test(`${ITERATIONS} mutated messages: none throws, what is accepted reads the same when written again`, () => {
  const random = new Random(SEED);
  let accepted = 0;
  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    const bytes = mutated(random);
    try {
      const result = parseDatagram(bytes);
      if (result.ok) accepted++;
      checkResult(result);
    } catch (error) {
      throw new Error(`seed ${SEED}, iteration ${iteration}: ${bytes.toString('base64')}`, { cause: error });
    }
  }
  // Were nearly everything refused, nothing but the first check would have been tried.
  expect(accepted).toBeGreaterThan(ITERATIONS / 20);
});

test('mutated streams: none throws, and how they are cut makes no difference', () => {
  const random = new Random(SEED + 1);
  for (let iteration = 0; iteration < ITERATIONS / 20; iteration++) {
    const bytes = Buffer.concat([inviteText(), mutated(random), inviteText(), mutated(random)]);
    try {
      checkSameHoweverCut(bytes, random);
    } catch (error) {
      throw new Error(`seed ${SEED + 1}, iteration ${iteration}: ${bytes.toString('base64')}`, { cause: error });
    }
  }
});
