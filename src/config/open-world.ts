import { parseCidr } from '../addresses/cidr.js';

/** How much of all addresses has to be allowed for this to be no list of peers any more. */
const MANY = 0.25;

/** A span of addresses, the end not included. */
type Span = readonly [first: bigint, end: bigint];

const IPV4: Span = [0n, 1n << 32n];
/** Global unicast (RFC 4291 section 2.4): the only ones that are routed. */
const IPV6: Span = [0x2n << 124n, 0x4n << 124n];

/** Whether the ranges of a list together hold a good part of the Internet, however they are cut up. */
export function isOpenToTheWorld(list: readonly string[]): boolean {
  const spans = list.map(spanOf);
  return [
    share(
      IPV4,
      spans.filter((span) => span.version === 4).map(({ span }) => span),
    ),
    share(
      IPV6,
      spans.filter((span) => span.version === 6).map(({ span }) => span),
    ),
  ].some((part) => part >= MANY);
}

function spanOf(text: string): { version: 4 | 6; span: Span } {
  const cidr = parseCidr(text);
  if (!cidr) return { version: 4, span: [0n, 0n] };
  const octets = cidr.network.toByteArray();
  const bits = octets.length * 8;
  const size = 1n << BigInt(bits - cidr.prefixLength);
  const address = octets.reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n);
  const first = address - (address % size);
  return { version: bits === 32 ? 4 : 6, span: [first, first + size] };
}

function share([first, end]: Span, spans: readonly Span[]): number {
  let covered = 0n;
  let reached = first;
  for (const [from, to] of [...spans].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))) {
    const begin = from > reached ? from : reached;
    const stop = to < end ? to : end;
    if (stop <= begin) continue;
    covered += stop - begin;
    reached = stop;
  }
  // Millionths are exact enough for a share.
  return Number((covered * 1_000_000n) / (end - first)) / 1_000_000;
}
