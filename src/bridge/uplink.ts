import type { StreamEncoding } from '../audio/frame-codec.js';
import { FrameSplicer } from '../audio/frame-splicer.js';
import { FRAME_BYTES, type AudioFormat } from '../pranthora/protocol.js';
import type { RtpPacket } from '../rtp/packet.js';
import { sequenceDistance, timestampDistance } from '../rtp/sequence.js';
import { parseTelephoneEvent } from '../rtp/telephone-event.js';
import { DigitPress } from './digit-press.js';
import type { UplinkStats } from './messages.js';
import { createUplinkFramer, type DigitTone, type UplinkFramer } from './uplink-framer.js';

const FRAME_MS = 20;

/** Frames at once that Pranthora takes without dropping; what is filled of one gap leaves room for the packet that ends it. */
const MAX_BURST_FRAMES = 5;
const MAX_GAP_MS = (MAX_BURST_FRAMES - 1) * FRAME_MS;

/**
 * How long after a packet is due something else takes its place. The tick that notices comes up to 20 ms later, and the
 * last frame was sent a packet's length before: at most 100 ms without a frame, when packets are of 20 ms. Where packets
 * come too late for that, the agent waits for 20 ms more rather than miss them.
 */
const HOLD_MS = 60;
const MAX_HOLD_MS = 80;

/** A stream that has been late without a break for this long is not late: its path has become longer. */
const REANCHOR_AFTER_MS = 200;

/** The earliest arrival is looked for over this window, so that the sender's clock is followed and not ours. */
const EARLIEST_WINDOW_MS = 5_000;

/** More than this in one packet is no telephone's RTP. */
const MAX_PACKET_MS = 200;

/**
 * A packet whose place has been filled is heard all the same if the agent then has no more than this too much: better a voice
 * drawn out, and a pause cut short afterwards, than a syllable lost.
 */
const MAX_EXTRA_MS = 30;

/** A sender this far ahead of time floods. As far behind it is no question of clocks; what is missing is then missing. */
const MAX_LEAD_MS = 100;
const MAX_LAG_MS = 80;

export interface UplinkOptions {
  /** What the agent hears while the caller presses a key: nothing, or the tone. */
  readonly dtmf: 'none' | 'inband';
}

/**
 * Caller → agent: RTP payloads in, an unbroken stream of 20 ms frames in the agent's format out.
 *
 * A payload in order becomes a frame at once. The stream also has a place in time: `#dueMs` is when all before the next
 * sample (RTP timestamp `#headTimestamp`) would have come on a path without delay variation. When the next packet has not
 * come `HOLD_MS` after it was due, its place is filled; what arrives for a filled place is late and dropped. So the agent
 * is never starved and never gets a backlog, whatever the caller's network does.
 *
 * What fills a place is made up from the voice before it and fades to silence within 60 ms. Silence is zeros, also where
 * the sender describes its background noise (RFC 3389): the listener is a machine, which no line seems dead to.
 *
 * The agent gets as much sound as there is time: what the caller's clock makes too much or too little is taken out or put
 * in, a frame at a time, where it is not heard.
 */
export class Uplink {
  readonly #sendFrame: (frame: Buffer) => void;
  readonly #hasTones: boolean;
  readonly #digits = new DigitPress();
  #encoding: StreamEncoding = 'PCMU';
  #format: AudioFormat = 'pcm16k';
  #framer: UplinkFramer = createUplinkFramer('PCMU', 'pcm16k');
  #splicer = new FrameSplicer(this.#framer.pcm.length);
  #blend = Buffer.alloc(FRAME_BYTES.pcm16k);
  #dueMs: number;
  #headTimestamp: number | undefined;
  #ssrc = 0;
  #sequence: number | undefined;
  #holdMs = HOLD_MS;
  /** A packet was too late in this window. */
  #wasTooLate = false;
  /** Length of the last packet: the next is due that much after its beginning. */
  #packetMs = FRAME_MS;
  /** The place was filled because nothing came, not because a packet was lost between two others. */
  #starved = true;
  /** Packets were lost since the last one that was heard. */
  #broken = false;
  /**
   * How much more the agent has got than there was time, since the first packet: as it seems now, the most of what it
   * seemed in this window, when packets were on time, and what is to be corrected.
   */
  #leadMs = 0;
  #mostLeadMs = -Infinity;
  #errorMs = 0;
  #hasBegun = false;
  #hasOrigin = false;
  #lateSinceMs: number | undefined;
  #earliestMs = Infinity;
  #windowEndsMs: number;

