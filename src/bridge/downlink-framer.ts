import {
  createFrameEncoder,
  FRAME_16K,
  isNarrowband,
  NARROWBAND,
  type FrameEncoder,
  type StreamEncoding,
} from '../audio/frame-codec.js';
import { decodeG711, G711_SILENCE, transcodingTable, type G711Law } from '../audio/g711.js';
import type { PlayoutQueue } from '../audio/playout-queue.js';
import { Upsampler2x } from '../audio/resampler.js';
import type { AudioFormat } from '../pranthora/protocol.js';

/** Makes RTP payloads of 20 ms out of what the agent said. Has the memory of its resampler. */
export interface DownlinkFramer {
  /** RTP timestamp units of one payload. */
  readonly samplesPerFrame: number;
  readonly payloadBytes: number;
  /** Payloads of silence after speech until the last of it has come out. */
  readonly tailFrames: number;
  /**
   * Takes 20 ms off the queue, or what there is, and writes a payload; silence stands for what is missing.
   * @returns how many milliseconds of speech there were.
   */
  encode(queue: PlayoutQueue, payload: Uint8Array, offset: number): number;
  /** Writes a payload of silence. What has not come out of the encoder yet need not be in it: see `tailFrames`. */
  silence(payload: Uint8Array, offset: number): void;
  /** Forgets what was encoded before: nothing of it will be heard any more. */
  reset(): void;
}

const FRAME_8K = 160;

export function createDownlinkFramer(format: AudioFormat, encoding: StreamEncoding): DownlinkFramer {
  if (format === 'pcm16k') return new PcmFramer(createFrameEncoder(encoding));
  if (isNarrowband(encoding)) return new G711Framer(format, NARROWBAND[encoding]);
  return new ExpandingFramer(format, createFrameEncoder(encoding));
}

/** 16 kHz PCM to any payload. */
class PcmFramer implements DownlinkFramer {
  readonly samplesPerFrame: number;
  readonly payloadBytes: number;
  readonly tailFrames: number;
  readonly #encoder: FrameEncoder;
  readonly #pcm16k = new Int16Array(FRAME_16K);

  constructor(encoder: FrameEncoder) {
    this.#encoder = encoder;
    this.samplesPerFrame = encoder.unitsPerFrame;
    this.payloadBytes = encoder.payloadBytes;
    this.tailFrames = encoder.tailFrames;
  }

  encode(queue: PlayoutQueue, payload: Uint8Array, offset: number): number {
    const samples = queue.readSamples(this.#pcm16k, FRAME_16K);
    this.#pcm16k.fill(0, samples);
    this.#encoder.encode(this.#pcm16k, payload, offset);
    return samples / 16;
  }

  silence(payload: Uint8Array, offset: number): void {
    this.#encoder.silence(payload, offset);
  }

  reset(): void {
    this.#encoder.reset();
  }
}

/** G.711 to G.711: byte for byte untouched when the laws are the same, by table when not. */
class G711Framer implements DownlinkFramer {
  readonly samplesPerFrame = FRAME_8K;
  readonly payloadBytes = FRAME_8K;
  readonly tailFrames = 0;
  readonly #table: Uint8Array;
  readonly #silence: number;
  readonly #codeWords = new Uint8Array(FRAME_8K);

  constructor(from: G711Law, to: G711Law) {
    this.#table = transcodingTable(from, to);
    this.#silence = G711_SILENCE[to];
  }

  encode(queue: PlayoutQueue, payload: Uint8Array, offset: number): number {
    const count = queue.readBytes(this.#codeWords, FRAME_8K);
    for (let i = 0; i < count; i++) payload[offset + i] = this.#table[this.#codeWords[i] ?? 0] ?? 0;
    payload.fill(this.#silence, offset + count, offset + FRAME_8K);
    return count / 8;
  }

  silence(payload: Uint8Array, offset: number): void {
    payload.fill(this.#silence, offset, offset + FRAME_8K);
  }

  reset(): void {
    // Nothing is remembered.
  }
}

/** G.711 to 16 kHz, for a wideband caller. */
class ExpandingFramer implements DownlinkFramer {
  readonly samplesPerFrame: number;
  readonly payloadBytes: number;
  readonly tailFrames = 2;
  readonly #law: G711Law;
  readonly #encoder: FrameEncoder;
  readonly #upsampler = new Upsampler2x();
  readonly #codeWords = new Uint8Array(FRAME_8K);
  readonly #pcm8k = new Int16Array(FRAME_8K);
  readonly #pcm16k = new Int16Array(FRAME_16K);

  constructor(law: G711Law, encoder: FrameEncoder) {
    this.#law = law;
    this.#encoder = encoder;
    this.samplesPerFrame = encoder.unitsPerFrame;
    this.payloadBytes = encoder.payloadBytes;
  }

  encode(queue: PlayoutQueue, payload: Uint8Array, offset: number): number {
    const count = queue.readBytes(this.#codeWords, FRAME_8K);
    decodeG711(this.#law, this.#codeWords, 0, count, this.#pcm8k, 0);
    this.#pcm8k.fill(0, count);
    this.#upsampler.process(this.#pcm8k, 0, FRAME_8K, this.#pcm16k, 0);
    this.#encoder.encode(this.#pcm16k, payload, offset);
    return count / 8;
  }

  silence(payload: Uint8Array, offset: number): void {
    this.#encoder.silence(payload, offset);
  }

  reset(): void {
    this.#upsampler.reset();
    this.#encoder.reset();
  }
}
