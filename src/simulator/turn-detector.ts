import { durationMs, levelDbfs, pcmSamples } from './speech.js';

/** Telephone speech is well above this, comfort noise and line noise below. */
const SPEECH_DBFS = -40;
/** A caller who talks for this long has taken the turn. */
const SPEECH_AFTER_MS = 200;
/** A caller who is silent for this long has finished. */
const SILENCE_AFTER_MS = 500;

/** Hears a caller's turns in nothing but the audio that comes. */
export class TurnDetector {
  /** Grows with the caller's voice and shrinks with pauses, so that the dips within a word do not reset it. */
  #voicedMs = 0;
  #silentMs = 0;
  #callerIsTalking = false;

  /** @param bytes 16 kHz PCM. Returns what they complete, if anything. */
  hear(bytes: Buffer): 'turn-begins' | 'turn-ends' | undefined {
    this.#listen(bytes);
    if (!this.#callerIsTalking && this.#voicedMs >= SPEECH_AFTER_MS) {
      this.#callerIsTalking = true;
      return 'turn-begins';
    }
    if (!this.#callerIsTalking || this.#silentMs < SILENCE_AFTER_MS) return undefined;
    this.#callerIsTalking = false;
    this.#voicedMs = 0;
    return 'turn-ends';
  }

  #listen(bytes: Buffer): void {
    const heardMs = durationMs(bytes.length);
    if (levelDbfs(pcmSamples(bytes)) > SPEECH_DBFS) {
      this.#voicedMs = Math.min(SPEECH_AFTER_MS, this.#voicedMs + heardMs);
      this.#silentMs = 0;
    } else {
      this.#voicedMs = Math.max(0, this.#voicedMs - heardMs);
      this.#silentMs += heardMs;
    }
  }
}
