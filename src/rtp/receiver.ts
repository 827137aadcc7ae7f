import { clearRtpPacket, copyRtpPacket, newRtpPacket, type MutableRtpPacket, type RtpPacket } from './packet.js';
import { RestartProbation } from './restart-probation.js';
import { sequenceDistance } from './sequence.js';

/** A sequence number further off than this is not a gap but a sender that started anew. One less far behind may be, too. */
const MAX_JUMP = 1_000;
/** Remembers which of the last sequence numbers came. A power of two above MAX_JUMP. */
const SEEN_WINDOW = 1_024;
const SEEN_MASK = SEEN_WINDOW - 1;

export interface RtpReceiverOptions {
  /** How long a packet that came too early waits for those before it. */
  reorderMs: number;
  /** How many may wait. */
  maxHeld: number;
  /** Gets each packet once, in order. It is valid during the call only, and `receive` must not be called in it. */
  onPacket: (packet: RtpPacket) => void;
}

export interface RtpReceiverStats {
  /** All that came, duplicates included. */
  packets: number;
  /** Expected but never come (RFC 3550 A.3, but a duplicate does not make up for a loss). */
  lost: number;
  /** Came after their place had been given up; not delivered. */
  late: number;
  duplicates: number;
  /** Came after a later one, yet in time. */
  reordered: number;
  /** The sender changed its SSRC, jumped in sequence or set its sequence number back. */
  restarts: number;
}

interface Held {
  readonly packet: MutableRtpPacket;
  sequence: number;
  arrivedMs: number;
}

/**
 * Puts packets in order without delaying those that are: a packet that follows its predecessor is delivered at
 * once, one ahead of a gap waits `reorderMs` at most. What is missing then is given up; filling the gap, which
 * the timestamps show, is the listener's business.
 *
 * Sequence numbers are extended here: they grow over the wrap at 65,536.
 */
export class RtpReceiver {
  readonly #reorderMs: number;
  readonly #maxHeld: number;
  readonly #onPacket: (packet: RtpPacket) => void;

  #ssrc: number | undefined;
  /** First sequence number of this source, and the one to be delivered next. */
  #base = 0;
  #next = 0;
  readonly #seen = new Uint8Array(SEEN_WINDOW);
  readonly #probation = new RestartProbation();
  /** Of what was delivered last. */
  #timestamp = 0;
  /** The first `#heldCount` wait, in order of sequence; the others are spare. */
  readonly #held: Held[];
  #heldCount = 0;

  #packets = 0;
  #received = 0;
  #expectedBefore = 0;
  #late = 0;
  #duplicates = 0;
  #reordered = 0;
  #restarts = 0;

  constructor({ reorderMs, maxHeld, onPacket }: RtpReceiverOptions) {
    this.#reorderMs = reorderMs;
    this.#maxHeld = maxHeld;
    this.#onPacket = onPacket;
    this.#held = Array.from({ length: maxHeld + 1 }, () => ({ packet: newRtpPacket(), sequence: 0, arrivedMs: 0 }));
  }

  get stats(): RtpReceiverStats {
    return {
      packets: this.#packets,
      lost: this.#expectedBefore + this.#expected - this.#received,
      late: this.#late,
      duplicates: this.#duplicates,
      reordered: this.#reordered,
      restarts: this.#restarts,
    };
  }

