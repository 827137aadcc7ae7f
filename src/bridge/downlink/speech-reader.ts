import { FRAME_16K } from '../../audio/frame-codec.js';
import { decodeG711, type G711Law } from '../../audio/g711.js';
import type { PlayoutQueue } from '../../audio/playout-queue.js';

export const FRAME_8K = FRAME_16K / 2;

/** −54 dB of full scale: nothing is said. */
const QUIET_PEAK = 64;

/** The agent's speech as linear samples at its own rate, 20 ms at a time. */
export interface SpeechReader {
  readonly rateHz: 8_000 | 16_000;
  /** What was read last. */
  readonly frame: Int16Array;
  /** What was looked at last. */
  readonly next: Int16Array;
  /** Takes up to 20 ms off the queue. Returns how many samples there were; the rest of `frame` is left alone. */
  read(queue: PlayoutQueue): number;
  /** Looks at the 20 ms that would be read. Returns how many samples there are. */
  peek(queue: PlayoutQueue): number;
}

export function isQuiet(frame: Int16Array, from = 0, to = frame.length): boolean {
  for (let i = from; i < to; i++) if (Math.abs(frame[i] ?? 0) > QUIET_PEAK) return false;
  return true;
}

export class PcmReader implements SpeechReader {
  readonly rateHz = 16_000;
  readonly frame = new Int16Array(FRAME_16K);
  readonly next = new Int16Array(FRAME_16K);
  readonly #nextBytes = new Uint8Array(this.next.buffer);

  read(queue: PlayoutQueue): number {
    return queue.readSamples(this.frame, FRAME_16K);
  }

  peek(queue: PlayoutQueue): number {
    return queue.peekBytes(this.#nextBytes) >> 1;
  }
}

export class G711Reader implements SpeechReader {
  readonly rateHz = 8_000;
  readonly frame = new Int16Array(FRAME_8K);
  readonly next = new Int16Array(FRAME_8K);
  /** What `frame` was decoded from. */
  readonly codeWords = new Uint8Array(FRAME_8K);
  readonly #nextCodeWords = new Uint8Array(FRAME_8K);
  readonly #law: G711Law;

  constructor(law: G711Law) {
    this.#law = law;
  }

  read(queue: PlayoutQueue): number {
    const count = queue.readBytes(this.codeWords, FRAME_8K);
    decodeG711(this.#law, this.codeWords, 0, count, this.frame, 0);
    return count;
  }

  peek(queue: PlayoutQueue): number {
    const count = queue.peekBytes(this.#nextCodeWords);
    decodeG711(this.#law, this.#nextCodeWords, 0, count, this.next, 0);
    return count;
  }
}
