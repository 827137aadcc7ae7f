import type { StreamEncoding } from '../../audio/encodings.js';
import type { AudioFormat } from '../../pranthora/protocols/protocol.js';
import type { RtpPacket } from '../../rtp/packet.js';
import { sequenceDistance, timestampDistance } from '../../rtp/sequence.js';
import { parseTelephoneEvent } from '../../rtp/telephone-event.js';
import { AgentFrames } from './drift-correction.js';
import { DigitPress } from './digit-press.js';
import { G722Clock } from './g722-clock.js';
import { LateArrivals } from './late-arrivals.js';
import { HOLD_MS, LiveTimeline } from './playout-clock.js';
import type { UplinkStats } from '../stats.js';
import { createUplinkFramer, type DigitTone, type UplinkFramer } from './uplink-framer.js';

const FRAME_MS = 20;

/** Frames at once that Pranthora takes without dropping; what is filled of one gap leaves room for the packet that ends it. */
const MAX_BURST_FRAMES = 5;
const MAX_GAP_MS = (MAX_BURST_FRAMES - 1) * FRAME_MS;

/** More than this in one packet is no telephone's RTP. */
const MAX_PACKET_MS = 200;

export interface UplinkOptions {
  /** What the agent hears while the caller presses a key: nothing, or the tone. */
  readonly dtmf: 'none' | 'inband';
}

/**
 * Caller → agent: RTP payloads in, an unbroken stream of 20 ms frames in the agent's format out.
 *
 * A payload in order becomes a frame at once. The stream also has a place in time: what is before the next sample (RTP
 * timestamp `#headTimestamp`) has a {@link LiveTimeline}. When the next packet has not come `HOLD_MS` after it was due,
 * its place is filled; what arrives much later for a filled place is dropped. So the agent is never starved and never gets
 * a backlog, whatever the caller's network does.
 *
 * What fills a place is made up from the voice before it and fades to silence within 60 ms. Silence is zeros, also where
 * the sender describes its background noise (RFC 3389): the listener is a machine, which no line seems dead to.
 *
 * The agent gets as much sound as there is time: what the caller's clock makes too much or too little is taken out or put
 * in, a frame at a time, where it is not heard.
 */
export class Uplink {
  readonly #hasTones: boolean;
  readonly #digits = new DigitPress();
  #encoding: StreamEncoding = 'PCMU';
  #format: AudioFormat = 'pcm16k';
  #framer: UplinkFramer = createUplinkFramer('PCMU', 'pcm16k');
  /** One for each encoding that has come, in the present format. */
  readonly #framers = new Map<StreamEncoding, UplinkFramer>([['PCMU', this.#framer]]);
  readonly #timeline: LiveTimeline;
  readonly #frames: AgentFrames;
  #headTimestamp: number | undefined;
  /** Where the last packet ended, by its sender's timestamps. */
  #endTimestamp = 0;
  readonly #g722Clock = new G722Clock();
  #ssrc = 0;
  #sequence: number | undefined;
  /** Length of the last packet: the next is due that much after its beginning. */
  #packetMs = FRAME_MS;
  /** The place was filled because nothing came, not because a packet was lost between two others. */
  #starved = true;
  /** Packets were lost since the last one that was heard. */
  #broken = false;
  readonly #lateArrivals = new LateArrivals();

  #filledMs = 0;
  #concealedMs = 0;
  #latePackets = 0;

  /** `sendFrame` gets a frame in a buffer that is reused: it copies what it keeps. */
  constructor(nowMs: number, sendFrame: (frame: Buffer) => void, { dtmf }: UplinkOptions = { dtmf: 'none' }) {
    this.#hasTones = dtmf === 'inband';
    this.#timeline = new LiveTimeline(nowMs);
    this.#frames = new AgentFrames(this.#framer, this.#timeline, sendFrame);
  }

