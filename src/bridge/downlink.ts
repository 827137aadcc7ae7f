import { encodeG711, G711_SILENCE, type G711Law } from '../audio/g711.js';
import { PlayoutQueue } from '../audio/playout-queue.js';
import { Downsampler2x } from '../audio/resampler.js';
import type { Interruption } from './messages.js';

/** Samples of one 20 ms frame at 8 kHz (RTP) and at 16 kHz (Pranthora). */
const FRAME_8K = 160;
const FRAME_16K = 320;
const RATE_16K_HZ = 16_000;
const BYTES_PER_MS = 32;

/** Speech kept at most; Pranthora sends a whole answer faster than it is spoken. */
export const MAX_QUEUED_MS = 120_000;

/** Silent frames that still go through the resampler after speech, so that its tail is played and its history is zero. */
const TAIL_FRAMES = 2;

/**
 * Agent → caller: speech as Pranthora sends it in, exactly one 20 ms G.711 payload out at every tick.
 * Nothing to say is silence, so the caller's stream never stops.
 */
export class Downlink {
  readonly #queue = new PlayoutQueue({ rateHz: RATE_16K_HZ, bytesPerSample: 2, maxMs: MAX_QUEUED_MS });
  readonly #downsampler = new Downsampler2x();
  readonly #pcm16k = new Int16Array(FRAME_16K);
  readonly #pcm8k = new Int16Array(FRAME_8K);

  #law: G711Law = 'mulaw';
  #tailFrames = 0;
  #playing = false;
  /** A tick has passed with less than a frame queued: do not wait for the rest any longer. */
  #waitedForFrame = false;
  #interruptedAtMs: number | undefined;
  #pendingDiscardMs = 0;

  #receivedBytes = 0;
  #playedSamples = 0;
  #discardedMs = 0;

  set law(law: G711Law) {
    this.#law = law;
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
    this.#downsampler.reset();
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

  /** Writes the next 160 bytes into `payload` at `offset`; true when they carry speech. */
  nextPayload(payload: Uint8Array, offset: number): boolean {
    const samples = this.#mayPlay() ? this.#queue.readSamples(this.#pcm16k, FRAME_16K) : 0;
    this.#playing = samples > 0;
    this.#playedSamples += samples;
    if (samples > 0) this.#tailFrames = TAIL_FRAMES;
    else if (this.#tailFrames === 0) {
      payload.fill(G711_SILENCE[this.#law], offset, offset + FRAME_8K);
      return false;
    } else this.#tailFrames -= 1;

    this.#pcm16k.fill(0, samples);
    this.#downsampler.process(this.#pcm16k, 0, FRAME_16K, this.#pcm8k, 0);
    encodeG711(this.#law, this.#pcm8k, 0, FRAME_8K, payload, offset);
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
