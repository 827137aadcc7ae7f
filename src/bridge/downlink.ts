import type { StreamEncoding } from '../audio/frame-codec.js';
import { PlayoutQueue, type Discarded } from '../audio/playout-queue.js';
import { FRAME_BYTES, type AudioFormat } from '../pranthora/protocol.js';
import { createDownlinkFramer, type DownlinkFramer } from './downlink-framer.js';
import type { Interruption } from './messages.js';

const FRAME_MS = 20;

/** Speech kept at most; Pranthora sends a whole answer faster than it is spoken. */
export const MAX_QUEUED_MS = 120_000;

/** What the tail of an utterance is made of. */
const NOTHING = new PlayoutQueue({ rateHz: 16_000, bytesPerSample: 2, maxMs: 0 });

/**
 * Agent → caller: speech as Pranthora sends it in, exactly one 20 ms RTP payload out at every tick.
 * Nothing to say is silence, so the caller's stream never stops.
 */
export class Downlink {
  #format: AudioFormat = 'pcm16k';
  #encoding: StreamEncoding = 'PCMU';
  #queue = newQueue('pcm16k');
  #framer: DownlinkFramer = createDownlinkFramer('pcm16k', 'PCMU');
  /** Frames of silence still to be encoded like speech, so that its end is played and the encoder forgets it. */
  #tailFrames = 0;
  #playing = false;
  /** A tick has passed with less than a frame queued: do not wait for the rest any longer. */
  #waitedForFrame = false;
  #interruptedAtMs: number | undefined;
  #pendingDiscardMs = 0;

  #receivedMs = 0;
  #playedMs = 0;
  #overflowedMs = 0;
  #discardedMs = 0;

  /** What the caller's RTP carries. */
  set encoding(encoding: StreamEncoding) {
    if (encoding === this.#encoding) return;
    this.#encoding = encoding;
    this.#framer = createDownlinkFramer(this.#format, encoding);
  }

  /** What the agent sends from now on. What it sent before in another format is lost; marks in it count as reached. */
  set format(format: AudioFormat) {
    if (format === this.#format) return;
    this.#format = format;
    this.#framer = createDownlinkFramer(format, this.#encoding);
    this.#overflowedMs += this.#queue.overflowedMs;
    const { discardedMs, marks } = this.#queue.clear();
    this.#discardedMs += discardedMs;
    this.#queue = newQueue(format);
    for (const mark of marks) this.#queue.pushMark(mark);
  }

  /** RTP timestamp units of one payload, and its length. */
  get frame(): { readonly samplesPerFrame: number; readonly payloadBytes: number } {
    return this.#framer;
  }

  get isEmpty(): boolean {
    return this.#queue.isEmpty;
  }

  get stats(): { receivedMs: number; playedMs: number; discardedMs: number; overflowedMs: number; queuedMs: number } {
    return {
      receivedMs: this.#receivedMs,
      playedMs: this.#playedMs,
      discardedMs: this.#discardedMs,
      overflowedMs: this.#overflowedMs + this.#queue.overflowedMs,
      queuedMs: this.#queue.queuedMs,
    };
  }

  /** Speech from Pranthora in its format, cut anywhere. Returns how many bytes found no room. */
  push(bytes: Uint8Array): number {
    this.#receivedMs += (bytes.length * FRAME_MS) / FRAME_BYTES[this.#format];
    return this.#queue.push(bytes);
  }

  /** Where in the speech pushed so far an utterance ends. False when too many wait already. */
  pushMark(name: string): boolean {
    return this.#queue.pushMark(name);
  }

  /** Marks whose place playback has reached since the last call, in order. */
  takeMarks(): readonly string[] {
    return this.#queue.takeMarks();
  }

  /** The caller has interrupted: nothing said so far is heard from the next tick on. Returns the marks in it. */
  interrupt(receivedAtMs: number): readonly string[] {
    const { discardedMs, marks } = this.discard();
    this.#pendingDiscardMs += discardedMs;
    this.#interruptedAtMs ??= receivedAtMs;
    return marks;
  }

  /** Nothing said so far is heard from the next tick on. */
  discard(): Discarded {
    const discarded = this.#queue.clear();
    this.#framer.reset();
    this.#playing = false;
    this.#waitedForFrame = false;
    this.#tailFrames = 0;
    this.#discardedMs += discarded.discardedMs;
    return discarded;
  }

  /** Another agent: what the one before has said is still played, but nobody waits for its marks. */
  dropMarks(): void {
    this.#queue.dropMarks();
  }

  /** A new connection to the agent: half a sample of the old one must not shift all that follows. */
  dropCarry(): void {
    this.#queue.dropCarry();
  }

  /** Writes the next 20 ms into `payload` at `offset`; true when they carry speech. */
  nextPayload(payload: Uint8Array, offset: number): boolean {
    const speechMs = this.#mayPlay() ? this.#framer.encode(this.#queue, payload, offset) : 0;
    this.#playing = speechMs > 0;
    this.#playedMs += speechMs;
    if (speechMs > 0) {
      this.#tailFrames = this.#framer.tailFrames;
      return true;
    }
    if (this.#tailFrames > 0) {
      this.#tailFrames -= 1;
      this.#framer.encode(NOTHING, payload, offset);
    } else this.#framer.silence(payload, offset);
    return false;
  }

  /** The packet built last has gone to the socket: the report of an interruption it put into effect, if it did. */
  takeInterruption(nowMs: number): Interruption | undefined {
    if (this.#interruptedAtMs === undefined) return undefined;
    const interruption = { reactionMs: nowMs - this.#interruptedAtMs, discardedMs: this.#pendingDiscardMs };
    this.#interruptedAtMs = undefined;
    this.#pendingDiscardMs = 0;
    return interruption;
  }

  /**
   * Once playing, whatever there is is played. To start, a whole frame is awaited, for one tick at most: the first
   * fragment of an utterance alone would be followed by a hole.
   */
  #mayPlay(): boolean {
    if (this.#queue.isEmpty) return false;
    if (this.#playing || this.#waitedForFrame || this.#queue.queuedMs >= FRAME_MS) {
      this.#waitedForFrame = false;
      return true;
    }
    this.#waitedForFrame = true;
    return false;
  }
}

function newQueue(format: AudioFormat): PlayoutQueue {
  return format === 'pcm16k'
    ? new PlayoutQueue({ rateHz: 16_000, bytesPerSample: 2, maxMs: MAX_QUEUED_MS })
    : new PlayoutQueue({ rateHz: 8_000, bytesPerSample: 1, maxMs: MAX_QUEUED_MS });
}
