import type { RtpPacket } from './packet.js';
import { timestampDistance } from './sequence.js';

//  Payload of a telephone event, RFC 4733 section 2.3:
//
//   0                   1                   2                   3
//   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//  |     event     |E|R| volume    |          duration             |
//  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

export interface TelephoneEvent {
  /** 0–15 are the digits of {@link DTMF_DIGITS}. */
  readonly event: number;
  readonly end: boolean;
  /** Power in dBm0 without its sign: 0–63. */
  readonly volume: number;
  /** In timestamp units, from the packet's timestamp on. */
  readonly duration: number;
}

const EVENT_BYTES = 4;
const END = 0x80;
const VOLUME = 0x3f;

/** Events 0–15 (RFC 4733 section 3.2). */
export const DTMF_DIGITS = '0123456789*#ABCD';

/** A long event is cut into segments of this duration, each with a timestamp of its own (section 2.5.1.3). */
export const MAX_EVENT_DURATION = 0xffff;

/** An event whose timestamp is behind by less than this is an old one come late: 5 s at 8 kHz. */
const STALE_TIMESTAMP = 40_000;

/** The first event of a packet's payload, or undefined if it is too short to hold one. */
export function parseTelephoneEvent(packet: RtpPacket): TelephoneEvent | undefined {
  if (packet.payloadLength < EVENT_BYTES) return undefined;
  const { bytes, payloadOffset: at } = packet;
  const flags = bytes[at + 1] ?? 0;
  return {
    event: bytes[at] ?? 0,
    end: (flags & END) !== 0,
    volume: flags & VOLUME,
    duration: ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0),
  };
}

interface SeenEvent extends TelephoneEvent {
  readonly ssrc: number;
  readonly timestamp: number;
}

/**
 * Digits out of telephone-event packets. An event is a dozen packets with the timestamp of its beginning; the digit is
 * told at the first of them that comes, so that it takes neither the first nor the last to be heard.
 */
export class TelephoneEventDetector {
  #last: SeenEvent | undefined;

  /** Takes a packet of the telephone-event payload type. Returns the digit if a new event has begun. */
  receive(packet: RtpPacket): string | undefined {
    const parsed = parseTelephoneEvent(packet);
    if (!parsed) return undefined;
    const { ssrc, timestamp } = packet;
    const known = this.#last?.ssrc === ssrc ? this.#last : undefined;
    const distance = known ? timestampDistance(known.timestamp, timestamp) : 0;
    if (known && distance < 0 && distance > -STALE_TIMESTAMP) return undefined;

    const isNew = !known || (distance !== 0 && !isNextSegment(known, parsed, distance));
    this.#last = { ...parsed, ssrc, timestamp };
    return isNew ? DTMF_DIGITS[parsed.event] : undefined;
  }
}

/** The packets that told the end of the segment before, or all of a segment between, may be lost. */
function isNextSegment(last: SeenEvent, event: TelephoneEvent, distance: number): boolean {
  return !last.end && last.event === event.event && distance > 0 && distance % MAX_EVENT_DURATION === 0;
}
