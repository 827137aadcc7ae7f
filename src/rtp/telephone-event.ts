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

/** Packets of one press follow one another, but for some of another payload type between them and some that are lost. */
const MAX_STEP = 3;
/** The end is sent three times, or as long as the sender likes; not after so many other packets. */
const MAX_END_STEP = 10;

/** Less than this is missing between the end of a segment and the beginning of the next: 60 ms at 8 kHz. */
const MAX_SEGMENT_GAP = 480;
/** Shorter events are not cut into segments. */
const MIN_SEGMENT_DURATION = 0x8000;

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
  readonly sequenceNumber: number;
}

/**
 * Digits out of telephone-event packets, which are given in order of sequence number. An event is a dozen packets with the
 * timestamp of its beginning (RFC 4733 section 2.5.1); the digit is told at the first of them that comes, so that it takes
 * neither the first nor the last to be heard.
 *
 * Not every sender keeps to that: some give each packet a new timestamp, or only the ends, and some use a timestamp again
 * for the next key. So what is one press is told by event code, end bit, sequence number and timestamp together.
 */
export class TelephoneEventDetector {
  #last: SeenEvent | undefined;

  /** Takes a packet of the telephone-event payload type. Returns the digit if a new event has begun. */
  receive(packet: RtpPacket): string | undefined {
    const parsed = parseTelephoneEvent(packet);
    if (!parsed) return undefined;
    const { ssrc, timestamp, sequenceNumber } = packet;
    const event = { ...parsed, ssrc, timestamp, sequenceNumber };
    const isSame = this.#last !== undefined && isSamePress(this.#last, event);
    this.#last = event;
    return isSame ? undefined : DTMF_DIGITS[event.event];
  }
}

function isSamePress(last: SeenEvent, event: SeenEvent): boolean {
  if (event.ssrc !== last.ssrc || event.event !== last.event) return false;
  if (last.end && !event.end) return false;
  // Far ahead where the sender has set its sequence number back.
  const step = (event.sequenceNumber - last.sequenceNumber) & 0xffff;
  const distance = timestampDistance(last.timestamp, event.timestamp);
  if (distance === 0) return step <= MAX_END_STEP || (!last.end && event.duration >= last.duration);
  if (last.end) return step <= MAX_STEP;
  return isNextSegment(last, distance, step) || (step <= MAX_STEP && event.duration >= last.duration);
}

/** Packets of the segment before, or all of a segment between, may be lost. */
function isNextSegment(last: SeenEvent, distance: number, step: number): boolean {
  if (distance > 0 && distance % MAX_EVENT_DURATION === 0) return true;
  // Not all senders cut where the standard has it, but they do without a gap.
  const gap = distance - last.duration;
  return last.duration >= MIN_SEGMENT_DURATION && step <= MAX_STEP && Math.abs(gap) <= MAX_SEGMENT_GAP;
}
