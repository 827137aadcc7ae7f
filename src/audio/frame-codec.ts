import { isNarrowband, NARROWBAND, type StreamEncoding } from './encodings.js';
import { decodeG711, encodeG711, G711_SILENCE, type G711Law } from './g711.js';
import { G722Decoder, G722Encoder } from './g722.js';
import { Downsampler2x, Upsampler2x } from './resampler.js';

/** Samples of one 20 ms frame of 16 kHz PCM, which is what Pranthora speaks and hears. */
export const FRAME_16K = 320;
const FRAME_8K = 160;

/**
 * RTP payload → 16 kHz PCM. Has a memory (a resampler's, or a predictor's): one for each stream.
 *
 * Payloads are counted in units of the RTP timestamp, of which each is a whole number of bytes. That is a sample of
 * G.711 and of L16, but an octet of G.722, which is two samples: its RTP clock runs at 8 kHz (RFC 3551 section 4.5.2).
 */
export interface FrameDecoder {
  /** RTP timestamp units of one millisecond. */
  readonly unitsPerMs: 8 | 16;
  readonly bytesPerUnit: 1 | 2;
  /** Decodes `count` units from `bytes[offset …]`; writes `count · 16 / unitsPerMs` samples to `pcm[pcmOffset …]`. */
  decode(bytes: Uint8Array, offset: number, count: number, pcm: Int16Array, pcmOffset: number): void;
  /** `count` units have not come: silence takes their place, after the end of what came before. `count` ≤ 20 ms. */
  silence(count: number, pcm: Int16Array, pcmOffset: number): void;
}

/** 16 kHz PCM → RTP payload, 20 ms at a time. Has a memory, like the decoder. */
export interface FrameEncoder {
  /** RTP timestamp units of one frame. */
  readonly unitsPerFrame: 160 | 320;
  readonly payloadBytes: 160 | 640;
  /** Frames of silence after speech until the last of it has come out. */
  readonly tailFrames: number;
  /** Encodes 320 samples into `payloadBytes` bytes. */
  encode(pcm: Int16Array, payload: Uint8Array, offset: number): void;
  /** Writes a payload of silence. What has not come out of the encoder yet need not be in it: see `tailFrames`. */
  silence(payload: Uint8Array, offset: number): void;
  /** Forgets what was encoded before: nothing of it will be heard any more. */
  reset(): void;
}

export function createFrameDecoder(encoding: StreamEncoding): FrameDecoder {
  if (isNarrowband(encoding)) return new G711Decoder(NARROWBAND[encoding]);
  return encoding === 'G722' ? new G722FrameDecoder() : new L16Decoder();
}

export function createFrameEncoder(encoding: StreamEncoding): FrameEncoder {
  if (isNarrowband(encoding)) return new G711Encoder(NARROWBAND[encoding]);
  return encoding === 'G722' ? new G722FrameEncoder() : new L16Encoder();
}

class G711Decoder implements FrameDecoder {
  readonly unitsPerMs = 8;
  readonly bytesPerUnit = 1;
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
  readonly unitsPerFrame = 160;
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

class G722FrameDecoder implements FrameDecoder {
  readonly unitsPerMs = 8;
  readonly bytesPerUnit = 1;
  readonly #decoder = new G722Decoder();

  decode(bytes: Uint8Array, offset: number, count: number, pcm: Int16Array, pcmOffset: number): void {
    this.#decoder.decode(bytes, offset, count, pcm, pcmOffset);
  }

  silence(count: number, pcm: Int16Array, pcmOffset: number): void {
    this.#decoder.silence(count, pcm, pcmOffset);
  }
}

class G722FrameEncoder implements FrameEncoder {
  readonly unitsPerFrame = 160;
  readonly payloadBytes = 160;
  readonly tailFrames = 1;
  readonly #encoder = new G722Encoder();

  encode(pcm: Int16Array, payload: Uint8Array, offset: number): void {
    this.#encoder.encode(pcm, 0, this.payloadBytes, payload, offset);
  }

  /** There is no payload that is silence after anything: the decoder goes on from where it is, and so must we. */
  silence(payload: Uint8Array, offset: number): void {
    this.#encoder.encode(SILENCE_16K, 0, this.payloadBytes, payload, offset);
  }

  reset(): void {
    this.#encoder.dropPending();
  }
}

const SILENCE_16K = new Int16Array(FRAME_16K);

class L16Decoder implements FrameDecoder {
  readonly unitsPerMs = 16;
  readonly bytesPerUnit = 2;

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
  readonly unitsPerFrame = 320;
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
