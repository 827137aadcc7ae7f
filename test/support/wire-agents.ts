import type { CancelTimer, Clock } from '../../src/clock.js';
import type { Scenario, SimulatorSession } from '../../src/simulator/simulator-session.js';
import { pcmBytes } from '../../src/simulator/speech.js';
import { tone } from './signal.js';
import { endingInSilence } from './wire-audio.js';

const AGENT_BYTES_PER_MS = 32;
const STEP_MS = 10;

export interface Delivery {
  /** Length of each binary message. */
  readonly pieceBytes: number;
  /** How much faster than one can listen. */
  readonly speed: number;
}

/** As TTS is seen to deliver: 100 ms and half a sample in each message, four times as fast as one can listen. */
export const TTS: Delivery = { pieceBytes: 3_201, speed: 4 };

/**
 * Says `bytes` in pieces; `onSent` hears how many bytes of them have been written so far. What is not yet written when the
 * returned function is called never is.
 */
export function deliver(
  session: SimulatorSession,
  bytes: Buffer,
  { pieceBytes, speed }: Delivery,
  onSent: (sentBytes: number) => void,
): CancelTimer {
  const stepBytes = pieceBytes * Math.max(1, Math.round((STEP_MS * speed * AGENT_BYTES_PER_MS) / pieceBytes));
  const stepMs = stepBytes / AGENT_BYTES_PER_MS / speed;
  let cancel: CancelTimer = () => undefined;
  const step = (from: number): void => {
    const end = Math.min(bytes.length, from + stepBytes);
    for (let at = from; at < end; at += pieceBytes)
      session.sendAudio(bytes.subarray(at, Math.min(end, at + pieceBytes)));
    onSent(end);
    if (end < bytes.length) {
      cancel = session.after(stepMs, () => step(end));
    }
  };
  step(0);
  return () => cancel();
}

/** How much of the speech comes before `start_media_streaming`: a lead that no late timer uses up. */
const EARLY_MS = 100;

/** Says one thing, the beginning of it before it is ready to listen. */
export class SpeakingAgent implements Scenario {
  readonly speech: Int16Array;
  readonly #delivery: Delivery;

  constructor(speech: Int16Array, delivery: Delivery) {
    this.speech = speech;
    this.#delivery = delivery;
  }

  onOpen(session: SimulatorSession): void {
    deliver(session, pcmBytes(this.speech), this.#delivery, () => undefined);
    session.after(EARLY_MS, () => session.start());
  }
}

/** One thing an interrupted agent has said. */
export interface Utterance {
  readonly samples: Int16Array;
  /** What was written of it. */
  sentBytes: number;
  /** The moment before `stop` was written; undefined when it was allowed to end. */
  stoppedAtMs?: number;
}

/** Tones of whole periods in a packet, so that none of them sounds like another. */
const TONES_HZ = [500, 900, 1_300, 1_700, 2_100, 2_500];
const TALK_MS = 3_000;
const REPLY_MS = 240;
const FAREWELL_MS = 1_000;
const PAUSE_MS = 200;

export interface InterruptingAgentOptions {
  readonly clock: Clock;
  readonly interruptions: number;
  /** In [0, 1). */
  readonly random: () => number;
}

/**
 * Speaks and is interrupted at any moment, again and again. What comes after the `stop` takes turns: the next long
 * utterance in the same breath, a short one that plays to its end, or silence for a moment. The last utterance is let be.
 */
export class InterruptingAgent implements Scenario {
  readonly utterances: Utterance[] = [];
  /** Resolves when the last utterance has been written. */
  readonly finished: Promise<void>;
  readonly #options: InterruptingAgentOptions;
  #interruptions = 0;
  #finish: () => void = () => undefined;

  constructor(options: InterruptingAgentOptions) {
    this.#options = options;
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  onOpen(session: SimulatorSession): void {
    session.start();
    session.after(PAUSE_MS, () => this.#talk(session));
  }

  #talk(session: SimulatorSession): void {
    if (this.#interruptions === this.#options.interruptions) {
      this.#say(session, FAREWELL_MS, this.#finish);
      return;
    }
    const { utterance, cancel } = this.#say(session, TALK_MS);
    session.after(5 + 700 * this.#options.random(), () => {
      cancel();
      utterance.stoppedAtMs = this.#options.clock.nowMs();
      session.interrupt();
      this.#goOn(session);
    });
  }

  #goOn(session: SimulatorSession): void {
    const talk = (): void => this.#talk(session);
    switch (this.#interruptions++ % 3) {
      case 0:
        talk();
        break;
      case 1:
        this.#say(session, REPLY_MS);
        session.after(REPLY_MS + PAUSE_MS, talk);
        break;
      default:
        session.after(100 * this.#options.random(), talk);
    }
  }

  #say(
    session: SimulatorSession,
    durationMs: number,
    onSaid?: () => void,
  ): { utterance: Utterance; cancel: CancelTimer } {
    const frequencyHz = TONES_HZ[this.utterances.length % TONES_HZ.length] ?? 0;
    // From its crest on: the first sample is as loud as any.
    const samples = endingInSilence(
      tone({ rateHz: 16_000, frequencyHz, levelDbm0: -10, durationMs, phase: Math.PI / 2 }),
    );
    const utterance: Utterance = { samples, sentBytes: 0 };
    this.utterances.push(utterance);
    const bytes = pcmBytes(samples);
    const cancel = deliver(session, bytes, TTS, (sentBytes) => {
      utterance.sentBytes = sentBytes;
      if (sentBytes === bytes.length) onSaid?.();
    });
    return { utterance, cancel };
  }
}
