import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SipRequest, type SipMessage } from '../../../src/sip-agent/message.js';
import { parseVia, splitHeaderList } from '../../../src/sip-agent/headers.js';
import { parseDatagram, StreamParser, type ParseResult, type StreamItem } from '../../../src/sip-agent/parse.js';
import { inviteText, okText } from './sip-texts.js';

const SEED = 0x5eed_51b0;
const ITERATIONS = 20_000;

/** A small generator (mulberry32): the same seed, the same messages, on every machine. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** A whole number from 0 to `below` - 1. */
  next(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.next(list.length)] as T;
  }
}

const FOLDER = new URL('../../fixtures/sip/torture/', import.meta.url);
const CORPUS = [
  ...readdirSync(FOLDER).map((file) => readFileSync(new URL(file, FOLDER))),
  ...Array.from({ length: 8 }, inviteText),
  ...Array.from({ length: 4 }, okText),
];

/** Pieces that mean something to a parser. */
const PIECES = [
  ...['\r\n', '\r\n\r\n', '\r\n ', '\r', '\n', '\0', '\\', '"', '<', '>', ',', ';', ':', '=', '@', '%', ' ', '\t', '|'],
  ...['%00', '\\\0', '\\\r\n', ';tag=', ';branch=', 'sip:', 'SIP/2.0', ':65536', ':0', '[::1]', '99999999999999999999'],
  ...[
    '\r\nl: 0',
    '\r\nContent-Length: 70000',
    '\r\nVia: x',
    '\r\nv: SIP/2.0/UDP a',
    '\r\nTo: <sip:a>',
    'ü',
    '\xff\xfe',
  ],
].map((piece) => Buffer.from(piece, piece.startsWith('\xff') ? 'latin1' : 'utf8'));

type Mutation = (bytes: Buffer, random: Random) => Buffer;

const MUTATIONS: readonly Mutation[] = [
  function flipBit(bytes, random) {
    if (bytes.length === 0) return bytes;
    const copy = Buffer.from(bytes);
    const at = random.next(copy.length);
    copy[at] = (copy[at] ?? 0) ^ (1 << random.next(8));
    return copy;
  },
  function truncate(bytes, random) {
    return bytes.subarray(0, random.next(bytes.length + 1));
  },
  function duplicate(bytes, random) {
    const start = random.next(bytes.length + 1);
    const end = Math.min(bytes.length, start + random.next(200));
    return Buffer.concat([bytes.subarray(0, end), bytes.subarray(start)]);
  },
  function cut(bytes, random) {
    const start = random.next(bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, start), bytes.subarray(start + random.next(40))]);
  },
  function splice(bytes, random) {
    const other = random.pick(CORPUS);
    const tail = other.subarray(random.next(other.length));
    return Buffer.concat([bytes.subarray(0, random.next(bytes.length + 1)), tail]);
  },
  function insert(bytes, random) {
    const at = random.next(bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, at), random.pick(PIECES), bytes.subarray(at)]);
  },
];

function mutated(random: Random): Buffer {
  let bytes = random.pick(CORPUS);
  for (let count = 1 + random.next(4); count > 0; count--) bytes = random.pick(MUTATIONS)(bytes, random);
  return bytes;
}

/** Nothing in a message can be taken for the end of a line by whoever reads it next. */
function checkSafe(message: SipMessage): void {
  for (const [name, value] of message.headers) {
    assert(!/[^!-~]/.test(name));
    assert(!/[\r\n]/.test(value));
    assert(!value.replace(/\\./gsu, '').includes('\0'));
  }
}

function checkResult(result: ParseResult): void {
  if (result.ok) checkAccepted(result);
  else checkRefused(result);
}

function checkAccepted({ message, envelope }: Extract<ParseResult, { ok: true }>): void {
  checkSafe(message);
  const written = message.toBuffer();
  const again = parseDatagram(written);
  assert(again.ok);
  assert.deepEqual(again.envelope, envelope);
  assert(again.message.toBuffer().equals(written));
  assert(again.message.body.equals(message.body));
}

function checkRefused({ failure }: Extract<ParseResult, { ok: false }>): void {
  assert(/^[ -~]+$/.test(failure.reason));
  if (!failure.partial) return;
  assert(failure.partial instanceof SipRequest);
  checkSafe(failure.partial);
  assert(parseVia(splitHeaderList(failure.partial.get('via') ?? '')[0] ?? ''));
}

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
