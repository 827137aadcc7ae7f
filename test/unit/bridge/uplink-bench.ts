import { encodeG711, decodeG711 } from '../../../src/audio/g711.js';
import { Upsampler2x } from '../../../src/audio/resampler.js';
import { Uplink } from '../../../src/bridge/uplink/uplink.js';
import { newRtpPacket, type RtpPacket } from '../../../src/rtp/packet.js';

export interface SentFrame {
  readonly atMs: number;
  readonly samples: Int16Array;
}

export interface Arrival {
  readonly atMs: number;
  readonly packet: RtpPacket;
}

/** An uplink in virtual time: ticked every 20 ms from `phaseMs` on, given each packet at its time of arrival. */
export class UplinkBench {
  readonly frames: SentFrame[] = [];
  /** How many frames each packet sent the moment it came. */
  readonly framesAtArrival: number[] = [];
  readonly uplink: Uplink;
  nowMs = 0;
  #nextTickMs: number;

  constructor(phaseMs = 5) {
    this.#nextTickMs = phaseMs;
    this.uplink = new Uplink(0, (bytes) => {
      // A copy: the buffer is used again.
      const samples = new Int16Array(new Uint8Array(bytes).buffer);
      this.frames.push({ atMs: this.nowMs, samples });
    });
  }

  /** Delivers `arrivals`, which are in order of time, and ticks until `untilMs`. */
  run(untilMs: number, arrivals: Iterable<Arrival> = []): void {
    for (const { atMs, packet } of arrivals) {
      this.tickUntil(atMs);
      this.nowMs = atMs;
      this.receive(packet);
    }
    this.tickUntil(untilMs);
    this.nowMs = untilMs;
  }

  receive(packet: RtpPacket): void {
    const before = this.frames.length;
    this.uplink.receive(packet, this.nowMs);
    this.framesAtArrival.push(this.frames.length - before);
  }

  tickUntil(untilMs: number): void {
    for (; this.#nextTickMs <= untilMs; this.#nextTickMs += 20) {
      this.nowMs = this.#nextTickMs;
      this.uplink.tick(this.nowMs);
    }
  }

