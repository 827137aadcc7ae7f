import type { StreamEncoding } from '../../audio/encodings.js';
import { PlayoutQueue, type Discarded } from '../../audio/playout-queue.js';
import { FRAME_BYTES, type AudioFormat } from '../../pranthora/protocols/protocol.js';
import { createDownlinkFramer, type DownlinkFramer } from './downlink-framer.js';
import type { DownlinkStats, Interruption } from '../stats.js';
import { PlayoutGate } from './playout-gate.js';
import { StopGuard } from './stop-guard.js';

const FRAME_MS = 20;

/**
 * Nothing has come for so long: what comes next is another utterance, whether or not the one before has been played. Half
 * a sample at its end belongs to nothing; within an utterance, the other half is in the next message, which follows at once.
 */
const UTTERANCE_GAP_MS = 400;

/** Speech kept at most; Pranthora sends a whole answer faster than it is spoken. */
export const MAX_QUEUED_MS = 120_000;

const NO_MARKS: readonly string[] = [];

/** What the tail of an utterance is made of. */
const NOTHING = new PlayoutQueue({ rateHz: 16_000, bytesPerSample: 2, maxMs: 0 });

export interface DownlinkOptions {
  /** The longest that speech is held back to bridge the gaps in its arrival. */
  readonly cushionMs: number;
  /** Whether little speech right behind "stop" waits until it is known whose it is (`StopGuard`). */
  readonly guardsStop?: boolean;
}

/**
 * Agent → caller: speech as Pranthora sends it in, exactly one 20 ms RTP payload out at every tick.
 * Nothing to say is silence, so the caller's stream never stops.
 */
export class Downlink {
  #format: AudioFormat = 'pcm16k';
  #encoding: StreamEncoding = 'PCMU';
  #queue = newQueue('pcm16k');
  #framer: DownlinkFramer = createDownlinkFramer('pcm16k', 'PCMU');
  /** Frames of silence still to be encoded like speech, so that its end is played and the encoder forgets it. */
  #tailFrames = 0;
  readonly #gate: PlayoutGate;
  readonly #guard: StopGuard | undefined;
  /** Those of speech that was dropped behind a "stop". */
  #droppedMarks: readonly string[] = [];
  /** Payloads made since the agent's last message. */
  #framesSincePush = 0;
  #interruptedAtMs: number | undefined;
  #pendingDiscardMs = 0;

  #receivedMs = 0;
  #playedMs = 0;
  #overflowedMs = 0;
  #discardedMs = 0;

  constructor({ cushionMs, guardsStop = false }: DownlinkOptions = { cushionMs: 200 }) {
    this.#gate = new PlayoutGate(cushionMs);
    this.#guard = guardsStop ? new StopGuard() : undefined;
  }

