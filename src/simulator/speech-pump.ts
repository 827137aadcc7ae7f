import type { CancelTimer } from '../clock.js';

/** TTS comes faster than real time: a piece of 100 ms at a time. */
const PIECE_INTERVAL_MS = 25;
const END_OF_UTTERANCE = 'end';

export interface SpeechPumpOptions {
  /** Length of a piece; a bit more or less than 100 ms. */
  readonly pieceBytes: number;
  readonly after: (delayMs: number, fire: () => void) => CancelTimer;
  readonly onPiece: (pcm: Buffer) => void;
  readonly onEndOfUtterance: () => void;
}

/** Lets synthesised speech go as TTS does: four times as fast as one can listen, in pieces that respect nothing. */
export class SpeechPump {
  readonly #options: SpeechPumpOptions;
  #queue: (Buffer | typeof END_OF_UTTERANCE)[] = [];
  #cancelPiece: CancelTimer | undefined;
  #onSaid: (() => void) | undefined;

  constructor(options: SpeechPumpOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  /** Says `pcm` after what is queued already. `onSaid` when nothing is queued any more; the newest one counts. */
  say(pcm: Buffer, onSaid?: () => void): void {
    const { pieceBytes } = this.#options;
    for (let at = 0; at < pcm.length; at += pieceBytes) this.#queue.push(pcm.subarray(at, at + pieceBytes));
    this.#queue.push(END_OF_UTTERANCE);
    this.#onSaid = onSaid;
    if (!this.#cancelPiece) this.#next();
  }

  /** Forgets what is queued. */
  stop(): void {
    this.#cancelPiece?.();
    this.#cancelPiece = undefined;
    this.#onSaid = undefined;
    this.#queue = [];
  }

  #next(): void {
    this.#cancelPiece = undefined;
    const first = this.#queue.shift();
    if (first === END_OF_UTTERANCE) this.#options.onEndOfUtterance();
    else if (first) this.#options.onPiece(first);
    while (this.#queue[0] === END_OF_UTTERANCE) {
      this.#queue.shift();
      this.#options.onEndOfUtterance();
    }
    if (this.#queue.length === 0) this.#end();
    else this.#cancelPiece = this.#options.after(PIECE_INTERVAL_MS, () => this.#next());
  }

  #end(): void {
    const onSaid = this.#onSaid;
    this.#onSaid = undefined;
    onSaid?.();
  }
}