  /** What the payloads are from now on. Another encoding is another stream: its timestamps begin anew. */
  set encoding(encoding: StreamEncoding) {
    if (encoding === this.#encoding) return;
    this.#endFrame();
    this.#encoding = encoding;
    this.#headTimestamp = undefined;
    this.#useFramer();
  }

  /** What the agent takes. */
  set format(format: AudioFormat) {
    if (format === this.#format) return;
    this.#format = format;
    this.#framers.clear();
    this.#useFramer();
  }

  /** Of the timestamps the caller sends. */
  get clockRateHz(): number {
    return this.#encoding === 'G722' ? this.#g722Clock.rateHz : 1_000 * this.#framer.unitsPerMs;
  }

  get stats(): Pick<UplinkStats, 'frames' | 'filledMs' | 'concealedMs' | 'late' | 'joinedFrames' | 'stretchedFrames'> {
    return {
      ...this.#frames.stats,
      filledMs: this.#filledMs,
      concealedMs: this.#concealedMs,
      late: this.#latePackets,
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
    const timestamp = this.#timestampOf(packet, count, nowMs);
    const skip = this.#place(packet, timestamp, count, nowMs);
    this.#endTimestamp = (timestamp + count) >>> 0;
    if (skip >= count) {
      this.#latePackets += 1;
      this.#broken = true;
      return;
    }
    if (skip > 0) this.#broken = true;
    this.#take(packet, (timestamp + skip) >>> 0, count - skip, skip * bytesPerUnit);
    this.#packetMs = count / unitsPerMs;
    this.#arrived();
  }

  #timestampOf({ timestamp, sequenceNumber }: RtpPacket, count: number, nowMs: number): number {
    return this.#encoding === 'G722' ? this.#g722Clock.receive(timestamp, sequenceNumber, count, nowMs) : timestamp;
  }

  /** What is in a packet from `offset` on, unless a key is pressed then. */
  #take({ bytes, payloadOffset }: RtpPacket, timestamp: number, count: number, offset = 0): void {
    if (this.#digits.toneAt(timestamp)) this.#fillPlace(count);
    else this.#hear(count, bytes, payloadOffset + offset);
  }

  /**
   * A telephone-event packet (RFC 4733), in order of sequence number. What the caller sends as audio during the event is
   * not heard: where it is the digit's tone at all, it has been cut off and distorted.
   */
  receiveEvent(packet: RtpPacket, nowMs: number): void {
    const event = parseTelephoneEvent(packet);
    this.#follow(packet);
    if (!event) return;
    const isG722 = this.#encoding === 'G722';
    const timestamp = isG722 ? this.#g722Clock.unitsAt(packet.timestamp) : packet.timestamp;
    this.#digits.update(timestamp, event, this.#framer.unitsPerMs);
    this.#framer.stop();
    if (this.#headTimestamp === undefined) return;
    // The event has lasted until now, so there is no reason to wait for packets of speech.
    const end = (timestamp + event.duration) >>> 0;
    const count = timestampDistance(this.#headTimestamp, end);
    const latenessMs = this.#timeline.latenessMs(nowMs, count / this.#framer.unitsPerMs);
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
    this.#timeline.tick(nowMs);
    this.#skipUnticked(nowMs);
    while (this.#timeline.overdueMs(nowMs, this.#packetMs) > 0) {
      this.#starved = true;
      this.#fillPlace(this.#frameSamples);
    }
  }

  #useFramer(): void {
    this.#framer = this.#framers.get(this.#encoding) ?? createUplinkFramer(this.#encoding, this.#format);
    this.#framers.set(this.#encoding, this.#framer);
    this.#frames.framer = this.#framer;
  }

  /** Nothing else comes for the frame being built. */
  #endFrame(): void {
    this.#framer.stop();
    if (this.#framer.filled === 0) return;
    this.#timeline.give(this.#room / this.#framer.unitsPerMs);
    this.#fill(this.#room);
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
    this.#lateArrivals.clear();
    this.#starved = false;
  }

  /** Puts a packet in its place in time; returns how many of its first samples are past it (`count`: all). */
  #place(packet: RtpPacket, timestamp: number, count: number, nowMs: number): number {
    if (this.#headTimestamp === undefined) return this.#anchor(timestamp, count, nowMs);
    if (timestampDistance(this.#endTimestamp, timestamp) < 0) this.#stepBack(timestamp);
    const { unitsPerMs } = this.#framer;
    const ahead = timestampDistance(this.#headTimestamp, timestamp);
    const latenessMs = this.#timeline.latenessMs(nowMs, (ahead + count) / unitsPerMs);
    if (latenessMs < -HOLD_MS) return this.#anchor(timestamp, count, nowMs); // the timestamps jumped, no time went by
    if (this.#timeline.mayRewind(-ahead / unitsPerMs, latenessMs) && !this.#digits.toneAt(timestamp)) {
      return this.#rewind(ahead, latenessMs);
    }
    if (this.#timeline.isTooLate(latenessMs) || ahead + count <= 0) {
      this.#timeline.tooLate(latenessMs);
      return this.#late(packet, timestamp, count, nowMs);
    }
    if (this.#timeline.isFlood(latenessMs)) return count;
    this.#timeline.observe(latenessMs);
    if (ahead > 0) this.#bridge(ahead);
    return Math.max(0, -ahead);
  }

  /** Packets come in order: it is the timestamps that have gone back, and this packet follows what was heard. */
  #stepBack(timestamp: number): void {
    this.#digits.forget();
    this.#headTimestamp = timestamp;
  }

  /** Between what was heard last and the packet to be heard next, `gap` samples are missing. */
  #bridge(gap: number): void {
    const fill = this.#gapFill(gap);
    this.#fillPlace(fill);
    this.#pass(gap - fill);
    // Less than a frame is owed to the agent. More is a hole of our own making, and over.
    if (gap - fill < this.#frameSamples) this.#timeline.give((fill - gap) / this.#framer.unitsPerMs);
  }

  #rewind(ahead: number, latenessMs: number): number {
    this.#broken = true;
    this.#moveHead(ahead);
    this.#timeline.rewind(-ahead / this.#framer.unitsPerMs, latenessMs);
    return 0;
  }

  /** The stream goes on with this packet, which is on time by definition. */
  #anchor(timestamp: number, count: number, nowMs: number): number {
    const latenessMs = this.#timeline.latenessMs(nowMs, count / this.#framer.unitsPerMs);
    if (this.#timeline.isFlood(latenessMs)) return count;
    this.#timeline.begin(latenessMs);
    this.#headTimestamp = timestamp;
    if (this.#starved) this.#makeUp();
    return 0;
  }

  #late(packet: RtpPacket, timestamp: number, count: number, nowMs: number): number {
    const { unitsPerMs } = this.#framer;
    if (this.#lateArrivals.isStream(packet, count / unitsPerMs, nowMs)) return this.#goOn(timestamp, count, nowMs);
    // Its place is lost either way: a backlog may not be sent in a burst.
    const end = (timestamp + count) >>> 0;
    const passed = timestampDistance(this.#headTimestamp ?? end, end);
    if (passed > 0) this.#pass(passed);
    return count;
  }

  /** What seemed late is where the stream goes on: with the packet that was kept, if it is the one before. */
  #goOn(timestamp: number, count: number, nowMs: number): number {
    const { kept, sinceMs } = this.#lateArrivals;
    if (!kept || timestamp !== this.#endTimestamp) return this.#anchor(timestamp, count, nowMs);
    const keptCount = Math.floor(kept.payloadLength / this.#framer.bytesPerUnit);
    const start = (timestamp - keptCount) >>> 0;
    if (this.#anchor(start, keptCount, sinceMs) > 0) return count;
    this.#latePackets -= 1;
    this.#take(kept, start, keptCount);
    return 0;
  }

  /** Fills what was held back of a pause, in case that it came after all. */
  #makeUp(): void {
    const { unitsPerMs } = this.#framer;
    const fill = this.#gapFill(Math.max(0, Math.floor(-this.#timeline.leadMs * unitsPerMs)));
    this.#timeline.makeUp(fill / unitsPerMs);
    for (let left = fill; left > 0;) {
      const part = Math.min(left, this.#room);
      this.#fill(part);
      left -= part;
    }
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
    const missedFrames = Math.ceil(this.#timeline.overdueMs(nowMs, this.#packetMs) / FRAME_MS);
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
    if (this.#timeline.hasBegun && !this.#framer.isSilent) this.#concealedMs += ms;
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
    this.#moveHead(samples);
    this.#timeline.advance(samples / this.#framer.unitsPerMs);
  }

  #moveHead(samples: number): void {
    if (this.#headTimestamp !== undefined) this.#headTimestamp = (this.#headTimestamp + samples) >>> 0;
  }

  /** A frame is full. A key's tone is left in one piece. */
  #flush(): void {
    this.#frames.flush(!this.#digits.isPressed);
  }
}
