import type { RtpPacket } from '../rtp/packet.js';
import { sequenceDistance, timestampDistance } from '../rtp/sequence.js';
import { levelDbm0 } from './audio-measure.js';
import type { PhoneCodec } from './phone-codec.js';

/** Of narrowband telephones. */
export const TELEPHONE_RATE_HZ = 8_000;

/** The smallest code words of G.711, and G.722's own noise: what is no louder is silence. */
const SILENCE_PEAK = 8;

/** A timestamp that runs further than this ahead of time itself is not a pause but a sender that started anew. */
const MAX_AHEAD_MS = 5_000;

/** 200 ms of the largest: no telephone sends more in one packet. */
const MAX_PAYLOAD_BYTES = 6_400;

/** One packet as it came off the wire. */
export interface HeardPacket {
  /** On the caller's clock, as all times here. */
  readonly arrivedMs: number;
  readonly sequenceNumber: number;
  readonly timestamp: number;
  readonly ssrc: number;
  /** Units of the timestamp the payload is long. */
  readonly units: number;
  /** Decoded payload, at the codec's rate. */
  readonly samples: Int16Array;
  /** Its greatest distance from zero. */
  readonly peak: number;
}

/** What a stream was like, packet by packet. */
export interface HeardReport {
  readonly packets: number;
  /** Sequence numbers between the first and the last that never came. */
  readonly lost: number;
  readonly duplicated: number;
  /** Packets that did not come right after their predecessor in sequence: a gap, a repetition, a change of order. */
  readonly sequenceBreaks: number;
  /** Successors in sequence whose timestamp is not where the packet before ends: samples left out or repeated. */
  readonly timestampBreaks: number;
  /** The sender changed its SSRC. */
  readonly restarts: number;
  /** Longest time without a packet. */
  readonly longestGapMs: number;
  readonly firstPacketAtMs?: number;
  /** The first packet with something other than silence, and the last. */
  readonly firstSoundAtMs?: number;
  readonly lastSoundAtMs?: number;
  /** Of all that was heard, pauses included; minus infinity for digital silence. */
  readonly levelDbm0: number;
}

/**
 * Everything one caller hears: the packets with their arrival times, and what can be read from them. Nothing is smoothed
 * or filled in on the way here, so that faults of the sender are seen as they were.
 */
export class HeardAudio {
  readonly #codec: PhoneCodec;
  readonly #samplesPerUnit: number;
  readonly #maxPackets: number;
  readonly #packets: HeardPacket[] = [];
  #unrecorded = 0;

  /** `maxPackets` bounds what is kept; what comes later is only counted. */
  constructor(codec: PhoneCodec, maxPackets: number) {
    this.#codec = codec;
    this.#samplesPerUnit = codec.rateHz / 1_000 / codec.unitsPerMs;
    this.#maxPackets = maxPackets;
  }

  /** In order of arrival. */
  get packets(): readonly HeardPacket[] {
    return this.#packets;
  }

  /** Packets that came when the record was full, or that were longer than any telephone's. */
  get unrecorded(): number {
    return this.#unrecorded;
  }

  add(packet: RtpPacket, arrivedMs: number): void {
    if (this.#packets.length >= this.#maxPackets || packet.payloadLength > MAX_PAYLOAD_BYTES) {
      this.#unrecorded += 1;
      return;
    }
    const { sequenceNumber, timestamp, ssrc, payloadLength } = packet;
    const units = this.#codec.unitsOf(payloadLength);
    const samples = this.#codec.decode(packet.bytes, packet.payloadOffset, payloadLength);
    const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    this.#packets.push({ arrivedMs, sequenceNumber, timestamp, ssrc, units, samples, peak });
  }

  /** Arrival of the first packet with sound at or after `fromMs`. */
  firstSoundAtMs(fromMs = -Infinity): number | undefined {
    return this.#packets.find(({ arrivedMs, peak }) => arrivedMs >= fromMs && peak > SILENCE_PEAK)?.arrivedMs;
  }

  /** Arrival of the last packet with sound before `untilMs`. */
  lastSoundAtMs(untilMs = Infinity): number | undefined {
    return this.#packets.findLast(({ arrivedMs, peak }) => arrivedMs < untilMs && peak > SILENCE_PEAK)?.arrivedMs;
  }

  /** Since when the newest packets have been silent; undefined while there is sound, or nothing at all. */
  silentSinceMs(): number | undefined {
    const lastWithSound = this.#packets.findLastIndex(({ peak }) => peak > SILENCE_PEAK);
    return this.#packets[lastWithSound + 1]?.arrivedMs;
  }

