import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../clock.js';
import { owned } from '../text.js';

/** Long enough for a phone to keep using one, short enough for a stolen one to be worth little. */
const LIFETIME_MS = 5 * 60_000;
/** Nonces whose use is remembered; only right credentials make one remembered. */
const MAX_REMEMBERED = 10_000;

const TIME_BYTES = 6;
const RANDOM_BYTES = 6;
const MAC_BYTES = 16;

/** Whom a nonce is for: nobody else can use it. */
export interface NonceHolder {
  readonly realm: string;
  /** In one spelling, see `sourceHost`. Without the port: a NAT may give each request another one. */
  readonly address: string;
}

/** A nonce of ours that is fresh. */
export interface IssuedNonce {
  readonly text: string;
  readonly issuedMs: number;
}

interface Use {
  readonly issuedMs: number;
  highestCount: number;
}

/**
 * Nonces that carry their own proof: when they were made, and a keyed hash over that, the realm and the address they were
 * sent to (RFC 7616 section 5.4), so that a challenge costs no memory. Only what has been used with right credentials is
 * remembered, and cannot be used again.
 */
export class Nonces {
  readonly #clock: Clock;
  readonly #maxRemembered: number;
  readonly #key = randomBytes(32);
  /** In the order of first use. */
  readonly #uses = new Map<string, Use>();
  /** No nonce that was made before this and is not remembered is taken any more: it may be one that was forgotten. */
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

  /** Undefined for one that is not ours, was sent to somebody else, or is too old. */
  read(nonce: string, holder: NonceHolder): IssuedNonce | undefined {
    const bytes = Buffer.from(nonce, 'base64url');
    // A string of its own: what came in a header keeps its whole message.
    const text = bytes.toString('base64url');
    // Other spellings of the same octets would be other names for one nonce.
    if (bytes.length !== TIME_BYTES + RANDOM_BYTES + MAC_BYTES || text !== nonce) return undefined;
    const head = bytes.subarray(0, TIME_BYTES + RANDOM_BYTES);
    if (!timingSafeEqual(bytes.subarray(head.length), this.#mac(head, holder))) return undefined;
    const issuedMs = head.readUIntBE(0, TIME_BYTES);
    return this.#clock.nowMs() - issuedMs > LIFETIME_MS ? undefined : { text, issuedMs };
  }

  /**
   * Uses a nonce up to `count`: 1 for the first request with it; undefined for credentials that do not count, which are
   * good for one request. False when it has been used as often before, or may have been.
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
