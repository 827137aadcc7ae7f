import { isNarrowband, NARROWBAND, type StreamEncoding } from '../audio/encodings.js';
import { createFrameDecoder, createFrameEncoder, type FrameDecoder, type FrameEncoder } from '../audio/frame-codec.js';
import { decodeG711, encodeG711, type G711Law } from '../audio/g711.js';

/**
 * What a telephone speaks and hears: samples at the codec's own rate ↔ RTP payloads. Unlike the bridge it has no resampler, so
 * that nothing of its own is between a test and the wire. May have a memory: one for each call.
 */
export interface PhoneCodec {
  readonly rateHz: 8_000 | 16_000;
  /** RTP timestamp units of one millisecond. */
  readonly unitsPerMs: 8 | 16;
  /** Of 20 ms. */
  readonly payloadBytes: number;
  /** Encodes 20 ms into `payloadBytes` bytes. */
  encode(samples: Int16Array, payload: Uint8Array, offset: number): void;
  /** Decodes `length` bytes, in order of arrival. */
  decode(bytes: Uint8Array, offset: number, length: number): Int16Array;
  /** Timestamp units of a payload. */
  unitsOf(payloadBytes: number): number;
}

export function createPhoneCodec(encoding: StreamEncoding): PhoneCodec {
  return isNarrowband(encoding) ? new NarrowbandPhone(NARROWBAND[encoding]) : new WidebandPhone(encoding);
}

class NarrowbandPhone implements PhoneCodec {
  readonly rateHz = 8_000;
  readonly unitsPerMs = 8;
  readonly payloadBytes = 160;
  readonly #law: G711Law;

  constructor(law: G711Law) {
    this.#law = law;
  }

  encode(samples: Int16Array, payload: Uint8Array, offset: number): void {
    encodeG711(this.#law, samples, 0, this.payloadBytes, payload, offset);
  }

  decode(bytes: Uint8Array, offset: number, length: number): Int16Array {
    const samples = new Int16Array(length);
    decodeG711(this.#law, bytes, offset, length, samples, 0);
    return samples;
  }

  unitsOf(payloadBytes: number): number {
    return payloadBytes;
  }
}

class WidebandPhone implements PhoneCodec {
  readonly rateHz = 16_000;
  readonly unitsPerMs: 8 | 16;
  readonly payloadBytes: number;
  readonly #encoder: FrameEncoder;
  readonly #decoder: FrameDecoder;

  constructor(encoding: StreamEncoding) {
    this.#encoder = createFrameEncoder(encoding);
    this.#decoder = createFrameDecoder(encoding);
    this.unitsPerMs = this.#decoder.unitsPerMs;
    this.payloadBytes = this.#encoder.payloadBytes;
  }

  encode(samples: Int16Array, payload: Uint8Array, offset: number): void {
    this.#encoder.encode(samples, payload, offset);
  }

  decode(bytes: Uint8Array, offset: number, length: number): Int16Array {
    const units = this.unitsOf(length);
    const samples = new Int16Array((units * 16) / this.unitsPerMs);
    this.#decoder.decode(bytes, offset, units, samples, 0);
    return samples;
  }

  unitsOf(payloadBytes: number): number {
    return Math.floor(payloadBytes / this.#decoder.bytesPerUnit);
  }
}
