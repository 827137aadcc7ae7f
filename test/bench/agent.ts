import { systemClock } from '../../src/clock.js';
import type { Scenario, SimulatorSession } from '../../src/simulator/simulator-session.js';
import { pcmBytes, pcmSamples } from '../../src/simulator/speech.js';
import { tone } from '../support/signal.js';
import { deliver, TTS } from '../support/wire-agents.js';

const SPEECH = pcmBytes(
  tone({ rateHz: 16_000, frequencyHz: 500, levelDbm0: -10, durationMs: 2_000, phase: Math.PI / 2 }),
);
const START_AFTER_MS = 20;

export interface Round {
  /** Right before the first byte of speech was written. */
  readonly spokeAtMs: number;
  /** Right before `stop` was written. */
  stoppedAtMs: number;
}

/** Speaks, stops, and is silent for a while, again and again; stamps what it hears. */
export class BenchAgent implements Scenario {
  readonly rounds: Round[] = [];
  /** When each loud frame came, stamped by the socket's handler. */
  readonly loudAtMs: number[] = [];
  /** From the upgrade to `start_media_streaming`: what the agent itself takes. */
  startMs = 0;
  #closed: () => void = () => undefined;
  readonly closed = new Promise<void>((resolve) => {
    this.#closed = resolve;
  });

  onOpen(session: SimulatorSession): void {
    session.after(START_AFTER_MS, () => {
      this.startMs = systemClock.nowMs() - session.openedAtMs;
      session.start();
      this.#pause(session);
    });
  }

  onAudio(_session: SimulatorSession, bytes: Buffer, nowMs: number): void {
    const samples = pcmSamples(bytes);
    const mean = samples.reduce((sum, sample) => sum + Math.abs(sample), 0) / samples.length;
    if (mean > LOUD_MEAN) this.loudAtMs.push(nowMs);
  }

  onClose(): void {
    this.#closed();
  }

  #pause(session: SimulatorSession): void {
    session.after(150 + 200 * Math.random(), () => this.#speak(session));
  }

  #speak(session: SimulatorSession): void {
    const round = { spokeAtMs: systemClock.nowMs(), stoppedAtMs: NaN };
    this.rounds.push(round);
    const cancel = deliver(session, SPEECH, TTS, () => undefined);
    session.after(150 + 200 * Math.random(), () => {
      cancel();
      round.stoppedAtMs = systemClock.nowMs();
      session.interrupt();
      this.#pause(session);
    });
  }
}

/** Half of what a loud packet has: the filter leaves a tenth of it in the next frame. */
const LOUD_MEAN = 2_000;

/** 20 ms at 8 kHz: every other packet is loud, so that the agent can tell them apart. */
export const LOUD = tone({ rateHz: 8_000, frequencyHz: 500, levelDbm0: -10, durationMs: 20 });
export const QUIET = new Int16Array(LOUD.length);
