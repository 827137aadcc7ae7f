import { EdgeSmoother } from '../../audio/edge-smoother.js';
import { isNarrowband, NARROWBAND, type StreamEncoding } from '../../audio/encodings.js';
import { createFrameEncoder, FRAME_16K, type FrameEncoder } from '../../audio/frame-codec.js';
import { encodeG711, G711_SILENCE, transcodingTable, type G711Law } from '../../audio/g711.js';
import type { PlayoutQueue } from '../../audio/playout-queue.js';
import { Upsampler2x } from '../../audio/resampler.js';
import type { AudioFormat } from '../../pranthora/protocols/protocol.js';
import { FRAME_8K, G711Reader, isQuiet, PcmReader, type SpeechReader } from './speech-reader.js';

/** Makes RTP payloads of 20 ms out of what the agent said. Has the memory of its resampler. */
export interface DownlinkFramer {
  /** RTP timestamp units of one payload. */
  readonly unitsPerFrame: number;
  readonly payloadBytes: number;
  /** Payloads of silence after speech until the last of it has come out, its fading included. */
  readonly tailFrames: number;
  /**
   * Takes 20 ms off the queue, or what there is, and writes a payload. Where speech ends it is faded out; silence stands
   * for what is missing.
   * @returns how many milliseconds of speech there were.
   */
  encode(queue: PlayoutQueue, payload: Uint8Array, offset: number): number;
  /**
   * Speech breaks off: 5 ms of the queue, which keeps them, are faded out at the beginning of the next payload. Speech that
   * begins after that is faded in.
   */
  cut(queue: PlayoutQueue): void;
  /** The next speech begins in the middle of a sound: it is faded in. */
  rampUp(): void;
  /** Speech ends here, if it has not yet, and is not faded out. */
  end(): void;
  /** Whether the last payload was silence, or nearly. */
  readonly isQuiet: boolean;
  /** Whether the last 5 ms of what was taken off the queue, when it became empty, were. */
  readonly endedQuietly: boolean;
  /** Takes 20 ms off the queue, to be left out, if they are quiet as well. False when they are not. */
  skipIfQuiet(queue: PlayoutQueue): boolean;
  /** Writes a payload of silence. What has not come out of the encoder yet need not be in it: see `tailFrames`. */
  silence(payload: Uint8Array, offset: number): void;
  /** Forgets what was encoded before: nothing of it will be heard any more. */
  reset(): void;
}

export function createDownlinkFramer(format: AudioFormat, encoding: StreamEncoding): DownlinkFramer {
  if (format === 'pcm16k') return new PcmFramer(createFrameEncoder(encoding));
  if (isNarrowband(encoding)) return new G711Framer(format, NARROWBAND[encoding]);
  return new ExpandingFramer(format, createFrameEncoder(encoding));
}

/** One for the ending of speech, at least. */
const ENDING_FRAMES = 1;

/** What all framers do with speech before it is encoded. */
abstract class SmoothingFramer {
  protected readonly speech: SpeechReader;
  protected readonly edges: EdgeSmoother;

  constructor(speech: SpeechReader) {
    this.speech = speech;
    this.edges = new EdgeSmoother(speech.rateHz);
  }

  #endedQuietly = true;

  get endedQuietly(): boolean {
    return this.#endedQuietly;
  }

  get isQuiet(): boolean {
    return isQuiet(this.speech.frame);
  }

  cut(queue: PlayoutQueue): void {
    const { next } = this.speech;
    const count = this.speech.peek(queue);
    this.edges.cut(next, count);
    if (!isQuiet(next, 0, Math.min(count, this.edges.rampSamples))) this.edges.rampUp();
  }

  rampUp(): void {
    this.edges.rampUp();
  }

  skipIfQuiet(queue: PlayoutQueue): boolean {
    if (this.speech.peek(queue) < this.speech.frame.length || !isQuiet(this.speech.next)) return false;
    this.speech.read(queue);
    return true;
  }

  end(): void {
    this.edges.end();
  }

  /** Takes up to a frame off the queue. Returns how many of its samples are speech. */
  protected read(queue: PlayoutQueue): number {
    const { frame } = this.speech;
    const count = this.speech.read(queue);
    if (count > 0 && queue.isEmpty)
      this.#endedQuietly = isQuiet(frame, Math.max(0, count - this.edges.rampSamples), count);
    return count;
  }

