import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parseDatagram } from '../../../src/sip-agent/syntax/parse.js';
import { checkResult, CORPUS_FOLDER, mutated, outcomeOf, Random, savedCorpus, scan } from '../../support/sip-fuzz.js';
import { formatTable } from '../figures.js';
import { costMs, findSlowest } from './slowest.js';

/**
 * A longer look at the SIP parser than a test has time for: `npm run fuzz:sip -- [--seconds 20] [--seed N] [--save]`.
 * Half of the time goes into outcomes the corpus does not have, half into messages of 64 KB that take long. With
 * `--save` what is found is added to the corpus.
 */
const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    save: { type: 'boolean', default: false },
  },
});
const [seed, halfMs] = [Number(options.seed), 500 * Number(options.seconds)];
const random = new Random(seed);
const print = (text: string): void => {
  process.stdout.write(text);
};

print(`seed ${seed}\n\n`);
const found = findOutcomes();
for (const [outcome, bytes] of found) save(outcome, bytes);

const slowest = findSlowest(random, halfMs);
slowest.forEach((bytes, n) => save(`slow-${n + 1}-${outcomeOf(parseDatagram(bytes))}`, bytes));
const plainMs = costMs(scan, slowest[0] ?? Buffer.alloc(0));
const rows = slowest.map((bytes) => {
  const parseMs = costMs(parseDatagram, bytes);
  return {
    name: outcomeOf(parseDatagram(bytes)),
    values: { bytes: bytes.length, ms: parseMs, scans: parseMs / plainMs },
  };
});
print(formatTable('The slowest messages of 64 KB', rows));

/** The shortest message of each outcome that the corpus lacks. */
function findOutcomes(): Map<string, Buffer> {
  const known = new Set(savedCorpus.map(({ name }) => name.replace(/\.dat$/, '')));
  const outcomes = new Map<string, Buffer>();
  const endMs = performance.now() + halfMs;
  let count = 0;
  for (; performance.now() < endMs; count++) {
    const bytes = mutated(random);
    const outcome = outcomeOf(checked(bytes));
    const shortest = outcomes.get(outcome)?.length ?? Infinity;
    if (!known.has(outcome) && bytes.length < shortest) outcomes.set(outcome, bytes);
  }
  print(`${count} messages, outcomes that are new: ${[...outcomes.keys()].join(', ') || 'none'}\n\n`);
  return outcomes;
}

function checked(bytes: Buffer): ReturnType<typeof parseDatagram> {
  try {
    const result = parseDatagram(bytes);
    checkResult(result);
    return result;
  } catch (error) {
    throw new Error(`seed ${seed}: ${bytes.toString('base64')}`, { cause: error });
  }
}

function save(name: string, bytes: Buffer): void {
  if (options.save) writeFileSync(join(CORPUS_FOLDER, `${name}.dat`), bytes);
}
