/**
 * Packets of 20 ms sent before the caller's ACK, should nothing else show that the caller is there: an ACK that was lost
 * comes with the second repetition of the 200, after 1.5 s (RFC 3261 section 13.3.1.4).
 */
const UNCONFIRMED_PACKETS = 100;

/**
 * And after the ACK, when it does not come from the host in the SDP: it shows that the SIP is not forged, but not whose that
 * host is. Long enough for the first RTCP report of a listener (RFC 3550 section 6.2: some 3 s, 5 s where it is not
 * randomised).
 */
const UNPROVEN_PACKETS = 400;

/** After this much time with a target that is there, the call may send one more packet to the next one that is not. */
const EARNS_PACKET_MS = 400;

const PACKET_MS = 20;

/**
 * Whether anybody is there. RTP can be aimed: an SDP may name an address that never asked for it. So a target gets only
 * a few packets until it has given a sign of life itself: RTP, RTCP or a keep-alive from where ours goes to. An ACK is one of
 * the host it comes from, which so may listen for as long as a call may be silent. All else that is said in SIP is none, and
 * a re-INVITE renews neither the few packets nor the time until the call counts as dead.
 *
 * States: `unproven` until the first sign from the target, again whenever the target is another one; then `proven`.
 */
export class MediaLiveness {
  /** Whether ours go to the host that the SIP comes from. */
  isTargetPeer = false;
  readonly #rtpTimeoutMs: number;
  #isConfirmed = false;
  #isProven = false;
  /** Packets sent to unproven targets, less those earned since. */
  #unprovenPackets = 0;
  #earnedToMs: number;
  /** Since when the other side has been silent, times not counted in which we were on hold. */
  #silentSinceMs: number | undefined;
  #isSending = false;
  #heldSinceMs: number | undefined;

  constructor(rtpTimeoutMs: number, nowMs: number) {
    this.#rtpTimeoutMs = rtpTimeoutMs;
    this.#earnedToMs = this.#heldSinceMs = nowMs;
  }

  get isProven(): boolean {
    return this.#isProven;
  }

  /** The call is answered. */
  start(nowMs: number): void {
    this.#silentSinceMs = nowMs;
    if (this.#heldSinceMs !== undefined) this.#heldSinceMs = nowMs;
  }

  /** The caller's ACK has come. */
  confirm(): void {
    this.#isConfirmed = true;
  }

  /** What the SDP says: whether our packets are wanted. On hold nobody is expected to send anything, for as long as it lasts. */
  setSending(isSending: boolean, nowMs: number): void {
    if (isSending === this.#isSending) return;
    this.#isSending = isSending;
    if (!isSending) this.#heldSinceMs = nowMs;
    else if (this.#heldSinceMs !== undefined && this.#silentSinceMs !== undefined) {
      this.#silentSinceMs += nowMs - Math.max(this.#heldSinceMs, this.#silentSinceMs);
    }
    if (isSending) this.#heldSinceMs = undefined;
  }

  /** Ours go elsewhere from now on. */
  targetChanged(): void {
    this.#isProven = false;
  }

  /** RTP, RTCP or a keep-alive has come from where ours goes to. */
  sign(nowMs: number): void {
    if (this.#silentSinceMs !== undefined) this.#silentSinceMs = nowMs;
    if (this.#isProven) return;
    this.#isProven = true;
    const earned = Math.floor((nowMs - this.#earnedToMs) / EARNS_PACKET_MS);
    this.#unprovenPackets = Math.max(0, this.#unprovenPackets - earned);
    this.#earnedToMs = nowMs;
  }

  /** Whether one more packet may be sent, and is: to be asked once for each. */
  maySend(): boolean {
    if (this.#isProven) return true;
    if (this.#unprovenPackets >= this.#maxUnproven()) return false;
    this.#unprovenPackets += 1;
    return true;
  }

  #maxUnproven(): number {
    if (!this.#isConfirmed) return UNCONFIRMED_PACKETS;
    return this.isTargetPeer ? Math.max(this.#rtpTimeoutMs / PACKET_MS, UNPROVEN_PACKETS) : UNPROVEN_PACKETS;
  }

  /** For how long there has been no sign, once that is too long; told again only after as long. Else undefined. */
  timeout(nowMs: number): number | undefined {
    if (!this.#isSending || this.#silentSinceMs === undefined) return undefined;
    const silentMs = nowMs - this.#silentSinceMs;
    if (silentMs <= this.#rtpTimeoutMs) return undefined;
    this.#silentSinceMs = nowMs;
    return silentMs;
  }
}