  #frames = 0;
  #filledMs = 0;
  #concealedMs = 0;
  #latePackets = 0;
  #joinedFrames = 0;
  #stretchedFrames = 0;

  /** `sendFrame` gets a frame in a buffer that is reused: it copies what it keeps. */
  constructor(nowMs: number, sendFrame: (frame: Buffer) => void, { dtmf }: UplinkOptions = { dtmf: 'none' }) {
    this.#sendFrame = sendFrame;
    this.#hasTones = dtmf === 'inband';
    this.#dueMs = nowMs - HOLD_MS - FRAME_MS;
    this.#windowEndsMs = nowMs + EARLIEST_WINDOW_MS;
  }

  /** What the payloads are. Another encoding is another stream: its timestamps begin anew. */
  set encoding(encoding: StreamEncoding) {
    if (encoding === this.#encoding) return;
    this.#encoding = encoding;
    this.#headTimestamp = undefined;
    this.#newFramer();
  }

  /** What the agent takes. */
  set format(format: AudioFormat) {
    if (format === this.#format) return;
    this.#format = format;
    this.#newFramer();
  }

  get stats(): Pick<UplinkStats, 'frames' | 'filledMs' | 'concealedMs' | 'late' | 'joinedFrames' | 'stretchedFrames'> {
    return {
      frames: this.#frames,
      filledMs: this.#filledMs,
      concealedMs: this.#concealedMs,
      late: this.#latePackets,
      joinedFrames: this.#joinedFrames,
      stretchedFrames: this.#stretchedFrames,
    };
  }

  /** Nothing of what was received waits for the rest of its frame. */
  get isSent(): boolean {
    return this.#framer.filled === 0;
  }

  /** A packet of speech, in order of sequence number. */
  receive(packet: RtpPacket, nowMs: number): void {
    const { unitsPerMs, bytesPerUnit } = this.#framer;
    const count = Math.floor(packet.payloadLength / bytesPerUnit);
    this.#follow(packet);
    if (count === 0 || count > MAX_PACKET_MS * unitsPerMs) return;
    const skip = this.#place(packet.timestamp, count, nowMs);
    if (skip >= count) {
      this.#latePackets += 1;
      this.#broken = true;
      return;
    }
    if (skip > 0) this.#broken = true;
    if (this.#digits.toneAt((packet.timestamp + skip) >>> 0)) this.#fillPlace(count - skip);
    else this.#hear(count - skip, packet.bytes, packet.payloadOffset + skip * bytesPerUnit);
    this.#packetMs = count / unitsPerMs;
    this.#arrived();
  }

  /**
   * A telephone-event packet (RFC 4733), in order of sequence number. What the caller sends as audio during the event is
   * not heard: where it is the digit's tone at all, it has been cut off and distorted.
   */
  receiveEvent(packet: RtpPacket, nowMs: number): void {
    const event = parseTelephoneEvent(packet);
    this.#follow(packet);
    if (!event) return;
    this.#digits.update(packet.timestamp, event, this.#framer.unitsPerMs);
    this.#framer.stop();
    if (this.#headTimestamp === undefined) return;
    // The event has lasted until now, so there is no reason to wait for packets of speech.
    const end = (packet.timestamp + event.duration) >>> 0;
    const count = timestampDistance(this.#headTimestamp, end);
    const latenessMs = nowMs - this.#dueMs - count / this.#framer.unitsPerMs;
    if (count <= 0 || count > MAX_PACKET_MS * this.#framer.unitsPerMs || latenessMs < -HOLD_MS) return;
    this.#fillPlace(count);
    this.#arrived();
  }

  /** The sender is silent, and does not send its silence (RFC 3389). */
  receiveComfortNoise(packet: RtpPacket): void {
    this.#follow(packet);
    this.#framer.stop();
  }

  /** Every 20 ms: fills what did not come. */
  tick(nowMs: number): void {
    if (nowMs >= this.#windowEndsMs) this.#followSender(nowMs);
    this.#skipUnticked(nowMs);
    while (nowMs - this.#dueMs > this.#holdMs + this.#packetMs) {
      this.#starved = true;
      this.#fillPlace(this.#frameSamples);
    }
  }

  #newFramer(): void {
    this.#framer = createUplinkFramer(this.#encoding, this.#format);
    this.#splicer = new FrameSplicer(this.#framer.pcm.length);
    this.#blend = Buffer.alloc(FRAME_BYTES[this.#format]);
  }

  /** Sequence and source of a packet, whatever is in it. */
  #follow({ ssrc, sequenceNumber }: RtpPacket): void {
    if (ssrc !== this.#ssrc) {
      this.#headTimestamp = undefined; // its timestamps say nothing about the old ones
      this.#digits.forget();
    } else if (this.#sequence !== undefined && sequenceDistance(this.#sequence, sequenceNumber) !== 1) {
      this.#broken = true;
    }
    this.#ssrc = ssrc;
    this.#sequence = sequenceNumber;
  }

  #arrived(): void {
    this.#lateSinceMs = undefined;
    this.#starved = false;
  }

  /** Puts a packet in its place in time; returns how many of its first samples are past it (`count`: all). */
  #place(timestamp: number, count: number, nowMs: number): number {
    if (this.#headTimestamp === undefined) return this.#anchor(timestamp, count, nowMs);
    const ahead = timestampDistance(this.#headTimestamp, timestamp);
    const latenessMs = nowMs - this.#dueMs - (ahead + count) / this.#framer.unitsPerMs;
    if (latenessMs < -HOLD_MS) return this.#anchor(timestamp, count, nowMs); // the timestamps jumped, no time went by
    if (this.#mayRewind(timestamp, ahead)) return this.#rewind(ahead, latenessMs);
    // Later than that, and it is part of a backlog, not of the conversation.
    if (latenessMs > this.#holdMs + FRAME_MS || ahead + count <= 0)
      return this.#late(timestamp, count, nowMs, latenessMs);
    if (this.#leadMs - latenessMs > MAX_LEAD_MS) return count;
    this.#earliestMs = Math.min(this.#earliestMs, latenessMs);
    if (latenessMs < 0) this.#moveDue(latenessMs);
    this.#mostLeadMs = Math.max(this.#mostLeadMs, this.#leadMs);
    if (ahead <= 0) return -ahead;
    const fill = this.#gapFill(ahead);
    this.#fillPlace(fill);
    this.#pass(ahead - fill);
    // Less than a frame is owed to the agent. More is a hole of our own making, and over.
    if (ahead - fill < this.#frameSamples) this.#changeLead((fill - ahead) / this.#framer.unitsPerMs);
    return 0;
  }

  /** Whether a packet that begins `-ahead` samples before the stream's place is heard as if nothing had been put there. */
  #mayRewind(timestamp: number, ahead: number): boolean {
    const extraMs = -ahead / this.#framer.unitsPerMs;
    return extraMs > 0 && this.#leadMs + extraMs <= MAX_EXTRA_MS && !this.#digits.toneAt(timestamp);
  }

  #rewind(ahead: number, latenessMs: number): number {
    const extraMs = -ahead / this.#framer.unitsPerMs;
    this.#broken = true;
    this.#holdLonger(latenessMs);
    this.#pass(ahead);
    this.#changeLead(extraMs);
    this.#errorMs += extraMs;
    this.#moveDue(latenessMs);
    return 0;
  }

  /** The stream goes on with this packet, which is on time by definition. */
  #anchor(timestamp: number, count: number, nowMs: number): number {
    const shiftMs = nowMs - count / this.#framer.unitsPerMs - this.#dueMs;
    if (this.#leadMs - shiftMs > MAX_LEAD_MS && this.#hasBegun) return count;
    this.#moveDue(shiftMs);
    if (!this.#hasBegun) this.#leadMs = 0;
    this.#hasBegun = true;
    this.#mostLeadMs = this.#leadMs;
    if (this.#hasOrigin) this.#errorMs = this.#leadMs;
    this.#headTimestamp = timestamp;
    this.#lateSinceMs = undefined;
    if (this.#starved) this.#makeUp();
    return 0;
  }

  #late(timestamp: number, count: number, nowMs: number, latenessMs: number): number {
    this.#lateSinceMs ??= nowMs;
    this.#holdLonger(latenessMs);
    if (nowMs - this.#lateSinceMs >= REANCHOR_AFTER_MS) return this.#anchor(timestamp, count, nowMs);
    // Its place is lost either way: a backlog may not be sent in a burst.
    const end = (timestamp + count) >>> 0;
    const passed = timestampDistance(this.#headTimestamp ?? end, end);
    if (passed > 0) this.#pass(passed);
    return count;
  }

  /** A packet came so late: if waiting would have helped, the next one is waited for. */
  #holdLonger(latenessMs: number): void {
    if (latenessMs > MAX_HOLD_MS + FRAME_MS) return;
    this.#holdMs = Math.min(MAX_HOLD_MS, this.#holdMs + FRAME_MS);
    this.#wasTooLate = true;
  }

  /** The sender's clock is slower than ours, or its path longer, by what even its earliest packet was late. */
  #followSender(nowMs: number): void {
    const laterMs = this.#earliestMs < Infinity ? Math.max(0, this.#earliestMs) : 0;
    this.#moveDue(laterMs);
    if (this.#mostLeadMs > -Infinity) this.#judgeLead(this.#mostLeadMs - laterMs);
    if (!this.#wasTooLate) this.#holdMs = Math.max(HOLD_MS, this.#holdMs - FRAME_MS);
    this.#wasTooLate = false;
    this.#mostLeadMs = -Infinity;
    this.#earliestMs = Infinity;
    this.#windowEndsMs = nowMs + EARLIEST_WINDOW_MS;
  }

  /** Fills what was held back of a pause, in case that it came after all. */
  #makeUp(): void {
    const { unitsPerMs } = this.#framer;
    const fill = this.#gapFill(Math.max(0, Math.floor(-this.#leadMs * unitsPerMs)));
    this.#leadMs += fill / unitsPerMs;
    this.#mostLeadMs = this.#leadMs;
    if (this.#hasOrigin) this.#errorMs = this.#leadMs;
    for (let left = fill; left > 0;) {
      const part = Math.min(left, this.#room);
      this.#fill(part);
      left -= part;
    }
  }

  /** The sender turns out to be earlier or later than thought: the agent has more or less than its time's worth. */
  #moveDue(byMs: number): void {
    this.#dueMs += byMs;
    this.#earliestMs -= byMs;
    this.#changeLead(-byMs);
  }

  /** The first window shows what being on time is: the first packet may have been late itself. */
  #judgeLead(mostLeadMs: number): void {
    if (this.#hasOrigin) this.#errorMs = mostLeadMs;
    else this.#leadMs -= mostLeadMs;
    this.#hasOrigin = true;
  }

  #changeLead(byMs: number): void {
    this.#leadMs = Math.max(-MAX_LAG_MS, this.#leadMs + byMs);
  }

  /**
   * How much of a gap of `samples` is filled: all of it between two packets, within what may be sent at once.
   * After a pause it ends where a frame ends, so that the first packet of the new talkspurt leaves at once as a whole
   * frame and not 20 ms later.
   */
  #gapFill(samples: number): number {
    const { unitsPerMs } = this.#framer;
    const fill = Math.min(samples, MAX_GAP_MS * unitsPerMs);
    if (!this.#starved) return fill;
    return Math.max(0, fill - ((this.#framer.filled + fill) % this.#frameSamples));
  }

  /**
   * While the agent was connecting, or the event loop blocked, nobody ticked. Silence that could not be sent in time is
   * of no use in a burst: beyond what may be sent at once, only the newest frame of it is.
   */
  #skipUnticked(nowMs: number): void {
    const missedFrames = Math.ceil((nowMs - this.#dueMs - this.#holdMs - this.#packetMs) / FRAME_MS);
    if (missedFrames > MAX_BURST_FRAMES) this.#pass((missedFrames - 1) * this.#frameSamples);
  }

  /** A packet's samples, in their place. */
  #hear(count: number, bytes: Uint8Array, offset: number): void {
    const { bytesPerUnit } = this.#framer;
    if (!this.#broken) this.#framer.resume();
    this.#broken = false;
    for (let done = 0; done < count;) {
      const part = Math.min(count - done, this.#room);
      if (this.#framer.put(part, bytes, offset + done * bytesPerUnit)) this.#flush();
      done += part;
    }
    this.#pass(count);
  }

  /** Fills the next `count` samples' place: with a key's tone or silence while one is pressed, else by concealment. */
  #fillPlace(count: number): void {
    for (let done = 0; done < count;) {
      const part = this.#uniform(Math.min(count - done, this.#room));
      const tone = this.#headTimestamp === undefined ? undefined : this.#digits.toneAt(this.#headTimestamp);
      if (tone) this.#fillPress(part, tone);
      else this.#fill(part);
      this.#pass(part);
      done += part;
    }
  }

  #uniform(count: number): number {
    return this.#headTimestamp === undefined ? count : this.#digits.uniformFrom(this.#headTimestamp, count);
  }

  #fillPress(count: number, tone: DigitTone): void {
    if (!this.#hasTones) this.#framer.stop();
    if (this.#hasTones ? this.#framer.play(count, tone) : this.#framer.conceal(count)) this.#flush();
    // Nor does the tone go on by concealment.
    this.#framer.stop();
  }

  /** At most what the frame has room for. Does not move the stream's place. */
  #fill(count: number): void {
    const ms = count / this.#framer.unitsPerMs;
    this.#filledMs += ms;
    if (this.#hasBegun && !this.#framer.isSilent) this.#concealedMs += ms;
    if (this.#framer.conceal(count)) this.#flush();
  }

  /** The payload's samples in one frame, and those the frame being built still takes. */
  get #frameSamples(): number {
    return FRAME_MS * this.#framer.unitsPerMs;
  }

  get #room(): number {
    return this.#frameSamples - this.#framer.filled;
  }

  /** The stream's place moves on by `samples`, whether or not they were sent. */
  #pass(samples: number): void {
    if (this.#headTimestamp !== undefined) this.#headTimestamp = (this.#headTimestamp + samples) >>> 0;
    this.#dueMs += samples / this.#framer.unitsPerMs;
  }

  /** A frame is full. */
  #flush(): void {
    const { pcm, frame } = this.#framer;
    // A key's tone is left in one piece.
    switch (this.#splicer.next(pcm, this.#digits.isPressed ? 0 : this.#errorMs)) {
      case 'as-is':
        this.#send(frame);
        break;
      case 'hold':
        this.#joinedFrames += 1;
        this.#corrected(-FRAME_MS);
        break;
      case 'joined':
        this.#sendBlend();
        break;
      case 'stretched':
        this.#stretchedFrames += 1;
        this.#corrected(FRAME_MS);
        this.#sendBlend();
        this.#send(frame);
        break;
    }
  }

  #corrected(byMs: number): void {
    this.#leadMs += byMs;
    this.#mostLeadMs += byMs;
    this.#errorMs += byMs;
  }

  #sendBlend(): void {
    this.#framer.encode(this.#splicer.blend, this.#blend);
    this.#send(this.#blend);
  }

  #send(frame: Buffer): void {
    this.#frames += 1;
    this.#sendFrame(frame);
  }
}
