import type { StreamEncoding } from '../audio/frame-codec.js';
import type { AudioFormat } from '../pranthora/protocol.js';
import type { RtpPacket } from '../rtp/packet.js';
import { createUplinkFramer, type UplinkFramer } from './uplink-framer.js';

const FRAME_MS = 20;

/** Frames at once that Pranthora takes without dropping; silence for one gap leaves room for the packet that ends it. */
const MAX_BURST_FRAMES = 5;
const MAX_GAP_MS = (MAX_BURST_FRAMES - 1) * FRAME_MS;

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

/** More than this in one packet is no telephone's RTP. */
const MAX_PACKET_MS = 200;

/**
 * Caller → agent: RTP payloads in, an unbroken stream of 20 ms frames in the agent's format out.
 *
 * A payload in order becomes a frame at once. The stream also has a place in time: `#dueMs` is when the next sample
 * (RTP timestamp `#headTimestamp`) would arrive on a path without delay variation. When live is `HOLD_MS` past it,
 * silence is put in and the place counts as filled; what arrives for a filled place is late and dropped. So the agent
 * is never starved and never gets a backlog, whatever the caller's network does.
 */
export class Uplink {
  readonly #sendFrame: (frame: Buffer) => void;
  #encoding: StreamEncoding = 'PCMU';
  #format: AudioFormat = 'pcm16k';
  #framer: UplinkFramer = createUplinkFramer('PCMU', 'pcm16k');
  #dueMs: number;
  #headTimestamp: number | undefined;
  #ssrc = 0;
  /** Silence was put in because nothing came, not because a packet was lost between two others. */
  #starved = true;
  #lateSinceMs: number | undefined;
  #earliestMs = Infinity;
  #windowEndsMs: number;

  #frames = 0;
  #filledMs = 0;
  #latePackets = 0;

  /** `sendFrame` gets a frame in a buffer that is reused: it copies what it keeps. */
  constructor(nowMs: number, sendFrame: (frame: Buffer) => void) {
    this.#sendFrame = sendFrame;
    this.#dueMs = nowMs - HOLD_MS;
    this.#windowEndsMs = nowMs + EARLIEST_WINDOW_MS;
  }

  /** What the payloads are. Another encoding is another stream: its timestamps begin anew. */
  set encoding(encoding: StreamEncoding) {
    if (encoding === this.#encoding) return;
    this.#encoding = encoding;
    this.#framer = createUplinkFramer(encoding, this.#format);
    this.#headTimestamp = undefined;
  }

  /** What the agent takes. */
  set format(format: AudioFormat) {
    if (format === this.#format) return;
    this.#format = format;
    this.#framer = createUplinkFramer(this.#encoding, format);
  }

  get stats(): { frames: number; filledMs: number; late: number } {
    return { frames: this.#frames, filledMs: this.#filledMs, late: this.#latePackets };
  }

  /** Nothing of what was received waits for the rest of its frame. */
  get isSent(): boolean {
    return this.#framer.filled === 0;
  }

  /** A packet of speech, in order of sequence number. */
  receive(packet: RtpPacket, nowMs: number): void {
    const { samplesPerMs, bytesPerSample } = this.#framer;
    const count = Math.floor(packet.payloadLength / bytesPerSample);
    if (count === 0 || count > MAX_PACKET_MS * samplesPerMs) return;
    if (packet.ssrc !== this.#ssrc) this.#headTimestamp = undefined; // its timestamps say nothing about the old ones
    this.#ssrc = packet.ssrc;
    const skip = this.#place(packet.timestamp, count, nowMs);
    if (skip >= count) {
      this.#latePackets += 1;
      return;
    }
    this.#append(count - skip, packet.bytes, packet.payloadOffset + skip * bytesPerSample);
    this.#lateSinceMs = undefined;
    this.#starved = false;
  }

  /** Every 20 ms: fills what did not come. */
  tick(nowMs: number): void {
    if (nowMs >= this.#windowEndsMs) this.#followSender(nowMs);
    this.#skipUnticked(nowMs);
    while (nowMs - this.#dueMs > HOLD_MS) {
      this.#starved = true;
      this.#fill(this.#frameSamples);
    }
  }

  /** Puts a packet in its place in time; returns how many of its first samples are past it (`count`: all). */
  #place(timestamp: number, count: number, nowMs: number): number {
    if (this.#headTimestamp === undefined) return this.#anchor(timestamp, nowMs);
    const ahead = (timestamp - this.#headTimestamp) | 0;
    const latenessMs = nowMs - this.#dueMs - ahead / this.#framer.samplesPerMs;
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
    const { samplesPerMs } = this.#framer;
    const fill = Math.min(samples, MAX_GAP_MS * samplesPerMs);
    if (!this.#starved) return fill;
    return Math.max(0, fill - ((this.#framer.filled + fill) % this.#frameSamples));
  }

  /**
   * While the agent was connecting, or the event loop blocked, nobody ticked. Silence that could not be sent in time is
   * of no use in a burst: beyond what may be sent at once, only the newest frame of it is.
   */
  #skipUnticked(nowMs: number): void {
    const missedFrames = Math.ceil((nowMs - this.#dueMs - HOLD_MS) / FRAME_MS);
    if (missedFrames > MAX_BURST_FRAMES) this.#pass((missedFrames - 1) * this.#frameSamples);
  }

  #fill(samples: number): void {
    this.#filledMs += samples / this.#framer.samplesPerMs;
    this.#append(samples);
  }

  /** Puts a payload (silence, without `bytes`) into the frame being built and sends each frame the moment it is full. */
  #append(count: number, bytes?: Uint8Array, offset = 0): void {
    const framer = this.#framer;
    for (let done = 0; done < count;) {
      const part = Math.min(count - done, this.#frameSamples - framer.filled);
      const full = framer.put(part, bytes, offset + done * framer.bytesPerSample);
      done += part;
      if (full) this.#flush();
    }
    this.#pass(count);
  }

  /** The payload's samples in one frame. */
  get #frameSamples(): number {
    return FRAME_MS * this.#framer.samplesPerMs;
  }

  /** The stream's place moves on by `samples`, whether or not they were sent. */
  #pass(samples: number): void {
    if (this.#headTimestamp !== undefined) this.#headTimestamp = (this.#headTimestamp + samples) >>> 0;
    this.#dueMs += samples / this.#framer.samplesPerMs;
  }

  #flush(): void {
    this.#frames += 1;
    this.#sendFrame(this.#framer.frame);
  }
}
