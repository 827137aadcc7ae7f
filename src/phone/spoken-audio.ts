interface Utterance {
  readonly samples: Int16Array;
  /** Samples of it already taken. */
  taken: number;
  readonly onSpoken: () => void;
}

/** What one caller says: utterances one after the other, and silence when there are none. Keeps a record of it all. */
export class SpokenAudio {
  readonly #queue: Utterance[] = [];
  readonly #maxSamples: number;
  #record = new Int16Array(0);
  #length = 0;

  /** `maxSamples` bounds the record. */
  constructor(maxSamples: number) {
    this.#maxSamples = maxSamples;
  }

  /** Samples taken since the beginning, silence included. */
  get length(): number {
    return this.#length;
  }

  /** Says `samples` after what is queued already. Resolves when the last of them has been taken, or on `stop`. */
  play(samples: Int16Array): Promise<void> {
    return new Promise((onSpoken) => {
      this.#queue.push({ samples, taken: 0, onSpoken });
    });
  }

  /** Fills `frame` with what comes next. */
  next(frame: Int16Array): void {
    let filled = 0;
    for (let first = this.#queue[0]; first && filled < frame.length; first = this.#queue[0]) {
      const part = first.samples.subarray(first.taken, first.taken + frame.length - filled);
      frame.set(part, filled);
      filled += part.length;
      first.taken += part.length;
      if (first.taken < first.samples.length) break;
      this.#queue.shift();
      first.onSpoken();
    }
    frame.fill(0, filled);
    this.#keep(frame);
  }

  /** Time for `samples` samples goes by without anything being taken. */
  pass(samples: number): void {
    this.#length += samples;
  }

  /** Forgets what is queued; whoever waits for it is told. */
  stop(): void {
    for (const { onSpoken } of this.#queue.splice(0)) onSpoken();
  }

  /** The record from the beginning on. */
  timeline(): Int16Array {
    const timeline = new Int16Array(Math.min(this.#length, this.#maxSamples));
    timeline.set(this.#record.subarray(0, timeline.length));
    return timeline;
  }

  #keep(frame: Int16Array): void {
    const at = this.#length;
    this.#length += frame.length;
    if (this.#length > this.#maxSamples) return;
    if (this.#length > this.#record.length) this.#grow();
    this.#record.set(frame, at);
  }

  #grow(): void {
    const larger = new Int16Array(Math.min(this.#maxSamples, Math.max(2 * this.#length, 80_000)));
    larger.set(this.#record);
    this.#record = larger;
  }
}
