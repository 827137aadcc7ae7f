import { FrameSplicer } from '../../audio/frame-splicer.js';
import type { LiveTimeline } from './playout-clock.js';
import type { UplinkFramer } from './uplink-framer.js';

const FRAME_MS = 20;

/** Sends the agent's frames, and takes one out or puts one in where the stream and time have come apart. */
export class AgentFrames {
  readonly #send: (frame: Buffer) => void;
  readonly #timeline: LiveTimeline;
  #framer: UplinkFramer;
  #splicer: FrameSplicer;
  #blend: Buffer;
  #sent = 0;
  #joined = 0;
  #stretched = 0;

  constructor(framer: UplinkFramer, timeline: LiveTimeline, send: (frame: Buffer) => void) {
    this.#send = send;
    this.#timeline = timeline;
    this.#framer = framer;
    this.#splicer = new FrameSplicer(framer.pcm.length);
    this.#blend = Buffer.alloc(framer.frame.length);
  }

  get stats(): { frames: number; joinedFrames: number; stretchedFrames: number } {
    return { frames: this.#sent, joinedFrames: this.#joined, stretchedFrames: this.#stretched };
  }

  set framer(framer: UplinkFramer) {
    this.#framer = framer;
    this.#splicer = new FrameSplicer(framer.pcm.length);
    this.#blend = Buffer.alloc(framer.frame.length);
  }

  /** The framer's frame is full. Unless `mayCorrect`, nothing is taken out or put in here. */
  flush(mayCorrect: boolean): void {
    const { pcm, frame } = this.#framer;
    switch (this.#splicer.next(pcm, mayCorrect ? this.#timeline.errorMs : 0)) {
      case 'as-is':
        this.#sendFrame(frame);
        break;
      case 'hold':
        this.#joined += 1;
        this.#timeline.corrected(-FRAME_MS);
        break;
      case 'joined':
        this.#sendBlend();
        break;
      case 'stretched':
        this.#stretched += 1;
        this.#timeline.corrected(FRAME_MS);
        this.#sendBlend();
        this.#sendFrame(frame);
        break;
    }
  }

  #sendBlend(): void {
    this.#framer.encode(this.#splicer.blend, this.#blend);
    this.#sendFrame(this.#blend);
  }

  #sendFrame(frame: Buffer): void {
    this.#sent += 1;
    this.#send(frame);
  }
}