  /** Takes a frame off the queue and finishes it. Returns how many of its samples are speech. */
  protected nextFrame(queue: PlayoutQueue): number {
    const { frame } = this.speech;
    const count = this.read(queue);
    if (this.edges.isNeeded(count, frame.length)) this.edges.finish(frame, count);
    else if (count === frame.length) this.edges.pass();
    else frame.fill(0, count);
    return count;
  }
}

/** 16 kHz PCM to any payload. */
class PcmFramer extends SmoothingFramer implements DownlinkFramer {
  readonly unitsPerFrame: number;
  readonly payloadBytes: number;
  readonly tailFrames: number;
  readonly #encoder: FrameEncoder;

  constructor(encoder: FrameEncoder) {
    super(new PcmReader());
    this.#encoder = encoder;
    this.unitsPerFrame = encoder.unitsPerFrame;
    this.payloadBytes = encoder.payloadBytes;
    this.tailFrames = Math.max(ENDING_FRAMES, encoder.tailFrames);
  }

  encode(queue: PlayoutQueue, payload: Uint8Array, offset: number): number {
    const samples = this.nextFrame(queue);
    this.#encoder.encode(this.speech.frame, payload, offset);
    return samples / 16;
  }

  silence(payload: Uint8Array, offset: number): void {
    this.#encoder.silence(payload, offset);
  }

  reset(): void {
    this.edges.reset();
    this.#encoder.reset();
  }
}

/** G.711 to G.711: byte for byte untouched when the laws are the same, by table when not. */
class G711Framer extends SmoothingFramer implements DownlinkFramer {
  readonly unitsPerFrame = FRAME_8K;
  readonly payloadBytes = FRAME_8K;
  readonly tailFrames = ENDING_FRAMES;
  readonly #table: Uint8Array;
  readonly #to: G711Law;
  readonly #codeWords: Uint8Array;
  readonly #asCame = new Int16Array(FRAME_8K);

  constructor(from: G711Law, to: G711Law) {
    const reader = new G711Reader(from);
    super(reader);
    this.#codeWords = reader.codeWords;
    this.#table = transcodingTable(from, to);
    this.#to = to;
  }

  encode(queue: PlayoutQueue, payload: Uint8Array, offset: number): number {
    const { frame } = this.speech;
    const count = this.read(queue);
    for (let i = 0; i < count; i++) payload[offset + i] = this.#table[this.#codeWords[i] ?? 0] ?? 0;
    payload.fill(G711_SILENCE[this.#to], offset + count, offset + FRAME_8K);
    if (this.edges.isNeeded(count, FRAME_8K)) this.#finish(count, payload, offset);
    else if (count === FRAME_8K) this.edges.pass();
    else frame.fill(0);
    return count / 8;
  }

  silence(payload: Uint8Array, offset: number): void {
    payload.fill(G711_SILENCE[this.#to], offset, offset + FRAME_8K);
  }

  reset(): void {
    this.edges.reset();
  }

  /** Encodes only what the finish has changed. */
  #finish(count: number, payload: Uint8Array, offset: number): void {
    const { frame } = this.speech;
    this.#asCame.set(frame);
    this.#asCame.fill(0, count);
    this.edges.finish(frame, count);
    for (let i = 0; i < FRAME_8K; i++) {
      if (frame[i] !== this.#asCame[i]) encodeG711(this.#to, frame, i, 1, payload, offset + i);
    }
  }
}

/** G.711 to 16 kHz, for a wideband caller. */
class ExpandingFramer extends SmoothingFramer implements DownlinkFramer {
  readonly unitsPerFrame: number;
  readonly payloadBytes: number;
  readonly tailFrames = 2;
  readonly #encoder: FrameEncoder;
  readonly #upsampler = new Upsampler2x();
  readonly #pcm16k = new Int16Array(FRAME_16K);

  constructor(law: G711Law, encoder: FrameEncoder) {
    super(new G711Reader(law));
    this.#encoder = encoder;
    this.unitsPerFrame = encoder.unitsPerFrame;
    this.payloadBytes = encoder.payloadBytes;
  }

  encode(queue: PlayoutQueue, payload: Uint8Array, offset: number): number {
    const count = this.nextFrame(queue);
    this.#upsampler.process(this.speech.frame, 0, FRAME_8K, this.#pcm16k, 0);
    this.#encoder.encode(this.#pcm16k, payload, offset);
    return count / 8;
  }

  silence(payload: Uint8Array, offset: number): void {
    this.#encoder.silence(payload, offset);
  }

  reset(): void {
    this.edges.reset();
    this.#upsampler.reset();
    this.#encoder.reset();
  }
}
