/** How long a source other than the one the SDP names is on probation, and a source moved away from is kept out. */
const CONTEST_MS = 1_000;

export interface TransportAddress {
  /** IP literal. */
  readonly address: string;
  readonly port: number;
}

/**
 * Who may become the source of the call's RTP. `any`: whoever sends it first, as it must be when the SDP names an address
 * behind NAT. `expected`: only the SDP's address, from whatever port.
 */
export type LatchMode = 'expected' | 'any';

/** A source silent for this long may have moved: a NAT has given it another address, or a phone has changed its network. */
const MAY_HAVE_MOVED_AFTER_MS = 1_000;

/** Before it may have moved, it is no longer taken for granted. */
const SILENT_AFTER_MS = MAY_HAVE_MOVED_AFTER_MS / 2;

/**
 * `current`: the source locked to. `candidate`: may be locked to, if what it sent is plausible. `moved`: may be, if what it
 * sent continues the source's stream. `refused`: ignore it.
 */
export type SourceVerdict = 'current' | 'candidate' | 'moved' | 'refused';

/**
 * Symmetric RTP (RFC 4961): decides whose packets are the call's, and where ours go.
 *
 * Nobody is admitted before the first `expect`. Then the first plausible source is locked to, and all others are refused,
 * so that a stranger who finds the port cannot take the call over. Only the exact address of the SDP may still replace
 * another source within the first second. A source that has fallen silent may go on from another address, told by its SSRC,
 * which a stranger does not know. A new address in the SDP unlocks; the source so far, whose last packets are
 * still on their way, is kept out for a second unless it is the new address.
 */
export class SourceLatch {
  #mode: LatchMode | undefined;
  #expected: TransportAddress | undefined;
  #locked: TransportAddress | undefined;
  #lockedAtMs = 0;
  #heardAtMs = 0;
  #previous: TransportAddress | undefined;
  #movedAtMs = 0;

  /** Where to send: to the source of what comes, or while nothing has come, to the SDP's address. */
  get target(): TransportAddress | undefined {
    return this.#locked ?? this.#expected;
  }

  /** Where RTP really comes from, once it does. */
  get source(): TransportAddress | undefined {
    return this.#locked;
  }

  /**
   * The source, when it is past its probation and has sent of late: until it falls silent, nobody else's packets are looked
   * at. Undefined otherwise.
   */
  settled(nowMs: number): TransportAddress | undefined {
    const isSettled = nowMs - this.#lockedAtMs >= CONTEST_MS && nowMs - this.#heardAtMs < SILENT_AFTER_MS;
    return isSettled ? this.#locked : undefined;
  }

  /**
   * What the SDP says; `remote` is undefined when it gives no address (0.0.0.0 for hold, RFC 3264 section 8.4, or a host
   * name). Then what was known before still holds.
   */
  expect(remote: TransportAddress | undefined, mode: LatchMode, nowMs: number): void {
    this.#mode = mode;
    if (!remote || isSame(this.#expected, remote.address, remote.port)) return;
    const isFirst = this.#expected === undefined;
    this.#expected = remote;
    if (isSame(this.#locked, remote.address, remote.port)) return;
    if (isFirst && this.#locked) {
      // The SDP named no address so far. What is locked to may well be the same side behind NAT: it stays, on probation.
      this.#lockedAtMs = nowMs;
      return;
    }
    if (this.#locked) this.#leave(nowMs);
  }

  /** Another party takes the place of the one so far, of which nothing more is expected. */
  forget(nowMs: number): void {
    this.#expected = undefined;
    this.#leave(nowMs);
  }

  judge(address: string, port: number, nowMs: number): SourceVerdict {
    if (isSame(this.#locked, address, port)) {
      this.#heardAtMs = nowMs;
      return 'current';
    }
    if (this.#mayLock(address, port, nowMs)) return 'candidate';
    return this.#mayHaveMoved(port, nowMs) ? 'moved' : 'refused';
  }

  lock(address: string, port: number, nowMs: number): void {
    this.#locked = { address, port };
    this.#lockedAtMs = this.#heardAtMs = nowMs;
  }

  #leave(nowMs: number): void {
    this.#previous = this.#locked;
    this.#movedAtMs = nowMs;
    this.#locked = undefined;
  }

  #mayHaveMoved(port: number, nowMs: number): boolean {
    return this.#mode === 'any' && port !== 0 && !!this.#locked && nowMs - this.#heardAtMs >= MAY_HAVE_MOVED_AFTER_MS;
  }

  #mayLock(address: string, port: number, nowMs: number): boolean {
    // Nothing can be sent to port 0.
    if (this.#mode === undefined || port === 0) return false;
    if (isSame(this.#expected, address, port)) return !this.#locked || nowMs - this.#lockedAtMs < CONTEST_MS;
    if (this.#locked) return false;
    if (isSame(this.#previous, address, port) && nowMs - this.#movedAtMs < CONTEST_MS) return false;
    return this.#mode === 'any' || this.#expected?.address === address;
  }
}

function isSame(known: TransportAddress | undefined, address: string, port: number): boolean {
  return known?.port === port && known.address === address;
}
