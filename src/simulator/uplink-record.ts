import { FRAME_MS } from './simulator-wire.js';

/** The caller's audio as it came, as much of it as there is room for, and counts of all of it. */
export class UplinkRecord {
  /** When each of the recorded messages came. */
  readonly arrivalsMs: number[] = [];
  readonly #maxFrames: number;
  readonly #maxBytes: number;
  readonly #recorded: Buffer[] = [];
  #recordedBytes = 0;
  #frames = 0;
  #bytes = 0;

  /** @param frameBytes what 20 ms have. */
  constructor(maxMs: number, frameBytes: number) {
    this.#maxFrames = maxMs / FRAME_MS;
    this.#maxBytes = this.#maxFrames * frameBytes;
  }

  get frames(): number {
    return this.#frames;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(payload: Buffer, nowMs: number): void {
    this.#frames++;
    this.#bytes += payload.length;
    if (this.arrivalsMs.length < this.#maxFrames) this.arrivalsMs.push(nowMs);
    if (this.#recordedBytes + payload.length > this.#maxBytes) return;
    this.#recordedBytes += payload.length;
    this.#recorded.push(payload);
  }

  media(): Buffer {
    return Buffer.concat(this.#recorded);
  }

  /** Between two of the recorded messages; null with less than two. */
  longestGapMs(): number | null {
    if (this.arrivalsMs.length < 2) return null;
    let longestMs = 0;
    let previousMs = this.arrivalsMs[0] ?? 0;
    for (const atMs of this.arrivalsMs) {
      longestMs = Math.max(longestMs, atMs - previousMs);
      previousMs = atMs;
    }
    return longestMs;
  }
}
