import { Concealment } from '../../audio/concealment.js';
import { writeDtmfTone } from '../../audio/dtmf-tone.js';
import { isNarrowband, NARROWBAND, type StreamEncoding } from '../../audio/encodings.js';
import { createFrameDecoder, FRAME_16K, type FrameDecoder } from '../../audio/frame-codec.js';
import { decodeG711, encodeG711, transcodingTable, type G711Law } from '../../audio/g711.js';
import { Downsampler2x } from '../../audio/resampler.js';
import { FRAME_BYTES, type AudioFormat } from '../../pranthora/protocols/protocol.js';

const FRAME_8K = FRAME_16K / 2;

/** 2.2 ms: what the filters of any decoder remember at 16 kHz. */
const SETTLE_16K = 35;

/** A digit being pressed, and how many units of it have been played. */
export interface DigitTone {
  readonly digit: string;
  readonly position: number;
}

/**
 * Builds the agent's 20 ms frames out of RTP payloads. Counts in units of the RTP clock, which are samples of the
 * payload, and pairs of them in G.722; a frame that is full is in `frame` until the next unit is put. No call may put more than the frame has room for; each is true when it is full.
 */
export interface UplinkFramer {
  /** Of the RTP stream. */
  readonly unitsPerMs: 8 | 16;
  readonly bytesPerUnit: 1 | 2;
  /** Units in the frame so far, less than 20 ms of them. */
  readonly filled: number;
  /** In the agent's format, and the same as linear samples at the agent's rate. */
  readonly frame: Buffer;
  readonly pcm: Int16Array;
  /** What `conceal` would put is silence. */
  readonly isSilent: boolean;
  /** Puts `count` units of `bytes`. */
  put(count: number, bytes: Uint8Array, offset: number): boolean;
  /** Puts something in place of `count` units that did not come: see {@link Concealment}. */
  conceal(count: number): boolean;
  /** Puts `count` units of a digit's tone. */
  play(count: number, tone: DigitTone): boolean;
  /** The sender is silent by its own will: `conceal` makes up nothing until the next `put`. */
  stop(): void;
  /** Nothing was lost before the next `put`: where `conceal` has come to silence, its beginning is no seam to be smoothed. */
  resume(): void;
  /** Encodes a frame of linear samples in the agent's format. */
  encode(pcm: Int16Array, frame: Buffer): void;
}

export function createUplinkFramer(encoding: StreamEncoding, format: AudioFormat): UplinkFramer {
  if (format === 'pcm16k') return new PcmFramer(createFrameDecoder(encoding));
  if (isNarrowband(encoding)) return new G711Framer(NARROWBAND[encoding], format);
  return new CompandingFramer(createFrameDecoder(encoding), format);
}

/** Any payload to 16 kHz PCM. */
class PcmFramer implements UplinkFramer {
  readonly unitsPerMs: 8 | 16;
  readonly bytesPerUnit: 1 | 2;
  readonly pcm = new Int16Array(FRAME_16K);
  readonly frame = Buffer.from(this.pcm.buffer);
  filled = 0;
  readonly #decoder: FrameDecoder;
  readonly #ratio: number;
  readonly #concealment = new Concealment(16_000, SETTLE_16K);

  constructor(decoder: FrameDecoder) {
    this.#decoder = decoder;
    this.unitsPerMs = decoder.unitsPerMs;
    this.bytesPerUnit = decoder.bytesPerUnit;
    this.#ratio = 16 / decoder.unitsPerMs;
  }

  get isSilent(): boolean {
    return this.#concealment.isSilent;
  }

  put(count: number, bytes: Uint8Array, offset: number): boolean {
    const at = this.filled * this.#ratio;
    this.#decoder.decode(bytes, offset, count, this.pcm, at);
    this.#concealment.heard(this.pcm, at, count * this.#ratio);
    return this.#advance(count);
  }

  conceal(count: number): boolean {
    const at = this.filled * this.#ratio;
    // The decoder's time goes on as well.
    this.#decoder.silence(count, this.pcm, at);
    this.#concealment.conceal(this.pcm, at, count * this.#ratio);
    return this.#advance(count);
  }

