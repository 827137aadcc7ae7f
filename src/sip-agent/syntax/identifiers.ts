import { createHmac, randomBytes, randomFillSync, randomInt } from 'node:crypto';

const STATELESS_KEY = randomBytes(16);

/** Marks a branch as unique over space and time (RFC 3261 section 8.1.1.7). */
export const BRANCH_COOKIE = 'z9hG4bK';

/** An unguessable Via branch: a response is accepted by its branch. */
export function newBranch(): string {
  return BRANCH_COOKIE + randomHex(12);
}

/** A From or To tag; RFC 3261 section 19.3 asks for at least 32 random bits. */
export function newTag(): string {
  return randomHex(8);
}

/**
 * The To tag of a stateless response (RFC 3261 section 8.2.7): the same for every copy of a request, which `parts` identify,
 * and different for every other request.
 */
export function statelessTag(...parts: readonly (string | number | undefined)[]): string {
  return createHmac('sha256', STATELESS_KEY).update(parts.join('\n')).digest('hex').slice(0, 16);
}

export function newCallId(): string {
  return randomHex(16);
}

/** A first CSeq number, far below the limit of 2^31. */
export function newSequenceNumber(): number {
  return randomInt(1, 10_000);
}

/** A pool of random octets: asking the system for a few octets costs as much as for a few thousand. */
const stock = Buffer.alloc(4_096);
let used = stock.length;

function randomHex(octets: number): string {
  if (used + octets > stock.length) {
    randomFillSync(stock);
    used = 0;
  }
  used += octets;
  return stock.toString('hex', used - octets, used);
}
