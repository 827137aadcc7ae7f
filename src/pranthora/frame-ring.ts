interface Slot {
  readonly bytes: Uint8Array;
  arrivedAtMs: number;
}

/**
 * The newest frames that could not be sent yet; the oldest give way. They are copied into memory that is kept for the next
 * ones, but only allocated when it is needed: on most calls never.
 */
export class FrameRing {
  readonly #slots: Slot[] = [];
  readonly #capacity: number;
  readonly #frameBytes: number;
  #head = 0;
  #length = 0;

  constructor(capacity: number, frameBytes: number) {
    this.#capacity = capacity;
    this.#frameBytes = frameBytes;
  }

  get length(): number {
    return this.#length;
  }

  /**
   * Keeps a copy of `frame`.
   * @returns how many frames were lost by it: 0, or 1 when the ring was full.
   * @throws RangeError when the frame is not of the ring's frame size.
   */
  push(frame: Uint8Array, nowMs: number): number {
    if (frame.length !== this.#frameBytes) throw new RangeError(`frame of ${frame.length} bytes`);
    const isFull = this.#length === this.#capacity;
    if (isFull) this.#dropOldest();
    const slot = (this.#slots[this.#indexOf(this.#length++)] ??= {
      bytes: new Uint8Array(this.#frameBytes),
      arrivedAtMs: 0,
    });
    slot.bytes.set(frame);
    slot.arrivedAtMs = nowMs;
    return isFull ? 1 : 0;
  }

  /** Takes the oldest frame out. The bytes are valid until the next `push`. */
  shift(): Uint8Array | undefined {
    if (this.#length === 0) return undefined;
    const { bytes } = this.#slot(0);
    this.#dropOldest();
    return bytes;
  }

  /** Drops the frames that came at `untilMs` or earlier. @returns how many those were. */
  dropUntil(untilMs: number): number {
    let dropped = 0;
    while (this.#length > 0 && this.#slot(0).arrivedAtMs <= untilMs) {
      this.#dropOldest();
      dropped++;
    }
    return dropped;
  }

  #slot(index: number): Slot {
    const slot = this.#slots[this.#indexOf(index)];
    if (!slot) throw new RangeError(`no slot ${index}`);
    return slot;
  }

  #indexOf(place: number): number {
    return (this.#head + place) % this.#capacity;
  }

  #dropOldest(): void {
    this.#head = this.#indexOf(1);
    this.#length--;
  }
}
