import type { RtpPacket } from './packet.js';
import { sequenceDistance, timestampDistance } from './sequence.js';

/** RFC 3550 appendix A.1: a sequence number further ahead, or further behind, is not believed at once. */
const MAX_DROPOUT = 3_000;
const MAX_MISORDER = 100;

/** A difference in transit time above this is a clock that was set anew, not a network. */
const MAX_TRANSIT_STEP_MS = 2_000;

/** What a report block says of the source, before it is known when its last sender report came. */
export interface ReceptionReport {
  readonly ssrc: number;
  readonly fractionLost: number;
  readonly cumulativeLost: number;
  readonly highestSequence: number;
  readonly jitter: number;
}

export interface ReceptionStats {
  /** Packets the source has sent, by their sequence numbers; and how many of them have not come. */
  readonly expected: number;
  readonly lost: number;
  /** RFC 3550 section 6.4.1. */
  readonly jitterMs: number;
  /** How much audio a packet holds, as the timestamps have it; 0 before the second packet. */
  readonly packetMs: number;
}

/**
 * What RTCP has to say of a stream that is received: loss and interarrival jitter (RFC 3550 appendices A.1, A.3, A.8).
 * Apart from the reorder buffer, which decides what is still of use; this is about what the network did.
 */
export class Reception {
  #clockRateHz: number;
  #ssrc: number | undefined;
  /** Extended sequence numbers of this source. */
  #base = 0;
  #highest = 0;
  #received = 0;
  /** Where the source would go on if it has really jumped. */
  #jumpedTo: number | undefined;
  #lastArrivalMs = 0;
  #lastTimestamp = 0;
  #lastSequence = 0;
  #jitterMs = 0;
  #packetMs = 0;
  #expectedBefore = 0;
  #receivedBefore = 0;
  #reportedExpected = 0;
  #reportedReceived = 0;

  constructor(clockRateHz: number) {
    this.#clockRateHz = clockRateHz;
  }

  /** Of the RTP timestamps. */
  set clockRateHz(rateHz: number) {
    if (rateHz === this.#clockRateHz) return;
    this.#clockRateHz = rateHz;
    this.#jitterMs = 0;
  }

  get ssrc(): number | undefined {
    return this.#ssrc;
  }

  get stats(): ReceptionStats {
    const expected = this.#expectedBefore + this.#expected;
    return {
      expected,
      lost: Math.max(0, expected - this.#receivedBefore - this.#received),
      jitterMs: this.#jitterMs,
      packetMs: this.#packetMs,
    };
  }

  /**
   * Takes note of a packet, in the order of arrival. `isAudio` is false for one whose timestamp does not say when it was
   * sent (a telephone-event keeps that of its beginning).
   */
  receive(packet: RtpPacket, nowMs: number, isAudio: boolean): void {
    if (packet.ssrc !== this.#ssrc) this.#begin(packet);
    else if (!this.#advance(packet)) return;
    this.#received += 1;
    if (isAudio) this.#measure(packet, nowMs);
  }

  /** What to report; undefined when nothing came since the last report (RFC 3550 section 6.4). */
  report(): ReceptionReport | undefined {
    const expected = this.#expected - this.#reportedExpected;
    const received = this.#received - this.#reportedReceived;
    if (this.#ssrc === undefined || received === 0) return undefined;
    this.#reportedExpected = this.#expected;
    this.#reportedReceived = this.#received;
    const lost = expected - received;
    return {
      ssrc: this.#ssrc,
      // Appendix A.3: duplicates may make it negative, and then it is none.
      fractionLost: lost <= 0 ? 0 : Math.min(255, Math.floor((lost * 256) / expected)),
      cumulativeLost: Math.max(-0x80_0000, Math.min(0x7f_ffff, this.#expected - this.#received)),
      highestSequence: this.#highest >>> 0,
      jitter: Math.min(0xffff_ffff, Math.round((this.#jitterMs * this.#clockRateHz) / 1_000)),
    };
  }

  get #expected(): number {
    return this.#ssrc === undefined ? 0 : this.#highest - this.#base + 1;
  }

  #begin(packet: RtpPacket): void {
    this.#expectedBefore += this.#expected;
    this.#receivedBefore += this.#received;
    this.#received = this.#reportedExpected = this.#reportedReceived = 0;
    this.#ssrc = packet.ssrc;
    this.#base = this.#highest = packet.sequenceNumber;
    this.#jumpedTo = undefined;
    this.#lastSequence = -1;
  }

  /** Appendix A.1: false for a packet that is only believed when the next one follows it. */
  #advance(packet: RtpPacket): boolean {
    const ahead = sequenceDistance(this.#highest, packet.sequenceNumber);
    if (ahead > -MAX_MISORDER && ahead < MAX_DROPOUT) {
      if (ahead > 0) this.#highest += ahead;
      this.#jumpedTo = undefined;
      return true;
    }
    if (packet.sequenceNumber === this.#jumpedTo) {
      this.#begin(packet);
      return true;
    }
    this.#jumpedTo = (packet.sequenceNumber + 1) & 0xffff;
    return false;
  }

  /** Appendix A.8, in milliseconds. */
  #measure(packet: RtpPacket, nowMs: number): void {
    const sentMs = (timestampDistance(this.#lastTimestamp, packet.timestamp) * 1_000) / this.#clockRateHz;
    const step = Math.abs(nowMs - this.#lastArrivalMs - sentMs);
    if (this.#lastSequence >= 0 && step <= MAX_TRANSIT_STEP_MS) {
      this.#jitterMs += (step - this.#jitterMs) / 16;
      if (sequenceDistance(this.#lastSequence, packet.sequenceNumber) === 1 && sentMs > 0) this.#packetMs = sentMs;
    }
    this.#lastArrivalMs = nowMs;
    this.#lastTimestamp = packet.timestamp;
    this.#lastSequence = packet.sequenceNumber;
  }
}
