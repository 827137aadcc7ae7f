import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../clock.js';
import { owned } from '../text.js';

/** Long enough for a phone to use a nonce again, short enough to limit the use of a stolen one. */
const LIFETIME_MS = 5 * 60_000;
/** Nonces whose use is remembered; only right credentials add one. */
const MAX_REMEMBERED = 10_000;

const TIME_BYTES = 6;
const RANDOM_BYTES = 6;
const MAC_BYTES = 16;

/** The realm and the address a nonce is valid for. */
export interface NonceHolder {
  readonly realm: string;
  /** Canonical, see `sourceHost`. Without the port: a NAT may give each request another one. */
  readonly address: string;
}

/** A nonce of ours that is not too old. */
export interface IssuedNonce {
  readonly text: string;
  readonly issuedMs: number;
}

interface Use {
  readonly issuedMs: number;
  highestCount: number;
}

/**
 * Stateless nonces: each carries the time it was made and a keyed hash (HMAC) over that time, the realm and the address it
 * was sent to (RFC 7616 section 5.4), so that a challenge costs no memory. Only nonces that were used with right credentials
 * are remembered, against replay.
 */
export class Nonces {
  readonly #clock: Clock;
  readonly #maxRemembered: number;
  readonly #key = randomBytes(32);
  /** In the order of first use. */
  readonly #uses = new Map<string, Use>();
  /** An unremembered nonce older than this is refused: it may have been used and forgotten. */
  #floorMs = -Infinity;

  constructor(clock: Clock, maxRemembered = MAX_REMEMBERED) {
    this.#clock = clock;
    this.#maxRemembered = maxRemembered;
  }

  get remembered(): number {
    return this.#uses.size;
  }

  issue(holder: NonceHolder): string {
    const head = Buffer.alloc(TIME_BYTES + RANDOM_BYTES, randomBytes(TIME_BYTES + RANDOM_BYTES));
    head.writeUIntBE(Math.floor(this.#clock.nowMs()), 0, TIME_BYTES);
    return Buffer.concat([head, this.#mac(head, holder)]).toString('base64url');
  }

  /** Undefined for a nonce that is not ours, was sent to another address, or is too old. */
  read(nonce: string, holder: NonceHolder): IssuedNonce | undefined {
    const bytes = Buffer.from(nonce, 'base64url');
    // An own string: a slice of a header keeps its whole message alive.
    const text = bytes.toString('base64url');
    // Another base64 spelling of the same octets would count as another nonce.
    if (bytes.length !== TIME_BYTES + RANDOM_BYTES + MAC_BYTES || text !== nonce) return undefined;
    const head = bytes.subarray(0, TIME_BYTES + RANDOM_BYTES);
    if (!timingSafeEqual(bytes.subarray(head.length), this.#mac(head, holder))) return undefined;
    const issuedMs = head.readUIntBE(0, TIME_BYTES);
    return this.#clock.nowMs() - issuedMs > LIFETIME_MS ? undefined : { text, issuedMs };
  }

  /**
   * Uses a nonce up to `count`: 1 for the first request with it; undefined for credentials without a nonce count, which are
   * good for one request. False for a replay, or when one cannot be ruled out.
   */
  use({ text, issuedMs }: IssuedNonce, count: number | undefined): boolean {
    const used = this.#uses.get(text);
    if (!used) return count !== 0 && this.#remember(text, { issuedMs, highestCount: count ?? Infinity });
    if (count === undefined || count <= used.highestCount) return false;
    used.highestCount = count;
    return true;
  }

  #remember(nonce: string, use: Use): boolean {
    if (use.issuedMs <= this.#floorMs) return false;
    this.#uses.set(owned(nonce), use);
    for (const [oldest, { issuedMs }] of this.#uses) {
      const over = this.#clock.nowMs() - issuedMs > LIFETIME_MS;
      if (!over && this.#uses.size <= this.#maxRemembered) break;
      this.#uses.delete(oldest);
      this.#floorMs = Math.max(this.#floorMs, issuedMs);
    }
    return true;
  }

  #mac(head: Buffer, { realm, address }: NonceHolder): Buffer {
    const hmac = createHmac('sha256', this.#key).update(head).update(`${address}\n${realm}`);
    return hmac.digest().subarray(0, MAC_BYTES);
  }
}
