import { clearRtpPacket, copyRtpPacket, newRtpPacket, type RtpPacket } from '../../rtp/packet.js';

/** A stream that has been late without a break for this long is not late: its path has become longer. */
const ALWAYS_LATE_MS = 200;

/** Packets of a backlog come at once. Those of a stream take as long as they last; jitter may halve that. */
const STREAM_PACE = 0.5;

/**
 * Packets that come after their place has been filled, one after the other: a backlog, which is past, or a stream whose path
 * has become longer, or whose sender has let its timestamps stand still while it was silent. The first alone cannot tell: it
 * is kept until the next has come.
 */
export class LateArrivals {
  readonly #first = newRtpPacket();
  #sinceMs: number | undefined;
  /** How much audio came since the first, it included. */
  #audioMs = 0;

  /** What came on time is no longer late. */
  clear(): void {
    if (this.#sinceMs === undefined) return;
    this.#sinceMs = undefined;
    clearRtpPacket(this.#first);
  }

  /** When the first came. */
  get sinceMs(): number {
    return this.#sinceMs ?? 0;
  }

  /** The first, while the second is the one being taken. */
  get kept(): RtpPacket | undefined {
    return this.#first.payloadLength > 0 ? this.#first : undefined;
  }

  /** Takes a packet of `packetMs`. @returns whether it belongs to a stream that goes on from here. */
  isStream(packet: RtpPacket, packetMs: number, nowMs: number): boolean {
    if (this.#sinceMs === undefined) {
      this.#sinceMs = nowMs;
      this.#audioMs = packetMs;
      copyRtpPacket(packet, this.#first);
      return false;
    }
    const elapsedMs = nowMs - this.#sinceMs;
    const isStream = elapsedMs >= ALWAYS_LATE_MS || elapsedMs >= this.#audioMs * STREAM_PACE;
    this.#audioMs += packetMs;
    if (!isStream) clearRtpPacket(this.#first);
    return isStream;
  }
}
