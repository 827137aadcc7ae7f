import { FrameRing } from './frame-ring.js';
import { FRAME_MS } from './protocols/protocol.js';

/** Pranthora drops what has waited longer than this on its side, so it need not be sent to begin with. */
const MAX_WAIT_MS = 200;

/**
 * Pranthora drops audio when more than 15 chunks are pending. Five at once and two per frame time after that stay
 * within 15 in any 100 ms, and catch up with live by 20 ms every 20 ms.
 */
const BURST_FRAMES = 5;
const FRAMES_PER_MS = 2 / FRAME_MS;

/** Where frames go: takes one at a time, and says whether it would only pile up there. */
export interface FrameSink {
  readonly isWritable: boolean;
  /** Does not keep the bytes. */
  send(frame: Uint8Array): void;
}

/**
 * The caller's audio on its way into a connection. A frame is sent the moment it is offered unless the connection is
 * congested, gone for now, or would get a burst; then the newest frames wait here, in order, and are sent at the pace
 * Pranthora takes. Frames that have waited too long are dropped and counted.
 */
export class UplinkQueue {
  readonly #ring: FrameRing;
  readonly #keepMs: number;
  #maxWaitMs = MAX_WAIT_MS;
  #credit = BURST_FRAMES;
  #creditAtMs = 0;
  /** The connection would take no more. */
  #isHeldUp = false;
  #sent = 0;
  #dropped = 0;

  /**
   * @param keepMs how much of the newest audio to keep while there is no connection.
   * @param frameBytes length of every frame.
   */
  constructor(keepMs: number, frameBytes: number) {
    this.#ring = new FrameRing(Math.ceil(Math.max(keepMs, MAX_WAIT_MS) / FRAME_MS) + 1, frameBytes);
    this.#keepMs = keepMs;
  }

  /** Frames handed to a connection since the beginning. */
  get sent(): number {
    return this.#sent;
  }

  /** Frames dropped since the beginning. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Frames waiting now. */
  get waiting(): number {
    return this.#ring.length;
  }

  /** Sends `frame` (not kept), or as many of those waiting before it as may go now. */
  offer(frame: Uint8Array, nowMs: number, sink: FrameSink): void {
    if (this.#ring.length === 0 && this.#maySend(nowMs, sink)) {
      this.#send(frame, sink);
      return;
    }
    this.#dropped += this.#ring.push(frame, nowMs);
    this.drain(nowMs, sink);
  }

  /** Keeps `frame` while there is no connection. */
  hold(frame: Uint8Array, nowMs: number): void {
    this.#maxWaitMs = this.#keepMs;
    this.#dropped += this.#ring.push(frame, nowMs);
    this.#dropStale(nowMs);
  }

  /** Sends as many of the waiting frames as may go now. */
  drain(nowMs: number, sink: FrameSink): void {
    this.#dropStale(nowMs);
    while (this.#ring.length > 0 && this.#maySend(nowMs, sink)) {
      const frame = this.#ring.shift();
      if (frame) this.#send(frame, sink);
    }
    if (this.#ring.length === 0) this.#maxWaitMs = MAX_WAIT_MS;
  }

  #send(frame: Uint8Array, sink: FrameSink): void {
    sink.send(frame);
    this.#sent++;
  }

  #dropStale(nowMs: number): void {
    this.#dropped += this.#ring.dropUntil(nowMs - this.#maxWaitMs);
  }

  #maySend(nowMs: number, sink: FrameSink): boolean {
    if (!sink.isWritable) {
      this.#isHeldUp = true;
      return false;
    }
    if (this.#isHeldUp) this.#goOnSlowly(nowMs);
    return this.#takeCredit(nowMs);
  }

  /** What was on its way when the connection was held up has come in a burst of its own. */
  #goOnSlowly(nowMs: number): void {
    this.#isHeldUp = false;
    this.#credit = 1;
    this.#creditAtMs = nowMs;
  }

  #takeCredit(nowMs: number): boolean {
    this.#credit = Math.min(BURST_FRAMES, this.#credit + (nowMs - this.#creditAtMs) * FRAMES_PER_MS);
    this.#creditAtMs = nowMs;
    if (this.#credit < 1) return false;
    this.#credit -= 1;
    return true;
  }
}
