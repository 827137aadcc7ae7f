import { FRAME_MS } from './protocols/protocol.js';

/** Frames that may be unanswered, besides those a round trip holds: so many at once Pranthora takes without dropping. */
const MAX_UNANSWERED = 5;

/** One answer for so many frames. The last ping before the window is full then has 40 ms to be answered. */
const FRAMES_PER_PING = 4;

/** A round trip above this is an outage, and says nothing of the way. */
const MAX_ROUND_TRIP_MS = 400;
/** A longer round trip is believed by and by: the shortest of late is the way's own, the rest is waiting. */
const SLOWLY = 1 / 4;

/** So many pings are sent in the hope of a first answer. A server may have none to give. */
const MAX_HOPEFUL_PINGS = 1 + MAX_ROUND_TRIP_MS / FRAME_MS / FRAMES_PER_PING;

/** Frames sent, and the time of day of this process in milliseconds: 32 bits each, to come back in the pong. */
const PING_BYTES = 8;

/**
 * What is on its way to the agent and has not arrived for all we know. The kernel takes seconds of audio and sends them all
 * at once when a network that was down is up again; it does not tell how much it holds, but a ping (RFC 6455 section 5.5.2)
 * that follows some frames through the same stream is only answered once they have arrived. While too many are unanswered,
 * no more are sent.
 *
 * Nothing is bounded before the first answer, and without one there are only a few pings.
 */
export class FlightWindow {
  readonly #ping = Buffer.alloc(PING_BYTES);
  #sent = 0;
  #pinged = 0;
  #hopefulPings = 0;
  #arrived = 0;
  #roundTripMs: number | undefined;
  #limit = Infinity;

  /** False while as much is on its way as may be. */
  get isOpen(): boolean {
    return this.#sent - this.#arrived < this.#limit;
  }

  /** A frame has been sent. @returns whether a ping is to follow it. */
  sent(): boolean {
    this.#sent += 1;
    return this.#isPingDue;
  }

  /** What a ping sent now carries; valid until the next. */
  ping(nowMs: number): Buffer {
    this.#pinged = this.#sent;
    if (this.#roundTripMs === undefined) this.#hopefulPings += 1;
    this.#ping.writeUInt32BE(this.#sent >>> 0, 0);
    this.#ping.writeUInt32BE(Math.floor(nowMs) >>> 0, 4);
    return this.#ping;
  }

  /** A pong has come; one that answers no ping of ours says nothing. @returns whether a ping is to be sent now. */
  pong(data: Buffer, nowMs: number): boolean {
    if (data.length !== PING_BYTES) return false;
    const unanswered = (this.#sent - data.readUInt32BE(0)) | 0;
    if (unanswered < 0 || unanswered > this.#sent - this.#arrived) return false;
    this.#arrived = this.#sent - unanswered;
    this.#observe((Math.floor(nowMs) - data.readUInt32BE(4)) >>> 0);
    return this.#isPingDue;
  }

  get #isPingDue(): boolean {
    const isWorthIt = this.#roundTripMs !== undefined || this.#hopefulPings < MAX_HOPEFUL_PINGS;
    return isWorthIt && this.#sent - this.#pinged >= FRAMES_PER_PING;
  }

  #observe(tookMs: number): void {
    const ms = Math.min(tookMs, MAX_ROUND_TRIP_MS);
    const known = this.#roundTripMs ?? ms;
    this.#roundTripMs = ms <= known ? ms : known + (ms - known) * SLOWLY;
    this.#limit = MAX_UNANSWERED + Math.floor(this.#roundTripMs / FRAME_MS);
  }
}
