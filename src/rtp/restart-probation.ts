import type { RtpPacket } from './packet.js';
import { timestampDistance } from './sequence.js';

/** For so long packets behind the stream must follow one another, and none that continues it come between. */
const PROBATION_MS = 50;

/**
 * Tells a sender that has set its sequence number back (RFC 3550 appendix A.1) from packets that come late or twice. It is
 * not believed by one packet: the next must follow it. Two are enough where their timestamps are ahead of all that came,
 * for old packets have old timestamps; else they must be all that comes for a while.
 */
export class RestartProbation {
  #next = -1;
  #sinceMs = 0;

  /** A packet has come that continues the stream. */
  clear(): void {
    this.#next = -1;
  }

  /** @returns whether `packet`, which is behind the stream, is the second of one that began anew. */
  isPassedBy(packet: RtpPacket, latestTimestamp: number, nowMs: number): boolean {
    const follows = packet.sequenceNumber === this.#next;
    this.#next = (packet.sequenceNumber + 1) & 0xffff;
    if (!follows) this.#sinceMs = nowMs;
    return (
      follows && (timestampDistance(latestTimestamp, packet.timestamp) > 0 || nowMs - this.#sinceMs >= PROBATION_MS)
    );
  }
}
