import type { Scenario, SimulatorSession } from '../../simulator/simulator-session.js';
import { TurnDetector } from '../../simulator/turn-detector.js';
import type { DemoSpeech } from './speech.js';

/** Half a second of the greeting comes before `start_media_streaming`, as it does from Pranthora. */
const EARLY_SAMPLES = 8_000;
const START_AFTER_MS = 50;

/**
 * The demo's agent: greets, answers what it is asked at length, stops when it is talked over, and then answers in short.
 * It knows the caller's turns by nothing but the audio that comes.
 */
export class DemoAgent implements Scenario {
  readonly #speech: DemoSpeech;
  readonly #answers: Int16Array[];
  readonly #turns = new TurnDetector();

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
    const turn = this.#turns.hear(bytes);
    if (turn === 'turn-begins' && session.isSpeaking) session.interrupt();
    if (turn !== 'turn-ends') return;
    const answer = this.#answers.shift();
    if (answer) session.say(answer);
  }
}
