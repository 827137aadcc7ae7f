import type { Scenario, SimulatorSession } from '../../simulator/simulator-session.js';
import { durationMs, levelDbfs, pcmSamples } from '../../simulator/speech.js';
import type { DemoSpeech } from './speech.js';

/** Half a second of the greeting comes before `start_media_streaming`, as it does from Pranthora. */
const EARLY_SAMPLES = 8_000;
const START_AFTER_MS = 50;

const VOICE_DBFS = -40;
/** A caller who talks this long into the agent's speech interrupts it. */
const VOICE_AFTER_MS = 200;
/** A caller who is silent this long has finished. */
const TURN_AFTER_MS = 500;

/**
 * The demo's agent: greets, answers what it is asked at length, stops when it is talked over, and then answers in short.
 * It knows the caller's turns by nothing but the audio that comes.
 */
export class DemoAgent implements Scenario {
  readonly #speech: DemoSpeech;
  readonly #answers: Int16Array[];
  #voicedMs = 0;
  #silentMs = 0;
  #callerTalks = false;

  constructor(speech: DemoSpeech) {
    this.#speech = speech;
    this.#answers = [speech.answer, speech.reply];
  }

  onOpen(session: SimulatorSession): void {
    session.say(this.#speech.greeting.subarray(0, EARLY_SAMPLES));
    session.after(START_AFTER_MS, () => {
      session.start();
      session.say(this.#speech.greeting.subarray(EARLY_SAMPLES));
    });
  }

  onAudio(session: SimulatorSession, bytes: Buffer): void {
    this.#listen(bytes);
    if (!this.#callerTalks && this.#voicedMs >= VOICE_AFTER_MS) {
      this.#callerTalks = true;
      if (session.isSpeaking) session.interrupt();
    } else if (this.#callerTalks && this.#silentMs >= TURN_AFTER_MS) {
      this.#callerTalks = false;
      this.#voicedMs = 0;
      const answer = this.#answers.shift();
      if (answer) session.say(answer);
    }
  }

  #listen(bytes: Buffer): void {
    const heardMs = durationMs(bytes.length);
    const isVoice = levelDbfs(pcmSamples(bytes)) > VOICE_DBFS;
    this.#voicedMs = isVoice ? this.#voicedMs + heardMs : Math.max(0, this.#voicedMs - heardMs);
    this.#silentMs = isVoice ? 0 : this.#silentMs + heardMs;
  }
}