  /**
   * What was heard, continuous at the codec's rate on the sender's timeline: each payload where its timestamp says, silence where
   * nothing came. A sender that starts anew goes on where it left off.
   */
  timeline(): Int16Array {
    const places = this.#places();
    const length = this.#packets.reduce((end, { samples }, n) => Math.max(end, (places[n] ?? 0) + samples.length), 0);
    const timeline = new Int16Array(length);
    this.#packets.forEach(({ samples }, n) => timeline.set(samples, places[n] ?? 0));
    return timeline;
  }

  /** Where each packet's samples belong. */
  #places(): number[] {
    return timelinePlaces(this.#packets, this.#codec.unitsPerMs).map((place) => place * this.#samplesPerUnit);
  }

  report(): HeardReport {
    const firstSoundAtMs = this.firstSoundAtMs();
    const lastSoundAtMs = this.lastSoundAtMs();
    const first = this.#packets[0];
    return {
      packets: this.#packets.length + this.#unrecorded,
      ...countFaults(this.#packets),
      longestGapMs: longestGapMs(this.#packets),
      levelDbm0: levelDbm0(this.timeline()),
      ...(first && { firstPacketAtMs: first.arrivedMs }),
      ...(firstSoundAtMs !== undefined && { firstSoundAtMs }),
      ...(lastSoundAtMs !== undefined && { lastSoundAtMs }),
    };
  }
}

/** Offset of each packet on the common timeline, in units of the timestamp; the smallest is 0. */
function timelinePlaces(packets: readonly HeardPacket[], unitsPerMs: number): number[] {
  const startMs = packets[0]?.arrivedMs ?? 0;
  let previous: HeardPacket | undefined;
  let place = 0;
  let end = 0;
  const places = packets.map((packet) => {
    place = continued(place, previous, packet, { startMs, unitsPerMs }) ?? end;
    end = Math.max(end, place + packet.units);
    previous = packet;
    return place;
  });
  const earliest = places.reduce((least, at) => Math.min(least, at), 0);
  return places.map((at) => at - earliest);
}

/** Where `packet` belongs if its timestamp continues that of `previous`, at `place`; undefined if it does not. */
function continued(
  place: number,
  previous: HeardPacket | undefined,
  packet: HeardPacket,
  { startMs, unitsPerMs }: { startMs: number; unitsPerMs: number },
): number | undefined {
  if (previous?.ssrc !== packet.ssrc) return undefined;
  const next = place + timestampDistance(previous.timestamp, packet.timestamp);
  const nextMs = next / unitsPerMs;
  return nextMs >= -MAX_AHEAD_MS && nextMs <= packet.arrivedMs - startMs + MAX_AHEAD_MS ? next : undefined;
}

type Faults = Pick<HeardReport, 'lost' | 'duplicated' | 'sequenceBreaks' | 'timestampBreaks' | 'restarts'>;

function countFaults(packets: readonly HeardPacket[]): Faults {
  const faults = { lost: 0, duplicated: 0, sequenceBreaks: 0, timestampBreaks: 0, restarts: 0 };
  let streamStart = 0;
  packets.forEach((packet, n) => {
    const previous = packets[n - 1];
    if (!previous) return;
    if (packet.ssrc !== previous.ssrc) {
      faults.restarts += 1;
      countMissing(packets.slice(streamStart, n), faults);
      streamStart = n;
    } else if (sequenceDistance(previous.sequenceNumber, packet.sequenceNumber) !== 1) {
      faults.sequenceBreaks += 1;
    } else if (timestampDistance(previous.timestamp, packet.timestamp) !== previous.units) {
      faults.timestampBreaks += 1;
    }
  });
  countMissing(packets.slice(streamStart), faults);
  return faults;
}

/** Adds what one SSRC lost and repeated. */
function countMissing(packets: readonly HeardPacket[], faults: { lost: number; duplicated: number }): void {
  const seen = new Set<number>();
  let extended = 0;
  let lowest = 0;
  let highest = 0;
  packets.forEach((packet, n) => {
    const previous = packets[n - 1];
    if (previous) extended += sequenceDistance(previous.sequenceNumber, packet.sequenceNumber);
    lowest = Math.min(lowest, extended);
    highest = Math.max(highest, extended);
    if (seen.has(extended)) faults.duplicated += 1;
    seen.add(extended);
  });
  if (packets.length > 0) faults.lost += highest - lowest + 1 - seen.size;
}

function longestGapMs(packets: readonly HeardPacket[]): number {
  return packets.reduce((longest, packet, n) => {
    const previous = packets[n - 1];
    return previous ? Math.max(longest, packet.arrivedMs - previous.arrivedMs) : longest;
  }, 0);
}
