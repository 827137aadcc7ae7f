import { createFrameEncoder, FRAME_16K, type FrameEncoder, type StreamEncoding } from '../audio/frame-codec.js';
import { PlayoutQueue } from '../audio/playout-queue.js';
import type { Interruption } from './messages.js';

const RATE_16K_HZ = 16_000;
const BYTES_PER_MS = 32;

/** Speech kept at most; Pranthora sends a whole answer faster than it is spoken. */
export const MAX_QUEUED_MS = 120_000;

/**
 * Agent → caller: speech as Pranthora sends it in, exactly one 20 ms RTP payload out at every tick.
 * Nothing to say is silence, so the caller's stream never stops.
 */
export class Downlink {
  readonly #queue = new PlayoutQueue({ rateHz: RATE_16K_HZ, bytesPerSample: 2, maxMs: MAX_QUEUED_MS });
  readonly #pcm16k = new Int16Array(FRAME_16K);

  #encoding: StreamEncoding = 'PCMU';
  #encoder: FrameEncoder = createFrameEncoder('PCMU');
  /** Frames of silence still to be encoded like speech, so that its end is played and the encoder forgets it. */
  #tailFrames = 0;
  #playing = false;
  /** A tick has passed with less than a frame queued: do not wait for the rest any longer. */
  #waitedForFrame = false;
  #interruptedAtMs: number | undefined;
  #pendingDiscardMs = 0;

  #receivedBytes = 0;
  #playedSamples = 0;
  #discardedMs = 0;

  set encoding(encoding: StreamEncoding) {
    if (encoding === this.#encoding) return;
    this.#encoding = encoding;
    this.#encoder = createFrameEncoder(encoding);
  }

  /** RTP timestamp units of one payload, and its length. */
  get frame(): { readonly samplesPerFrame: number; readonly payloadBytes: number } {
    return this.#encoder;
  }

  get isEmpty(): boolean {
    return this.#queue.isEmpty;
  }

  get stats(): { receivedMs: number; playedMs: number; discardedMs: number; overflowedMs: number; queuedMs: number } {
    return {
      receivedMs: this.#receivedBytes / BYTES_PER_MS,
      playedMs: this.#playedSamples / (RATE_16K_HZ / 1000),
      discardedMs: this.#discardedMs,
      overflowedMs: this.#queue.overflowedMs,
      queuedMs: this.#queue.queuedMs,
    };
  }

  /** Speech from Pranthora, 16-bit little-endian at 16 kHz, cut anywhere. Returns how many bytes found no room. */
  push(bytes: Uint8Array): number {
    this.#receivedBytes += bytes.length;
    return this.#queue.push(bytes);
  }

  /** The caller has interrupted: nothing said so far is heard from the next tick on. */
  interrupt(receivedAtMs: number): void {
    const { discardedMs } = this.#queue.clear();
    this.#encoder.reset();
    this.#playing = false;
    this.#waitedForFrame = false;
    this.#tailFrames = 0;
    this.#discardedMs += discardedMs;
    this.#pendingDiscardMs += discardedMs;
    this.#interruptedAtMs ??= receivedAtMs;
  }

  /** A new connection to the agent: half a sample of the old one must not shift all that follows. */
  dropCarry(): void {
    this.#queue.dropCarry();
  }

  /** Writes the next 20 ms into `payload` at `offset`; true when they carry speech. */
  nextPayload(payload: Uint8Array, offset: number): boolean {
    const samples = this.#mayPlay() ? this.#queue.readSamples(this.#pcm16k, FRAME_16K) : 0;
    this.#playing = samples > 0;
    this.#playedSamples += samples;
    if (samples > 0) this.#tailFrames = this.#encoder.tailFrames;
    else if (this.#tailFrames === 0) {
      this.#encoder.silence(payload, offset);
      return false;
    } else this.#tailFrames -= 1;

    this.#pcm16k.fill(0, samples);
    this.#encoder.encode(this.#pcm16k, payload, offset);
    return samples > 0;
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
    if (this.#playing || this.#waitedForFrame || this.#queue.queuedMs >= 20) {
      this.#waitedForFrame = false;
      return true;
    }
    this.#waitedForFrame = true;
    return false;
  }
}
