import { timestampDistance } from '../../rtp/sequence.js';

/** Of a packet's length: one that comes sooner than that after the one before has followed it without a pause. */
const AT_ONCE = 1.5;

/**
 * The RTP clock of a G.722 sender. It has to run at 8 kHz (RFC 3551 section 4.5.2), a unit an octet; some let it run at the
 * 16 kHz of the samples, so that each packet seems to have a gap after it. What a sender means is seen from any two packets in
 * sequence: the timestamps are apart by their octets, or by twice as much though no time has gone by.
 */
export class G722Clock {
  #isDoubled = false;
  /** Of the last packet: as sent, and in units of 8 kHz. */
  #timestamp = 0;
  #units = 0;
  #sequence = 0;
  #octets = 0;
  #atMs = -Infinity;

  get rateHz(): 8_000 | 16_000 {
    return this.#isDoubled ? 16_000 : 8_000;
  }

  /** Takes note of a packet of audio, in order of sequence. @returns its timestamp in units of 8 kHz. */
  receive(timestamp: number, sequence: number, octets: number, nowMs: number): number {
    if (((sequence - this.#sequence) & 0xffff) === 1) this.#learn(timestampDistance(this.#timestamp, timestamp), nowMs);
    this.#units = this.unitsAt(timestamp);
    this.#timestamp = timestamp;
    this.#sequence = sequence;
    this.#octets = octets;
    this.#atMs = nowMs;
    return this.#units;
  }

  /** The same for what is no audio. */
  unitsAt(timestamp: number): number {
    if (!this.#isDoubled && this.#units === this.#timestamp) return timestamp;
    const distance = timestampDistance(this.#timestamp, timestamp);
    return (this.#units + (this.#isDoubled ? distance >> 1 : distance)) >>> 0;
  }

  #learn(distance: number, nowMs: number): void {
    if (distance === this.#octets) this.#isDoubled = false;
    else if (distance === 2 * this.#octets && nowMs - this.#atMs < (AT_ONCE * this.#octets) / 8) this.#isDoubled = true;
  }
}
