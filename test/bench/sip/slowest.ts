import { parseDatagram } from '../../../src/sip-agent/syntax/parse.js';
import { PIECES, type Random } from '../../support/sip-fuzz.js';
import { INVITE_LINES } from '../../unit/sip-agent/sip-texts.js';

const MESSAGE_BYTES = 65_536;
const KEPT = 4;
const RUNS = 5;

/** A message as what it repeats: `piece` is repeated to fill each of the header fields of that name. */
interface Shape {
  readonly header: string;
  readonly piece: string;
  /** Characters of one header field's value. */
  readonly width: number;
}

const HEADERS = ['Via', 'Contact', 'Record-Route', 'Route', 'Path', 'Refer-To', 'P-Asserted-Identity', 'X-Any', 'a'];
const WIDTHS = [1, 60, 300, 640, 1_000, 8_000];
const WORDS = [
  ...PIECES.map((piece) => piece.toString('latin1')),
  ...[
    '<sip:a@b>,',
    'sip:a,',
    '<tel:1>,',
    'SIP/2.0/UDP a,',
    '<sip:a;lr>,',
    ';a',
    ';b=c',
    '=""',
    '%41',
    '\\"',
    'a',
    ' b',
    '\r\n\t',
  ],
];

/** The least time of several runs, in ms: what the work takes when nothing disturbs it. */
export function costMs(work: (bytes: Buffer) => unknown, bytes: Buffer): number {
  let least = Infinity;
  for (let run = 0; run < RUNS; run++) {
    const startMs = performance.now();
    work(bytes);
    least = Math.min(least, performance.now() - startMs);
  }
  return least;
}

/**
 * Looks for messages of 64 KB that take long: the slowest shapes known are varied, and a slower variation takes the place
 * of what it came from. Returns the slowest, slowest first.
 */
export function findSlowest(random: Random, forMs: number): Buffer[] {
  let kept = HEADERS.flatMap((header) => WORDS.map((piece) => measured({ header, piece, width: 1_000 })));
  const endMs = performance.now() + forMs;
  while (performance.now() < endMs) {
    kept = slowestOf(kept, 40);
    kept.push(measured(varied(random.pick(kept).shape, random)));
  }
  // Measured again: one that was only slow because of something else is not slow twice.
  return slowestOf(
    kept.map(({ shape }) => measured(shape)),
    KEPT,
  ).map(({ shape }) => messageOf(shape));
}

interface Measured {
  readonly shape: Shape;
  readonly ms: number;
}

function measured(shape: Shape): Measured {
  return { shape, ms: costMs(parseDatagram, messageOf(shape)) };
}

function slowestOf(all: readonly Measured[], count: number): Measured[] {
  return [...all].sort((a, b) => b.ms - a.ms).slice(0, count);
}

function varied({ header, piece, width }: Shape, random: Random): Shape {
  switch (random.next(4)) {
    case 0:
      return { header: random.pick(HEADERS), piece, width };
    case 1:
      return { header, piece, width: random.pick(WIDTHS) };
    case 2:
      return { header, piece: random.pick(WORDS) + piece, width };
    default:
      return { header, piece: piece.slice(random.next(piece.length)) + random.pick(WORDS), width };
  }
}

/** An ordinary INVITE, filled up to 64 KB. */
function messageOf({ header, piece, width }: Shape): Buffer {
  const tail = '\r\nContent-Length: 0\r\n\r\n';
  const head = INVITE_LINES.join('\r\n');
  const line = `\r\n${header}: ${piece
    .repeat(Math.ceil(width / piece.length))
    .slice(0, width)
    .replace(/,$/, '')}`;
  const room = MESSAGE_BYTES - Buffer.byteLength(head + tail);
  const lines = Math.min(190, Math.floor(room / Buffer.byteLength(line)));
  const filler = `\r\nX-Fill: ${'a'.repeat(8_000)}`;
  const fillers = Math.floor((room - lines * Buffer.byteLength(line)) / filler.length);
  return Buffer.from(head + line.repeat(lines) + filler.repeat(fillers) + tail);
}
