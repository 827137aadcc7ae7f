/** Chunks up to this size are copied together; longer ones are kept as they came. */
const COALESCE_BYTES = 2_048;
/** Size of the blocks small chunks are copied into. Even, so that no sample straddles two blocks. */
const BLOCK_BYTES = 8_192;
/** More marks than this outstanding is a peer gone wrong. */
const MAX_MARKS = 1_000;

const NO_MARKS: readonly string[] = [];

/** A run of whole samples: `bytes[start…end)`. `bytes` may be longer only if the block is our own and still fills. */
interface Block {
  readonly bytes: Uint8Array;
  start: number;
  end: number;
  readonly growing: boolean;
  next: Block | undefined;
}

interface Mark {
  readonly name: string;
  /** Reached once that many bytes have been read. */
  readonly atByte: number;
}

export interface PlayoutQueueOptions {
  rateHz: number;
  /** 2: 16-bit linear, little-endian. 1: G.711. */
  bytesPerSample: 1 | 2;
  /** The most that is queued; what comes on top is refused. */
  maxMs: number;
}

export interface Discarded {
  discardedMs: number;
  /** The marks that had not been taken, in order. */
  marks: string[];
}

/**
 * What the agent has said and the caller has not heard yet. Takes chunks of any size, cut anywhere, even within a
 * sample, and gives samples. Marks keep their place between the samples.
 */
export class PlayoutQueue {
  readonly #bytesPerSample: 1 | 2;
  readonly #bytesPerMs: number;
  readonly #maxBytes: number;

  #head: Block | undefined;
  #tail: Block | undefined;
  #queuedBytes = 0;
  #readBytes = 0;
  #refusedBytes = 0;
  /** First byte of a sample whose second has not come yet. */
  #carry: number | undefined;
  #marks: Mark[] = [];

  constructor({ rateHz, bytesPerSample, maxMs }: PlayoutQueueOptions) {
    this.#bytesPerSample = bytesPerSample;
    this.#bytesPerMs = (rateHz * bytesPerSample) / 1000;
    this.#maxBytes = Math.floor((rateHz * maxMs) / 1000) * bytesPerSample;
  }

  /** What is waiting to be played, in milliseconds. */
  get queuedMs(): number {
    return this.#queuedBytes / this.#bytesPerMs;
  }

  get isEmpty(): boolean {
    return this.#queuedBytes === 0;
  }

  /** All that was refused because the queue was full, in milliseconds. */
  get overflowedMs(): number {
    return this.#refusedBytes / this.#bytesPerMs;
  }