  /**
   * Takes a packet. If it has to wait its view is copied but its bytes are not: they must not be overwritten.
   * (Node gives every datagram a buffer of its own.)
   */
  receive(packet: RtpPacket, nowMs: number): void {
    this.#packets += 1;
    const sequence = this.#place(packet, nowMs);
    if (sequence < this.#next) this.#receiveBehind(sequence);
    else if (sequence > this.#next) this.#hold(packet, sequence, nowMs);
    else {
      if (this.#heldCount > 0) this.#reordered += 1;
      this.#received += 1;
      this.#deliver(packet);
      this.#deliverHeldInOrder();
    }
    if (this.#heldCount > 0) this.flush(nowMs);
  }

  /** Gives up waiting where it has lasted long enough. To be called every 20 ms. */
  flush(nowMs: number): void {
    while (this.#heldCount > 0 && nowMs - this.#oldestArrivalMs() >= this.#reorderMs) this.#giveUpGap();
  }

  /** Forgets the source and what waits: the next packet begins anew. The figures go on. */
  reset(): void {
    this.#expectedBefore += this.#expected;
    this.#base = this.#next = 0;
    this.#ssrc = undefined;
    for (const held of this.#held) clearRtpPacket(held.packet);
    this.#heldCount = 0;
  }

  get #expected(): number {
    const last = this.#held[this.#heldCount - 1];
    return (last ? last.sequence + 1 : this.#next) - this.#base;
  }

  /** The packet's extended sequence number; starts anew if it is not of the stream so far. */
  #place(packet: RtpPacket, nowMs: number): number {
    if (packet.ssrc !== this.#ssrc) return this.#begin(packet);
    const distance = sequenceDistance(this.#next, packet.sequenceNumber);
    if (Math.abs(distance) > MAX_JUMP) return this.#begin(packet);
    if (distance >= 0) this.#probation.clear();
    else if (this.#probation.isPassedBy(packet, this.#timestamp, nowMs)) return this.#begin(packet);
    return this.#next + distance;
  }

  #begin(packet: RtpPacket): number {
    if (this.#ssrc !== undefined) this.#restart();
    this.#ssrc = packet.ssrc;
    // One round ahead, so that what came before the first packet has a number as well.
    this.#base = this.#next = packet.sequenceNumber + 65_536;
    this.#probation.clear();
    return this.#next;
  }

  #restart(): void {
    this.#restarts += 1;
    while (this.#heldCount > 0) this.#giveUpGap();
    this.reset();
  }

  /** Too late, or here already. */
  #receiveBehind(sequence: number): void {
    if (sequence < this.#base) {
      this.#late += 1;
    } else if (this.#seen[sequence & SEEN_MASK] === 1) {
      this.#duplicates += 1;
    } else {
      this.#seen[sequence & SEEN_MASK] = 1;
      this.#received += 1;
      this.#late += 1;
    }
  }

  #hold(packet: RtpPacket, sequence: number, nowMs: number): void {
    let place = this.#heldCount;
    while (place > 0 && (this.#held[place - 1]?.sequence ?? 0) > sequence) place--;
    if (this.#held[place - 1]?.sequence === sequence && place > 0) {
      this.#duplicates += 1;
      return;
    }
    if (place < this.#heldCount) this.#reordered += 1;
    this.#received += 1;
    this.#insert(place, packet, sequence, nowMs);
    if (this.#heldCount > this.#maxHeld) this.#giveUpGap();
  }

  #insert(place: number, packet: RtpPacket, sequence: number, nowMs: number): void {
    const spare = this.#held[this.#heldCount];
    if (!spare) return;
    this.#held.copyWithin(place + 1, place, this.#heldCount);
    this.#held[place] = spare;
    this.#heldCount += 1;
    copyRtpPacket(packet, spare.packet);
    spare.sequence = sequence;
    spare.arrivedMs = nowMs;
  }

  #oldestArrivalMs(): number {
    let oldest = Infinity;
    for (let i = 0; i < this.#heldCount; i++) oldest = Math.min(oldest, this.#held[i]?.arrivedMs ?? Infinity);
    return oldest;
  }

  /** Goes on with the first packet that waits. */
  #giveUpGap(): void {
    const first = this.#held[0];
    if (!first || this.#heldCount === 0) return;
    for (; this.#next < first.sequence; this.#next++) this.#seen[this.#next & SEEN_MASK] = 0;
    this.#deliverHeldInOrder();
  }

  #deliverHeldInOrder(): void {
    for (let first = this.#held[0]; first && this.#heldCount > 0; first = this.#held[0]) {
      if (first.sequence !== this.#next) return;
      this.#held.copyWithin(0, 1, this.#heldCount);
      this.#heldCount -= 1;
      this.#held[this.#heldCount] = first;
      this.#deliver(first.packet);
      clearRtpPacket(first.packet);
    }
  }

  #deliver(packet: RtpPacket): void {
    this.#seen[this.#next & SEEN_MASK] = 1;
    this.#next += 1;
    this.#timestamp = packet.timestamp;
    this.#onPacket(packet);
  }
}
