import { decodeG711, type G711Law } from '../audio/g711.js';
import { Upsampler2x } from '../audio/resampler.js';
import type { RtpPacket } from '../rtp/packet.js';

/** Samples of one 20 ms frame at 8 kHz (RTP) and at 16 kHz (Pranthora). */
const FRAME_8K = 160;
const FRAME_16K = 320;
const SAMPLES_PER_MS = 8;
const FRAME_MS = FRAME_8K / SAMPLES_PER_MS;

/** Frames at once that Pranthora takes without dropping; silence for one gap leaves room for the packet that ends it. */
const MAX_BURST_FRAMES = 5;
const MAX_GAP_SAMPLES = (MAX_BURST_FRAMES - 1) * FRAME_8K;

/**
 * How far the stream may fall behind live before silence takes the place of what is missing. The tick that notices
 * comes up to 20 ms later, and the last frame was sent 20 ms before its end was due: at most 100 ms without a frame.
 */
const HOLD_MS = 60;

/** Later than this and a packet is part of a backlog, not of the conversation. */
const MAX_LATENESS_MS = HOLD_MS + FRAME_MS;

/** A stream that has been late without a break for this long is not late: its path has become longer. */
const REANCHOR_AFTER_MS = 500;

/** The earliest arrival is looked for over this window, so that the sender's clock is followed and not ours. */
const EARLIEST_WINDOW_MS = 5_000;

/** More than this in one packet (200 ms at 8 kHz) is no telephone's RTP. */
export const MAX_PAYLOAD_BYTES = 1_600;

/**
 * Caller → agent: G.711 payloads in, an unbroken stream of 20 ms frames of 16 kHz PCM out.
 *
 * A payload in order becomes a frame at once. The stream also has a place in time: `#dueMs` is when the next sample
 * (RTP timestamp `#headTimestamp`) would arrive on a path without delay variation. When live is `HOLD_MS` past it,
 * silence is put in and the place counts as filled; what arrives for a filled place is late and dropped. So the agent
 * is never starved and never gets a backlog, whatever the caller's network does.
 */
export class Uplink {
  readonly #sendFrame: (frame: Buffer) => void;
  readonly #upsampler = new Upsampler2x();
  readonly #pcm8k = new Int16Array(FRAME_8K);
  readonly #silence8k = new Int16Array(FRAME_8K);
  readonly #frame = new Int16Array(FRAME_16K);
  readonly #frameBytes = Buffer.from(this.#frame.buffer);
  #frameFill = 0;

  #law: G711Law = 'mulaw';
  #dueMs: number;
  #headTimestamp: number | undefined;
  #ssrc = 0;
  /** Silence was put in because nothing came, not because a packet was lost between two others. */
  #starved = true;
  #lateSinceMs: number | undefined;
  #earliestMs = Infinity;
  #windowEndsMs: number;

  #frames = 0;
  #filledSamples = 0;
  #latePackets = 0;

  /** `sendFrame` gets 640 bytes, 16-bit little-endian, in a buffer that is reused: it copies what it keeps. */
  constructor(nowMs: number, sendFrame: (frame: Buffer) => void) {
    this.#sendFrame = sendFrame;
    this.#dueMs = nowMs - HOLD_MS;
    this.#windowEndsMs = nowMs + EARLIEST_WINDOW_MS;
  }

  set law(law: G711Law) {
    this.#law = law;
  }

