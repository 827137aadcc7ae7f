import { randomInt } from 'node:crypto';
import { RTP_HEADER_BYTES, writeRtpHeader, type MutableRtpPacket } from './packet.js';

/** A packet is not written again before this many others: 320 ms, should the socket be slow to take it. */
const RING_PACKETS = 16;

export interface RtpSenderOptions {
  payloadType: number;
  /** Length of every packet's payload. */
  payloadBytes: number;
  /** Timestamp units from one packet to the next: 160 for 20 ms of G.711. */
  samplesPerPacket: number;
  /** A random number of 32 bits: where sequence, timestamp and SSRC start (RFC 3550 section 5.1). */
  random32?: () => number;
}

/**
 * Makes the packets of one stream: header written, payload for the caller to fill, one a tick. Buffers come from a
 * ring, so that a packet costs no allocation.
 */
export class RtpSender {
  readonly #samplesPerPacket: number;
  readonly #ring: readonly Buffer[];
  readonly #header: Pick<MutableRtpPacket, 'payloadType' | 'marker' | 'sequenceNumber' | 'timestamp' | 'ssrc'>;
  #packets = 0;

  constructor({ payloadType, payloadBytes, samplesPerPacket, random32 = cryptoRandom32 }: RtpSenderOptions) {
    this.#samplesPerPacket = samplesPerPacket;
    const packetBytes = RTP_HEADER_BYTES + payloadBytes;
    const packets = Buffer.alloc(RING_PACKETS * packetBytes);
    this.#ring = Array.from({ length: RING_PACKETS }, (_, i) =>
      packets.subarray(i * packetBytes, (i + 1) * packetBytes),
    );
    this.#header = {
      payloadType,
      marker: false,
      sequenceNumber: random32() & 0xffff,
      timestamp: random32() >>> 0,
      ssrc: random32() >>> 0,
    };
  }

  get ssrc(): number {
    return this.#header.ssrc;
  }

  /** Packets made so far. */
  get packets(): number {
    return this.#packets;
  }

  /** From the next packet on. Sequence and timestamp go on: the stream is the same. */
  setPayloadType(payloadType: number): void {
    this.#header.payloadType = payloadType;
  }

  /**
   * This tick's packet, to be sent at once. The payload, from byte 12 on, holds old data until the caller fills it.
   * None has the marker: it announces a talkspurt after suppressed silence, and silence is sent here (RFC 3551 section
   * 4.1). Media servers take it at its word and throw away what else is waiting to be read.
   */
  nextPacket(): Buffer {
    const packet = this.#ring[this.#packets % RING_PACKETS] ?? Buffer.alloc(0);
    const header = this.#header;
    writeRtpHeader(packet, header);
    this.#packets += 1;
    header.sequenceNumber = (header.sequenceNumber + 1) & 0xffff;
    this.#advanceTimestamp();
    return packet;
  }

  /** Lets this tick pass without a packet: time goes on, the sequence does not. */
  skip(): void {
    this.#advanceTimestamp();
  }

  #advanceTimestamp(): void {
    this.#header.timestamp = (this.#header.timestamp + this.#samplesPerPacket) >>> 0;
  }
}

function cryptoRandom32(): number {
  return randomInt(2 ** 32);
}
