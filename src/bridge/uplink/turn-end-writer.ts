import { FRAME_BYTES } from '../../pranthora/protocols/protocol.js';
import type { Flushing, Scheduler } from '../scheduler.js';

/**
 * One call's frames on their way to the agent: a frame waits for the end of the turn in which it was made, so that those of
 * all calls are written in one burst.
 */
export class TurnEndWriter implements Flushing {
  readonly #scheduler: Pick<Scheduler, 'atTurnEnd'>;
  readonly #send: (frame: Buffer) => void;
  /** Room for the longest of any format. */
  readonly #bytes = Buffer.alloc(FRAME_BYTES.pcm16k);
  /** Of the format so far, or empty. */
  #frame = this.#bytes.subarray(0, 0);
  #isWaiting = false;
  #isDue = false;

  constructor(scheduler: Pick<Scheduler, 'atTurnEnd'>, send: (frame: Buffer) => void) {
    this.#scheduler = scheduler;
    this.#send = send;
  }

  /** Takes a copy of a frame. One that was still waiting goes first, at once. */
  offer(frame: Buffer): void {
    this.#sendWaiting();
    if (frame.length !== this.#frame.length) this.#frame = this.#bytes.subarray(0, frame.length);
    this.#frame.set(frame);
    this.#isWaiting = true;
    if (this.#isDue) return;
    this.#isDue = true;
    this.#scheduler.atTurnEnd(this);
  }

  flush(): void {
    this.#isDue = false;
    this.#sendWaiting();
  }

  /** Forgets the frame that waits: there is no agent any more whom it would be for. */
  clear(): void {
    this.#isWaiting = false;
  }

  #sendWaiting(): void {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    this.#send(this.#frame);
  }
}