  get stats(): { frames: number; filledMs: number; late: number } {
    return { frames: this.#frames, filledMs: this.#filledSamples / SAMPLES_PER_MS, late: this.#latePackets };
  }

  /** A packet of speech, in order of sequence number. */
  receive(packet: RtpPacket, nowMs: number): void {
    const count = packet.payloadLength;
    if (count === 0 || count > MAX_PAYLOAD_BYTES) return;
    if (packet.ssrc !== this.#ssrc) this.#headTimestamp = undefined; // its timestamps say nothing about the old ones
    this.#ssrc = packet.ssrc;
    const skip = this.#place(packet.timestamp, count, nowMs);
    if (skip >= count) {
      this.#latePackets += 1;
      return;
    }
    this.#appendPayload(packet.bytes, packet.payloadOffset + skip, count - skip);
    this.#lateSinceMs = undefined;
    this.#starved = false;
  }

  /** Every 20 ms: fills what did not come. */
  tick(nowMs: number): void {
    if (nowMs >= this.#windowEndsMs) this.#followSender(nowMs);
    this.#skipUnticked(nowMs);
    while (nowMs - this.#dueMs > HOLD_MS) {
      this.#starved = true;
      this.#fill(FRAME_8K);
    }
  }

  /** Puts a packet in its place in time; returns how many of its first samples are past it (`count`: all). */
  #place(timestamp: number, count: number, nowMs: number): number {
    if (this.#headTimestamp === undefined) return this.#anchor(timestamp, nowMs);
    const ahead = (timestamp - this.#headTimestamp) | 0;
    const latenessMs = nowMs - this.#dueMs - ahead / SAMPLES_PER_MS;
    if (latenessMs < -HOLD_MS) return this.#anchor(timestamp, nowMs); // the timestamps jumped, no time went by
    if (latenessMs > MAX_LATENESS_MS || ahead + count <= 0) {
      return this.#late(timestamp, count, nowMs);
    }
    this.#earliestMs = Math.min(this.#earliestMs, latenessMs);
    if (latenessMs < 0) this.#dueMs += latenessMs;
    if (ahead <= 0) return -ahead;
    const fill = this.#gapFill(ahead);
    this.#fill(fill);
    this.#pass(ahead - fill);
    return 0;
  }

  #anchor(timestamp: number, nowMs: number): number {
    this.#headTimestamp = timestamp;
    this.#dueMs = nowMs;
    this.#lateSinceMs = undefined;
    return 0;
  }

  #late(timestamp: number, count: number, nowMs: number): number {
    this.#lateSinceMs ??= nowMs;
    if (nowMs - this.#lateSinceMs >= REANCHOR_AFTER_MS) return this.#anchor(timestamp, nowMs);
    // Its place is lost either way: a backlog may not be sent in a burst.
    const end = (timestamp + count) >>> 0;
    const passed = (end - (this.#headTimestamp ?? end)) | 0;
    if (passed > 0) this.#pass(passed);
    return count;
  }

  /** The sender's clock is slower than ours, or its path longer, by what even its earliest packet was late. */
  #followSender(nowMs: number): void {
    if (this.#earliestMs > 0 && this.#earliestMs < Infinity) this.#dueMs += this.#earliestMs;
    this.#earliestMs = Infinity;
    this.#windowEndsMs = nowMs + EARLIEST_WINDOW_MS;
  }

  /**
   * How much silence stands for a gap of `samples`: all of it between two packets, within what may be sent at once.
   * After a pause it ends where a frame ends, so that the first packet of the new talkspurt leaves at once as a whole
   * frame and not 20 ms later.
   */
  #gapFill(samples: number): number {
    const fill = Math.min(samples, MAX_GAP_SAMPLES);
    if (!this.#starved) return fill;
    return Math.max(0, fill - ((this.#frameFill / 2 + fill) % FRAME_8K));
  }

  /**
   * While the agent was connecting, or the event loop blocked, nobody ticked. Silence that could not be sent in time is
   * of no use in a burst: beyond what may be sent at once, only the newest frame of it is.
   */
  #skipUnticked(nowMs: number): void {
    const missedFrames = Math.ceil((nowMs - this.#dueMs - HOLD_MS) / FRAME_MS);
    if (missedFrames > MAX_BURST_FRAMES) this.#pass((missedFrames - 1) * FRAME_8K);
  }

  #fill(samples: number): void {
    this.#filledSamples += samples;
    for (let left = samples; left > 0; left -= FRAME_8K) {
      this.#append(this.#silence8k, Math.min(left, FRAME_8K));
    }
  }

  #appendPayload(bytes: Uint8Array, offset: number, count: number): void {
    for (let done = 0; done < count; done += FRAME_8K) {
      const part = Math.min(FRAME_8K, count - done);
      decodeG711(this.#law, bytes, offset + done, part, this.#pcm8k, 0);
      this.#append(this.#pcm8k, part);
    }
  }

  /** Resamples straight into the frame being built and sends each frame the moment it is full. */
  #append(samples: Int16Array, count: number): void {
    for (let done = 0; done < count;) {
      const part = Math.min(count - done, (FRAME_16K - this.#frameFill) / 2);
      this.#upsampler.process(samples, done, part, this.#frame, this.#frameFill);
      this.#frameFill += 2 * part;
      done += part;
      if (this.#frameFill === FRAME_16K) this.#flush();
    }
    this.#pass(count);
  }

  /** The stream's place moves on by `samples`, whether or not they were sent. */
  #pass(samples: number): void {
    if (this.#headTimestamp !== undefined) this.#headTimestamp = (this.#headTimestamp + samples) >>> 0;
    this.#dueMs += samples / SAMPLES_PER_MS;
  }

  #flush(): void {
    this.#frameFill = 0;
    this.#frames += 1;
    this.#sendFrame(this.#frameBytes);
  }
}
