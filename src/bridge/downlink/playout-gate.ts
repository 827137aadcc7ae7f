const FRAME_MS = 20;

/** A pause this many times as long as the longest cushion could not have been bridged: something new begins after it. */
const BRIDGEABLE_CUSHIONS = 2;

/** An utterance of at least this length and without a gap has shown that it needs less of a cushion. */
const CLEAN_MS = 1_000;

/** How long is looked whether the agent speaks in real time, and how much the queue may have grown or shrunk then. */
const WATCHED_MS = 10_000;
const REAL_TIME_TOLERANCE_MS = 60;

/**
 * When the agent's speech is played. At once, at first: the whole frame that is waited for is all the delay there is. When
 * it turns out to come in fits and starts, each gap makes the next beginning wait for a longer cushion; speech that comes
 * smoothly makes it shorter again. The delay ends with the utterance that needed it.
 */
export class PlayoutGate {
  readonly #maxCushionMs: number;
  #cushionMs = 0;
  #isPlaying = false;
  /** How long what has come has been waiting for more. */
  #waitedMs = 0;
  /** How long ago speech ran out, unless what comes next is known to be something new. */
  #dryMs: number | undefined;
  #hasResumed = false;
  /** What was queued when playing began; how long the utterance has played, and whether without a gap. */
  #startedWithMs = 0;
  #utteranceMs = 0;
  #isClean = true;
  /** What was played last ended in silence. */
  #isPause = false;

  /** Of the present `WATCHED_MS` of playing: how long, and the least that was queued in its first half and in its second. */
  #watchedMs = 0;
  #leastBeforeMs = Infinity;
  #leastQueuedMs = Infinity;
  #excessMs = 0;

  #underruns = 0;
  #underrunMs = 0;

  constructor(maxCushionMs: number) {
    this.#maxCushionMs = maxCushionMs;
  }

  get isPlaying(): boolean {
    return this.#isPlaying;
  }

  get cushionMs(): number {
    return this.#cushionMs;
  }

  /** Gaps in speech, and how long they lasted. */
  get stats(): { underruns: number; underrunMs: number } {
    return { underruns: this.#underruns, underrunMs: this.#underrunMs };
  }

  /**
   * An agent that never pauses is heard that much later than it could be, because its sound was held up once and has come
   * in real time since. What nobody hears of it may be left out.
   */
  get excessMs(): number {
    return this.#excessMs;
  }

  /** Every 20 ms: whether to play what is queued. */
  mayPlay(queuedMs: number): boolean {
    if (queuedMs === 0) {
      this.#wait();
      return false;
    }
    if (this.#isPlaying) return true;
    if (this.#dryMs !== undefined) this.#resume(this.#dryMs);
    const wantedMs = Math.max(FRAME_MS, this.#cushionMs);
    this.#isPlaying = queuedMs >= wantedMs || this.#waitedMs >= wantedMs;
    this.#waitedMs = this.#isPlaying ? 0 : this.#waitedMs + FRAME_MS;
    this.#startedWithMs = queuedMs;
    if (!this.#isPlaying && this.#hasResumed) this.#underrunMs += FRAME_MS;
    return this.#isPlaying;
  }

  /**
   * `speechMs` were played of a frame, and `queuedMs` are left. Where `isPause`, nobody hears it if nothing follows: what
   * comes then is taken for something new.
   */
  played(speechMs: number, queuedMs: number, isPause = false): void {
    this.#utteranceMs += speechMs;
    this.#isPause = isPause;
    if (speechMs < FRAME_MS) this.#runDry(FRAME_MS - speechMs);
    else this.#watch(queuedMs);
  }

  /** Speech resumes in the middle of a sound: asked once, with the first frame. */
  takeResumed(): boolean {
    const resumed = this.#hasResumed;
    this.#hasResumed = false;
    return resumed;
  }

  skipped(ms: number): void {
    this.#excessMs -= ms;
  }

  /** What was said is over, or of no interest any more: what comes next is something new. */
  end(): void {
    if (this.#isClean && this.#utteranceMs >= CLEAN_MS) this.#cushionMs = Math.max(0, this.#cushionMs - FRAME_MS);
    this.#isPlaying = this.#hasResumed = false;
    this.#dryMs = undefined;
    this.#waitedMs = this.#utteranceMs = 0;
    this.#isClean = true;
    this.#stopWatching();
  }

  #wait(): void {
    this.#waitedMs = 0;
    if (this.#isPlaying) this.#runDry(0);
    if (this.#dryMs === undefined) return;
    this.#dryMs += FRAME_MS;
    if (this.#dryMs > BRIDGEABLE_CUSHIONS * this.#maxCushionMs) this.end();
  }

  #runDry(silentMs: number): void {
    if (this.#isPause) {
      this.end();
      return;
    }
    this.#isPlaying = false;
    this.#dryMs = silentMs;
    this.#stopWatching();
  }

  #resume(dryMs: number): void {
    this.#dryMs = undefined;
    this.#hasResumed = true;
    this.#isClean = false;
    this.#underruns += 1;
    this.#underrunMs += dryMs;
    // What there was at the beginning was too little by the length of the gap.
    const wantedMs = Math.max(this.#cushionMs, this.#startedWithMs) + dryMs;
    this.#cushionMs = Math.min(this.#maxCushionMs, wantedMs);
  }

  /** A queue that stays as full as it was is filled in real time: what is never needed of it is only delay. */
  #watch(queuedMs: number): void {
    this.#watchedMs += FRAME_MS;
    this.#leastQueuedMs = Math.min(this.#leastQueuedMs, queuedMs);
    if (this.#watchedMs === WATCHED_MS / 2) {
      this.#leastBeforeMs = this.#leastQueuedMs;
      this.#leastQueuedMs = Infinity;
    } else if (this.#watchedMs >= WATCHED_MS) {
      const leastMs = Math.min(this.#leastBeforeMs, this.#leastQueuedMs);
      const isRealTime = Math.abs(this.#leastQueuedMs - this.#leastBeforeMs) <= REAL_TIME_TOLERANCE_MS;
      this.#stopWatching();
      if (isRealTime) this.#excessMs = Math.max(0, leastMs - this.#maxCushionMs);
    }
  }

  #stopWatching(): void {
    this.#watchedMs = this.#excessMs = 0;
    this.#leastBeforeMs = this.#leastQueuedMs = Infinity;
  }
}
