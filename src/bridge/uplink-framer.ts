import {
  createFrameDecoder,
  FRAME_16K,
  isNarrowband,
  NARROWBAND,
  type FrameDecoder,
  type StreamEncoding,
} from '../audio/frame-codec.js';
import { encodeG711, G711_SILENCE, transcodingTable, type G711Law } from '../audio/g711.js';
import { Downsampler2x } from '../audio/resampler.js';
import { FRAME_BYTES, type AudioFormat } from '../pranthora/protocol.js';

/**
 * Builds the agent's 20 ms frames out of RTP payloads. Counts in the payload's own samples, of which `capacity` make a
 * frame; a frame that is full is in `frame` until the next sample is put.
 */
export interface UplinkFramer {
  /** The RTP stream's: samples, and timestamp units, of one millisecond. */
  readonly samplesPerMs: 8 | 16;
  readonly bytesPerSample: 1 | 2;
  /** Samples in the frame so far, less than 20 ms of them. */
  readonly filled: number;
  readonly frame: Buffer;
  /** Puts `count` samples of `bytes`, silence without. The frame must have room for them. True when it is full. */
  put(count: number, bytes: Uint8Array | undefined, offset: number): boolean;
}

export function createUplinkFramer(encoding: StreamEncoding, format: AudioFormat): UplinkFramer {
  if (format === 'pcm16k') return new PcmFramer(createFrameDecoder(encoding));
  if (isNarrowband(encoding)) return new G711Framer(NARROWBAND[encoding], format);
  return new CompandingFramer(createFrameDecoder(encoding), format);
}

/** Any payload to 16 kHz PCM. */
class PcmFramer implements UplinkFramer {
  readonly samplesPerMs: 8 | 16;
  readonly bytesPerSample: 1 | 2;
  readonly #decoder: FrameDecoder;
  readonly #ratio: number;
  readonly #pcm16k = new Int16Array(FRAME_16K);
  readonly frame = Buffer.from(this.#pcm16k.buffer);
  filled = 0;

  constructor(decoder: FrameDecoder) {
    this.#decoder = decoder;
    this.samplesPerMs = decoder.unitsPerMs;
    this.bytesPerSample = decoder.bytesPerUnit;
    this.#ratio = 16 / decoder.unitsPerMs;
  }

  get pcm16k(): Int16Array {
    return this.#pcm16k;
  }

  put(count: number, bytes: Uint8Array | undefined, offset: number): boolean {
    const at = this.filled * this.#ratio;
    if (bytes) this.#decoder.decode(bytes, offset, count, this.#pcm16k, at);
    else this.#decoder.silence(count, this.#pcm16k, at);
    this.filled = (this.filled + count) % (20 * this.samplesPerMs);
    return this.filled === 0;
  }
}

/** G.711 to G.711: byte for byte untouched when the laws are the same, by table when not. */
class G711Framer implements UplinkFramer {
  readonly samplesPerMs = 8;
  readonly bytesPerSample = 1;
  readonly frame: Buffer;
  readonly #table: Uint8Array;
  readonly #silence: number;
  filled = 0;

  constructor(from: G711Law, to: G711Law) {
    this.frame = Buffer.alloc(FRAME_BYTES[to]);
    this.#table = transcodingTable(from, to);
    this.#silence = G711_SILENCE[to];
  }

  put(count: number, bytes: Uint8Array | undefined, offset: number): boolean {
    if (!bytes) this.frame.fill(this.#silence, this.filled, this.filled + count);
    else {
      for (let i = 0; i < count; i++) this.frame[this.filled + i] = this.#table[bytes[offset + i] ?? 0] ?? 0;
    }
    this.filled = (this.filled + count) % this.frame.length;
    return this.filled === 0;
  }
}

/** 16 kHz from a wideband caller to G.711. */
class CompandingFramer implements UplinkFramer {
  readonly samplesPerMs: 8 | 16;
  readonly bytesPerSample: 1 | 2;
  readonly frame: Buffer;
  readonly #law: G711Law;
  readonly #pcm: PcmFramer;
  readonly #downsampler = new Downsampler2x();
  readonly #pcm8k = new Int16Array(FRAME_16K / 2);

  constructor(decoder: FrameDecoder, law: G711Law) {
    this.#pcm = new PcmFramer(decoder);
    this.samplesPerMs = decoder.unitsPerMs;
    this.bytesPerSample = decoder.bytesPerUnit;
    this.#law = law;
    this.frame = Buffer.alloc(FRAME_BYTES[law]);
  }

  get filled(): number {
    return this.#pcm.filled;
  }

  put(count: number, bytes: Uint8Array | undefined, offset: number): boolean {
    if (!this.#pcm.put(count, bytes, offset)) return false;
    this.#downsampler.process(this.#pcm.pcm16k, 0, FRAME_16K, this.#pcm8k, 0);
    encodeG711(this.#law, this.#pcm8k, 0, this.#pcm8k.length, this.frame, 0);
    return true;
  }
}
