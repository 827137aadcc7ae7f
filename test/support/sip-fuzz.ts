import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseVia, splitHeaderList } from '../../src/sip-agent/syntax/headers.js';
import { SipRequest, type SipMessage } from '../../src/sip-agent/syntax/message.js';
import { parseDatagram, type ParseResult } from '../../src/sip-agent/syntax/parse.js';
import { inviteText, okText } from '../unit/sip-agent/sip-texts.js';

/** A small generator (mulberry32): the same seed, the same messages, on every machine. */
export class Random {
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

/** From the root of the package, where npm and vitest run: compiled, this file is elsewhere. */
const FIXTURES = 'test/fixtures/sip';
export const CORPUS_FOLDER = join(FIXTURES, 'corpus');

export interface CorpusEntry {
  readonly name: string;
  readonly bytes: Buffer;
}

function filesOf(folder: string): CorpusEntry[] {
  return readdirSync(folder)
    .sort()
    .map((name) => ({ name, bytes: readFileSync(join(folder, name)) }));
}

/**
 * Messages worth keeping, named for what becomes of them (see `outcomeOf`): the shortest found of each kind, and some
 * of 64 KB that take longest ("slow-…").
 */
export const savedCorpus = filesOf(CORPUS_FOLDER);

/** What mutation starts from. Longer ones would cost much and show nothing that shorter ones do not. */
const CORPUS = [
  ...[...filesOf(join(FIXTURES, 'torture')), ...savedCorpus]
    .map(({ bytes }) => bytes)
    .filter(({ length }) => length < 8_192),
  ...Array.from({ length: 40 }, inviteText),
  ...Array.from({ length: 20 }, okText),
];

/** Pieces that mean something to a parser. */
export const PIECES = [
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

/** A message of the corpus with up to four things done to it. */
export function mutated(random: Random): Buffer {
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

/** Throws when the parser has broken a promise. */
export function checkResult(result: ParseResult): void {
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

/** What becomes of a message, in words a file can be named by. */
export function outcomeOf(result: ParseResult): string {
  if (result.ok) return result.message instanceof SipRequest ? 'accepted-request' : 'accepted-response';
  const { status, reason, partial } = result.failure;
  const words = `${status} ${reason}${partial ? '' : ' unanswered'}`;
  return words.toLowerCase().replace(/[^a-z0-9]+/g, '-');
}

/** As little as can be done with every octet of a message: what its parsing is measured by. */
export function scan(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at++) sum += at ^ (bytes[at] ?? 0);
  return sum;
}
