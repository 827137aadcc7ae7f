import { decodeG711, encodeG711, G711_SILENCE, type G711Law } from './g711.js';
import { Downsampler2x, Upsampler2x } from './resampler.js';

/** Samples of one 20 ms frame of 16 kHz PCM, which is what Pranthora speaks and hears. */
export const FRAME_16K = 320;
const FRAME_8K = 160;

/**
 * Encoding names (RFC 3551) of what RTP carries to and from the bridge: G.711 at 8 kHz, or linear 16-bit PCM at 16 kHz
 * in network byte order.
 */
export type StreamEncoding = 'PCMU' | 'PCMA' | 'L16';

/** RTP payload → 16 kHz PCM. Has a memory (the resampler's): one for each stream. */
export interface FrameDecoder {
  /** RTP timestamp units, and samples in the payload, of one millisecond. */
  readonly samplesPerMs: 8 | 16;
  readonly bytesPerSample: 1 | 2;
  /** Decodes `count` samples from `bytes[offset …]`; writes `count · 16 / samplesPerMs` to `pcm[pcmOffset …]`. */
  decode(bytes: Uint8Array, offset: number, count: number, pcm: Int16Array, pcmOffset: number): void;
  /** The same as if `count` samples of silence had come. `count` ≤ 20 ms. */
  silence(count: number, pcm: Int16Array, pcmOffset: number): void;
}

/** 16 kHz PCM → RTP payload, 20 ms at a time. Has a memory, like the decoder. */
export interface FrameEncoder {
  /** RTP timestamp units of one frame. */
  readonly samplesPerFrame: 160 | 320;
  readonly payloadBytes: 160 | 640;
  /** Frames of silence after speech until the last of it has come out. */
  readonly tailFrames: number;
  /** Encodes 320 samples into `payloadBytes` bytes. */
  encode(pcm: Int16Array, payload: Uint8Array, offset: number): void;
  /** Writes a payload of silence, without memory. */
  silence(payload: Uint8Array, offset: number): void;
  /** Forgets what was encoded before: nothing of it will be heard any more. */
  reset(): void;
}

export function createFrameDecoder(encoding: StreamEncoding): FrameDecoder {
  return encoding === 'L16' ? new L16Decoder() : new G711Decoder(LAW[encoding]);
}

export function createFrameEncoder(encoding: StreamEncoding): FrameEncoder {
  return encoding === 'L16' ? new L16Encoder() : new G711Encoder(LAW[encoding]);
}

const LAW = { PCMU: 'mulaw', PCMA: 'alaw' } as const satisfies Record<string, G711Law>;

class G711Decoder implements FrameDecoder {
  readonly samplesPerMs = 8;
  readonly bytesPerSample = 1;
  readonly #law: G711Law;
  readonly #upsampler = new Upsampler2x();
  readonly #pcm8k = new Int16Array(FRAME_8K);
  readonly #silence8k = new Int16Array(FRAME_8K);

  constructor(law: G711Law) {
    this.#law = law;
  }

  decode(bytes: Uint8Array, offset: number, count: number, pcm: Int16Array, pcmOffset: number): void {
    for (let done = 0; done < count; done += FRAME_8K) {
      const part = Math.min(FRAME_8K, count - done);
      decodeG711(this.#law, bytes, offset + done, part, this.#pcm8k, 0);
      this.#upsampler.process(this.#pcm8k, 0, part, pcm, pcmOffset + 2 * done);
    }
  }

  silence(count: number, pcm: Int16Array, pcmOffset: number): void {
    this.#upsampler.process(this.#silence8k, 0, count, pcm, pcmOffset);
  }
}

class G711Encoder implements FrameEncoder {
  readonly samplesPerFrame = 160;
  readonly payloadBytes = 160;
  readonly tailFrames = 2;
  readonly #law: G711Law;
  readonly #downsampler = new Downsampler2x();
  readonly #pcm8k = new Int16Array(FRAME_8K);

  constructor(law: G711Law) {
    this.#law = law;
  }

  encode(pcm: Int16Array, payload: Uint8Array, offset: number): void {
    this.#downsampler.process(pcm, 0, FRAME_16K, this.#pcm8k, 0);
    encodeG711(this.#law, this.#pcm8k, 0, FRAME_8K, payload, offset);
  }

  silence(payload: Uint8Array, offset: number): void {
    payload.fill(G711_SILENCE[this.#law], offset, offset + this.payloadBytes);
  }

  reset(): void {
    this.#downsampler.reset();
  }
}

class L16Decoder implements FrameDecoder {
  readonly samplesPerMs = 16;
  readonly bytesPerSample = 2;

  decode(bytes: Uint8Array, offset: number, count: number, pcm: Int16Array, pcmOffset: number): void {
    for (let i = 0; i < count; i++) {
      const at = offset + 2 * i;
      pcm[pcmOffset + i] = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    }
  }

  silence(count: number, pcm: Int16Array, pcmOffset: number): void {
    pcm.fill(0, pcmOffset, pcmOffset + count);
  }
}

class L16Encoder implements FrameEncoder {
  readonly samplesPerFrame = 320;
  readonly payloadBytes = 640;
  readonly tailFrames = 0;

  encode(pcm: Int16Array, payload: Uint8Array, offset: number): void {
    for (let i = 0; i < FRAME_16K; i++) {
      const sample = pcm[i] ?? 0;
      payload[offset + 2 * i] = sample >> 8;
      payload[offset + 2 * i + 1] = sample;
    }
  }

  silence(payload: Uint8Array, offset: number): void {
    payload.fill(0, offset, offset + this.payloadBytes);
  }

  reset(): void {
    // Nothing is remembered.
  }
}