  /** What the caller's RTP carries. */
  set encoding(encoding: StreamEncoding) {
    if (encoding === this.#encoding) return;
    this.#encoding = encoding;
    this.#framer = createDownlinkFramer(this.#format, encoding);
  }

  /** What the agent sends from now on. What it sent before in another format is lost; marks in it count as reached. */
  set format(format: AudioFormat) {
    if (format === this.#format) return;
    this.#format = format;
    this.#framer = createDownlinkFramer(format, this.#encoding);
    this.#overflowedMs += this.#queue.overflowedMs;
    const { discardedMs, marks } = this.#queue.clear();
    this.#discardedMs += discardedMs;
    this.#queue = newQueue(format);
    for (const mark of marks) this.#queue.pushMark(mark);
  }

  /** RTP timestamp units of one payload, and its length. */
  get frame(): { readonly unitsPerFrame: number; readonly payloadBytes: number } {
    return this.#framer;
  }

  get isEmpty(): boolean {
    return this.#queue.isEmpty;
  }

  get stats(): Omit<DownlinkStats, 'packets' | 'sendErrors'> {
    return {
      receivedMs: this.#receivedMs,
      playedMs: this.#playedMs,
      discardedMs: this.#discardedMs,
      overflowedMs: this.#overflowedMs + this.#queue.overflowedMs,
      queuedMs: this.#queue.queuedMs,
      ...this.#gate.stats,
    };
  }

  /** Speech from Pranthora in its format, cut anywhere. Returns how many bytes found no room. */
  push(bytes: Uint8Array): number {
    if (this.#framesSincePush * FRAME_MS >= UTTERANCE_GAP_MS) this.#queue.dropCarry();
    this.#framesSincePush = 0;
    this.#receivedMs += (bytes.length * FRAME_MS) / FRAME_BYTES[this.#format];
    const refused = this.#queue.push(bytes);
    this.#guard?.pushed(this.#queue.queuedMs);
    return refused;
  }

  /** Where in the speech pushed so far an utterance ends. False when too many wait already. */
  pushMark(name: string): boolean {
    return this.#queue.pushMark(name);
  }

  /** Marks whose place playback has reached since the last call, in order. */
  takeMarks(): readonly string[] {
    const marks = this.#queue.takeMarks();
    // An utterance's last word has been played: silence after it is no gap, and as sudden as the agent wants it.
    if (marks.length > 0 && this.#queue.isEmpty) {
      this.#gate.end();
      this.#framer.end();
    }
    if (this.#droppedMarks.length === 0) return marks;
    const dropped = this.#droppedMarks;
    this.#droppedMarks = NO_MARKS;
    return [...dropped, ...marks];
  }

  /** The caller has interrupted: what was said so far fades within 5 ms of the next tick. Returns the marks in it. */
  interrupt(receivedAtMs: number): readonly string[] {
    const { discardedMs, marks } = this.discard();
    this.#pendingDiscardMs += discardedMs;
    this.#interruptedAtMs ??= receivedAtMs;
    this.#guard?.stopped();
    return marks;
  }

  /** What was said so far fades within 5 ms of the next tick, if any of it is being heard. */
  discard(): Discarded {
    if (this.#gate.isPlaying && !this.#queue.isEmpty) this.#framer.cut(this.#queue);
    else if (this.#tailFrames === 0) this.#framer.reset();
    this.#gate.end();
    const discarded = this.#queue.clear();
    this.#discardedMs += discarded.discardedMs;
    return discarded;
  }

  /** Another agent: what the one before has said is still played, but nobody waits for its marks. */
  dropMarks(): void {
    this.#queue.dropMarks();
  }

  /** A new connection to the agent: half a sample of the old one must not shift all that follows. */
  dropCarry(): void {
    this.#queue.dropCarry();
  }

  /** Writes 20 ms of silence; what is queued waits. For as long as nothing has been played. */
  wait(payload: Uint8Array, offset: number): void {
    this.#framesSincePush += 1;
    this.#framer.silence(payload, offset);
  }

  /** Writes the next 20 ms into `payload` at `offset`; true when they carry speech. */
  nextPayload(payload: Uint8Array, offset: number): boolean {
    this.#framesSincePush += 1;
    const verdict = this.#guard?.next(this.#framesSincePush);
    if (verdict === 'drop') this.#dropStale();
    if (verdict !== 'wait' && this.#gate.mayPlay(this.#queue.queuedMs)) {
      this.#playSpeech(payload, offset);
      return true;
    }
    if (this.#tailFrames > 0) {
      this.#tailFrames -= 1;
      this.#framer.encode(NOTHING, payload, offset);
    } else this.#framer.silence(payload, offset);
    return false;
  }

  /** Speech of the old answer, of which nothing has been played. */
  #dropStale(): void {
    const { discardedMs, marks } = this.#queue.clear();
    this.#discardedMs += discardedMs;
    this.#droppedMarks = marks;
  }

  #playSpeech(payload: Uint8Array, offset: number): void {
    if (this.#gate.takeResumed()) this.#framer.rampUp();
    if (this.#gate.excessMs >= FRAME_MS && this.#framer.isQuiet && this.#framer.skipIfQuiet(this.#queue)) {
      this.#gate.skipped(FRAME_MS);
      this.#discardedMs += FRAME_MS;
    }
    const speechMs = this.#framer.encode(this.#queue, payload, offset);
    this.#playedMs += speechMs;
    this.#tailFrames = this.#framer.tailFrames;
    this.#gate.played(speechMs, this.#queue.queuedMs, this.#queue.isEmpty && this.#framer.endedQuietly);
  }

  /** The packet built last has gone to the socket: the report of an interruption it put into effect, if it did. */
  takeInterruption(nowMs: number): Interruption | undefined {
    if (this.#interruptedAtMs === undefined) return undefined;
    const interruption = { reactionMs: nowMs - this.#interruptedAtMs, discardedMs: this.#pendingDiscardMs };
    this.#interruptedAtMs = undefined;
    this.#pendingDiscardMs = 0;
    return interruption;
  }
}

function newQueue(format: AudioFormat): PlayoutQueue {
  return format === 'pcm16k'
    ? new PlayoutQueue({ rateHz: 16_000, bytesPerSample: 2, maxMs: MAX_QUEUED_MS })
    : new PlayoutQueue({ rateHz: 8_000, bytesPerSample: 1, maxMs: MAX_QUEUED_MS });
}
