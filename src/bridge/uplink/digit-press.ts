import { timestampDistance } from '../../rtp/sequence.js';
import { DTMF_DIGITS, MAX_EVENT_DURATION, type TelephoneEvent } from '../../rtp/telephone-event.js';
import type { DigitTone } from './uplink-framer.js';

/** A key whose end has not been told is pressed for that much longer than was last told: the end may be lost, or late. */
const SLACK_MS = 100;

/**
 * The key the caller presses (RFC 4733), as a stretch of the RTP timestamps: says where the stream is not speech, and
 * what is heard there instead.
 */
export class DigitPress {
  /** The object handed out: used again. */
  readonly #tone = { digit: '', position: 0 };
  #start: number | undefined;
  #duration = 0;
  #event = 0;
  #hasEnded = false;

  /** A key was pressed, not long ago. */
  get isPressed(): boolean {
    return this.#start !== undefined;
  }

  /** What a telephone-event packet of `timestamp` says. */
  update(timestamp: number, { event, duration, end }: TelephoneEvent, unitsPerMs: number): void {
    const known = end ? duration : duration + SLACK_MS * unitsPerMs;
    const elapsed = this.#start === undefined ? -1 : timestampDistance(this.#start, timestamp);
    if (elapsed === 0 && this.#hasEnded && event === this.#event) return; // said already
    const isSameKey = elapsed >= 0 && elapsed % MAX_EVENT_DURATION === 0 && event === this.#event && !this.#hasEnded;
    if (!isSameKey) this.#start = timestamp;
    this.#duration = (isSameKey ? elapsed : 0) + known;
    this.#event = event;
    this.#hasEnded = end;
    this.#tone.digit = DTMF_DIGITS[event] ?? '';
  }

  forget(): void {
    this.#start = undefined;
  }

  /** What the key sounds like at `timestamp`, if it is pressed then. */
  toneAt(timestamp: number): DigitTone | undefined {
    if (this.#start === undefined) return undefined;
    const position = timestampDistance(this.#start, timestamp);
    // The stream has gone on behind it: the key is history.
    if (position >= this.#duration) this.#start = undefined;
    if (position < 0 || position >= this.#duration) return undefined;
    this.#tone.position = position;
    return this.#tone;
  }

  /** How many samples from `timestamp` on, `most` at most, are all of the key or all not. */
  uniformFrom(timestamp: number, most: number): number {
    if (this.#start === undefined) return most;
    const position = timestampDistance(this.#start, timestamp);
    const change = position < 0 ? -position : this.#duration - position;
    return change > 0 ? Math.min(most, change) : most;
  }
}