  /** The event loop hangs until `untilMs`: no tick before. Then the missed ones are made up for, five at most. */
  stall(untilMs: number, arrivals: readonly Arrival[] = []): void {
    const missed = Math.max(0, Math.floor((untilMs - this.#nextTickMs) / 20) + 1);
    this.nowMs = untilMs;
    for (const { packet } of arrivals) this.receive(packet);
    for (let i = 0; i < Math.min(5, missed); i++) this.uplink.tick(untilMs);
    this.#nextTickMs += missed * 20;
  }

  /** All that was sent, as one stream. */
  audio(fromFrame = 0): Int16Array {
    const frames = this.frames.slice(fromFrame);
    const audio = new Int16Array(frames.length * 320);
    frames.forEach(({ samples }, i) => audio.set(samples, i * 320));
    return audio;
  }

  /**
   * How far the sound sent ran ahead of time (or, with a minus, behind it) at most, counted from the frame `fromMs` is
   * the time of. Frames that come together, because one of them was late, count as on time with the last.
   */
  timelineErrorMs(fromMs: number): number {
    const from = this.frames.findIndex(({ atMs }) => atMs >= fromMs);
    const startMs = this.frames[from]?.atMs ?? 0;
    let worst = 0;
    this.frames.forEach(({ atMs }, i) => {
      if (i < from || this.frames[i + 1]?.atMs === atMs) return;
      const errorMs = (i - from) * 20 - (atMs - startMs);
      if (Math.abs(errorMs) > Math.abs(worst)) worst = errorMs;
    });
    return worst;
  }

  /** The longest time without a frame, the time before the first and after the last included. */
  get longestGapMs(): number {
    let longest = 0;
    let previous = 0;
    for (const atMs of [...this.frames.map((frame) => frame.atMs), this.nowMs]) {
      longest = Math.max(longest, atMs - previous);
      previous = atMs;
    }
    return longest;
  }

  /** The most frames sent at one instant. */
  get largestBurst(): number {
    const counts = new Map<number, number>();
    for (const { atMs } of this.frames) counts.set(atMs, (counts.get(atMs) ?? 0) + 1);
    return [...counts.values()].reduce((most, count) => Math.max(most, count), 0);
  }
}

/** Of what `packetsOf` is given, and of the RTP timestamps. */
export const RATE_HZ = { PCMU: 8_000, PCMA: 8_000, L16: 16_000 } as const;

/** Encodings whose packets can be decoded one by one. */
type Encoding = keyof typeof RATE_HZ;

const LAW = { PCMU: 'mulaw', PCMA: 'alaw' } as const;

export interface TelephoneOptions {
  readonly encoding?: Encoding;
  readonly ptimeMs?: number;
  readonly ssrc?: number;
  readonly firstTimestamp?: number;
  readonly firstSequence?: number;
}

/** Packets of one stream, cut out of `samples` by the telephone's own clock. */
export function packetsOf(
  samples: Int16Array,
  {
    encoding = 'PCMU',
    ptimeMs = 20,
    ssrc = 1,
    firstTimestamp = 4_294_960_000,
    firstSequence = 0,
  }: TelephoneOptions = {},
): RtpPacket[] {
  const step = (ptimeMs * RATE_HZ[encoding]) / 1_000;
  return Array.from({ length: Math.floor(samples.length / step) }, (_, i) => {
    const payload = payloadOf(samples.subarray(i * step, (i + 1) * step), encoding);
    return Object.assign(newRtpPacket(), {
      ssrc,
      bytes: Buffer.concat([Buffer.alloc(12), payload]),
      payloadOffset: 12,
      payloadLength: payload.length,
      sequenceNumber: (firstSequence + i) & 0xffff,
      timestamp: (firstTimestamp + i * step) >>> 0,
    });
  });
}

function payloadOf(samples: Int16Array, encoding: Encoding): Buffer {
  if (encoding === 'L16') {
    const bytes = Buffer.alloc(2 * samples.length);
    samples.forEach((sample, i) => bytes.writeInt16BE(sample, 2 * i));
    return bytes;
  }
  const codeWords = Buffer.alloc(samples.length);
  encodeG711(LAW[encoding], samples, 0, samples.length, codeWords, 0);
  return codeWords;
}

export interface ArrivalOptions {
  readonly startMs?: number;
  readonly ptimeMs?: number;
  readonly delayMs?: (packet: number) => number;
}

const noDelay = (): number => 0;

/** Each packet `delayMs(i)` after the instant its last sample was spoken, the first of all at `startMs`. */
export function arrivalsOf(
  packets: readonly RtpPacket[],
  { startMs = 0, ptimeMs = 20, delayMs = noDelay }: ArrivalOptions = {},
): Arrival[] {
  let previousMs = -Infinity;
  return packets.map((packet, i) => {
    // A network that keeps the order.
    previousMs = Math.max(previousMs, startMs + i * ptimeMs + delayMs(i));
    return { atMs: previousMs, packet };
  });
}

/** What the agent must hear of `samples` if not one of them is lost, repeated or put in between. */
export function expectedAudio(samples: Int16Array, encoding: Encoding = 'PCMU'): Int16Array {
  if (encoding === 'L16') return samples;
  const law = LAW[encoding];
  const codeWords = new Uint8Array(samples.length);
  encodeG711(law, samples, 0, samples.length, codeWords, 0);
  const decoded = new Int16Array(samples.length);
  decodeG711(law, codeWords, 0, samples.length, decoded, 0);
  const output = new Int16Array(2 * samples.length);
  new Upsampler2x().process(decoded, 0, decoded.length, output, 0);
  return output;
}

/** Index of the first sample that differs, the shorter length if one is the beginning of the other, or -1. */
export function firstDifference(a: Int16Array, b: Int16Array): number {
  const at = a.findIndex((sample, i) => sample !== b[i]);
  if (at >= 0) return at;
  return a.length === b.length ? -1 : Math.min(a.length, b.length);
}