  play(count: number, { digit, position }: DigitTone): boolean {
    const at = this.filled * this.#ratio;
    this.#decoder.silence(count, this.pcm, at);
    writeDtmfTone(digit, 16_000, position * this.#ratio, this.pcm, at, count * this.#ratio);
    this.#concealment.heard(this.pcm, at, count * this.#ratio);
    return this.#advance(count);
  }

  stop(): void {
    this.#concealment.stop();
  }

  resume(): void {
    if (this.#concealment.isSilent) this.#concealment.startAfresh();
  }

  encode(pcm: Int16Array, frame: Buffer): void {
    frame.set(new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength));
  }

  #advance(count: number): boolean {
    this.filled = (this.filled + count) % (20 * this.unitsPerMs);
    return this.filled === 0;
  }
}

/** G.711 to G.711: byte for byte untouched when the laws are the same, by table when not. */
class G711Framer implements UplinkFramer {
  readonly unitsPerMs = 8;
  readonly bytesPerUnit = 1;
  readonly frame: Buffer;
  readonly pcm = new Int16Array(FRAME_8K);
  filled = 0;
  readonly #from: G711Law;
  readonly #to: G711Law;
  readonly #table: Uint8Array;
  readonly #concealment = new Concealment(8_000);

  constructor(from: G711Law, to: G711Law) {
    this.#from = from;
    this.#to = to;
    this.frame = Buffer.alloc(FRAME_BYTES[to]);
    this.#table = transcodingTable(from, to);
  }

  get isSilent(): boolean {
    return this.#concealment.isSilent;
  }

  put(count: number, bytes: Uint8Array, offset: number): boolean {
    for (let i = 0; i < count; i++) this.frame[this.filled + i] = this.#table[bytes[offset + i] ?? 0] ?? 0;
    decodeG711(this.#from, bytes, offset, count, this.pcm, this.filled);
    return this.#advance(count, this.#concealment.heard(this.pcm, this.filled, count));
  }

  conceal(count: number): boolean {
    this.#concealment.conceal(this.pcm, this.filled, count);
    return this.#advance(count, count);
  }

  play(count: number, { digit, position }: DigitTone): boolean {
    writeDtmfTone(digit, 8_000, position, this.pcm, this.filled, count);
    this.#concealment.heard(this.pcm, this.filled, count);
    return this.#advance(count, count);
  }

  stop(): void {
    this.#concealment.stop();
  }

  resume(): void {
    if (this.#concealment.isSilent) this.#concealment.startAfresh();
  }

  encode(pcm: Int16Array, frame: Buffer): void {
    encodeG711(this.#to, pcm, 0, FRAME_8K, frame, 0);
  }

  /** Of the `count` samples put, the first `made` are not the bytes that came. */
  #advance(count: number, made: number): boolean {
    if (made > 0) encodeG711(this.#to, this.pcm, this.filled, made, this.frame, this.filled);
    this.filled = (this.filled + count) % FRAME_8K;
    return this.filled === 0;
  }
}

/** 16 kHz from a wideband caller to G.711. */
class CompandingFramer implements UplinkFramer {
  readonly unitsPerMs: 8 | 16;
  readonly bytesPerUnit: 1 | 2;
  readonly frame: Buffer;
  readonly pcm = new Int16Array(FRAME_8K);
  readonly #law: G711Law;
  readonly #wide: PcmFramer;
  readonly #downsampler = new Downsampler2x();

  constructor(decoder: FrameDecoder, law: G711Law) {
    this.#wide = new PcmFramer(decoder);
    this.unitsPerMs = decoder.unitsPerMs;
    this.bytesPerUnit = decoder.bytesPerUnit;
    this.#law = law;
    this.frame = Buffer.alloc(FRAME_BYTES[law]);
  }

  get filled(): number {
    return this.#wide.filled;
  }

  get isSilent(): boolean {
    return this.#wide.isSilent;
  }

  put(count: number, bytes: Uint8Array, offset: number): boolean {
    return this.#compandIf(this.#wide.put(count, bytes, offset));
  }

  conceal(count: number): boolean {
    return this.#compandIf(this.#wide.conceal(count));
  }

  play(count: number, tone: DigitTone): boolean {
    return this.#compandIf(this.#wide.play(count, tone));
  }

  stop(): void {
    this.#wide.stop();
  }

  resume(): void {
    this.#wide.resume();
  }

  encode(pcm: Int16Array, frame: Buffer): void {
    encodeG711(this.#law, pcm, 0, FRAME_8K, frame, 0);
  }

  #compandIf(full: boolean): boolean {
    if (!full) return false;
    this.#downsampler.process(this.#wide.pcm, 0, FRAME_16K, this.pcm, 0);
    this.encode(this.pcm, this.frame);
    return true;
  }
}
