interface Slot {
  readonly bytes: Uint8Array;
  arrivedAtMs: number;
}

/** The newest frames that could not be sent yet, copied into memory allocated once; the oldest give way. */
export class FrameRing {
  readonly #slots: readonly Slot[];
  readonly #frameBytes: number;
  #head = 0;
  #length = 0;

  constructor(capacity: number, frameBytes: number) {
    this.#slots = Array.from({ length: capacity }, () => ({ bytes: new Uint8Array(frameBytes), arrivedAtMs: 0 }));
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
    const isFull = this.#length === this.#slots.length;
    if (isFull) this.#dropOldest();
    const slot = this.#slot(this.#length++);
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
    const slot = this.#slots[(this.#head + index) % this.#slots.length];
    if (!slot) throw new RangeError(`no slot ${index}`);
    return slot;
  }

  #dropOldest(): void {
    this.#head = (this.#head + 1) % this.#slots.length;
    this.#length--;
  }
}