  /**
   * Queues a chunk. It is kept by reference where that is cheaper: the caller must not write to it afterwards.
   * An odd byte at the end waits for the next chunk.
   * @returns the bytes refused because the queue was full: always whole samples, the newest.
   */
  push(bytes: Uint8Array): number {
    if (bytes.length === 0) return 0;
    let refused = 0;
    let start = 0;
    if (this.#carry !== undefined) {
      refused += this.#append(Uint8Array.of(this.#carry, bytes[0] ?? 0));
      this.#carry = undefined;
      start = 1;
    }
    const whole = bytes.length - ((bytes.length - start) % this.#bytesPerSample);
    if (whole < bytes.length) this.#carry = bytes[whole];
    refused += this.#append(bytes.subarray(start, whole));
    this.#refusedBytes += refused;
    return refused;
  }

  /**
   * Queues a mark behind the audio queued so far.
   * @returns false if too many are outstanding and this one was not taken.
   */
  pushMark(name: string): boolean {
    if (this.#marks.length >= MAX_MARKS) return false;
    this.#marks.push({ name, atByte: this.#readBytes + this.#queuedBytes });
    return true;
  }

  /**
   * Takes up to `count` samples of 16-bit linear audio off the head. Only for two bytes a sample.
   * @returns how many there were; the rest of `output` is left alone.
   */
  readSamples(output: Int16Array, count: number): number {
    let written = 0;
    while (written < count && this.#head) {
      const { bytes, start, end } = this.#head;
      const samples = Math.min(count - written, (end - start) >> 1);
      for (let i = 0; i < samples; i++) {
        const at = start + 2 * i;
        output[written + i] = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
      }
      written += samples;
      if (!this.#consume(this.#head, 2 * samples)) break;
    }
    return written;
  }

  /**
   * Takes up to `count` bytes off the head as they came, in whole samples.
   * @returns how many there were; the rest of `output` is left alone.
   */
  readBytes(output: Uint8Array, count: number): number {
    const wanted = count - (count % this.#bytesPerSample);
    let written = 0;
    while (written < wanted && this.#head) {
      const { bytes, start, end } = this.#head;
      const length = Math.min(wanted - written, end - start);
      for (let i = 0; i < length; i++) output[written + i] = bytes[start + i] ?? 0;
      written += length;
      if (!this.#consume(this.#head, length)) break;
    }
    return written;
  }

  /**
   * Copies the bytes at the head, as many as `output` takes, and leaves them in the queue.
   * @returns how many there were.
   */
  peekBytes(output: Uint8Array): number {
    let copied = 0;
    for (let block = this.#head; block && copied < output.length; block = block.next) {
      const length = Math.min(output.length - copied, block.end - block.start);
      output.set(block.bytes.subarray(block.start, block.start + length), copied);
      copied += length;
    }
    return copied;
  }

  /** Takes the marks whose place reading has reached, in order. */
  takeMarks(): readonly string[] {
    const first = this.#marks[0];
    if (!first || first.atByte > this.#readBytes) return NO_MARKS;
    const pending = this.#marks.findIndex((mark) => mark.atByte > this.#readBytes);
    return this.#marks.splice(0, pending === -1 ? this.#marks.length : pending).map((mark) => mark.name);
  }

  /** Empties the queue, odd byte and marks included: the agent was interrupted. */
  clear(): Discarded {
    const discarded = { discardedMs: this.queuedMs, marks: this.#marks.map((mark) => mark.name) };
    this.#head = this.#tail = undefined;
    this.#queuedBytes = 0;
    this.#marks = [];
    this.#carry = undefined;
    return discarded;
  }

  /** Forgets the marks that have not been taken: nobody waits for them any more. */
  dropMarks(): void {
    this.#marks = [];
  }

  /** Forgets an odd byte at the end: what comes next is from another connection and starts on a sample. */
  dropCarry(): void {
    this.#carry = undefined;
  }

  /** Queues whole samples as far as there is room. Returns the bytes there was no room for. */
  #append(bytes: Uint8Array): number {
    const room = this.#maxBytes - this.#queuedBytes;
    const accepted = bytes.length <= room ? bytes : bytes.subarray(0, room);
    // A short slice of a long buffer would keep all of that buffer alive for as long as it is queued.
    const copy = accepted.length <= COALESCE_BYTES || accepted.length * 2 < accepted.buffer.byteLength;
    if (copy) this.#appendCopy(accepted);
    else this.#link({ bytes: accepted, start: 0, end: accepted.length, growing: false, next: undefined });
    this.#queuedBytes += accepted.length;
    return bytes.length - accepted.length;
  }

  #appendCopy(bytes: Uint8Array): void {
    let copied = 0;
    while (copied < bytes.length) {
      const block = this.#growingTail();
      const length = Math.min(bytes.length - copied, BLOCK_BYTES - block.end);
      block.bytes.set(bytes.subarray(copied, copied + length), block.end);
      block.end += length;
      copied += length;
    }
  }

  /** The last block, if there is room in it, or a new one. */
  #growingTail(): Block {
    const tail = this.#tail;
    if (tail?.growing && tail.end < BLOCK_BYTES) return tail;
    const block = { bytes: new Uint8Array(BLOCK_BYTES), start: 0, end: 0, growing: true, next: undefined };
    this.#link(block);
    return block;
  }

  #link(block: Block): void {
    if (this.#tail) this.#tail.next = block;
    else this.#head = block;
    this.#tail = block;
  }

  /** Takes `length` bytes off the head block, and the block off the list once it is used up. False when nothing is left. */
  #consume(head: Block, length: number): boolean {
    head.start += length;
    this.#readBytes += length;
    this.#queuedBytes -= length;
    if (head.start === head.end) this.#retire(head);
    return this.#queuedBytes > 0;
  }

  #retire(head: Block): void {
    if (head !== this.#tail) {
      this.#head = head.next;
    } else if (head.growing) {
      // The only block there is: fill it again from its beginning instead of making another.
      head.start = head.end = 0;
    } else {
      this.#head = this.#tail = undefined;
    }
  }
}
