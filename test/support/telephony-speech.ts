import { decodeG711, transcodingTable, type G711Law } from '../../src/audio/g711.js';
import type { Scenario, SimulatorSession } from '../../src/simulator/simulator-session.js';
import { seededRandom } from './signal.js';

/** 20 ms. */
export const FRAME_BYTES = 160;

/** Speech by the byte: all code words but one of µ-law's two zeros, which no encoder makes. */
export function codeWords(law: G711Law, frames: number, seed: number): Buffer {
  const random = seededRandom(seed);
  const bytes = Buffer.alloc(frames * FRAME_BYTES);
  for (let i = 0; i < bytes.length; i++) {
    const codeWord = Math.floor(random() * 256);
    bytes[i] = law === 'mulaw' && codeWord === 0x7f ? 0x80 : codeWord;
  }
  return bytes;
}

export function decoded(law: G711Law, bytes: Uint8Array): Int16Array {
  const samples = new Int16Array(bytes.length);
  decodeG711(law, bytes, 0, bytes.length, samples, 0);
  return samples;
}

export function transcoded(from: G711Law, to: G711Law, bytes: Uint8Array): Buffer {
  const table = transcodingTable(from, to);
  return Buffer.from(bytes.map((codeWord) => table[codeWord] ?? 0));
}

export interface MarkInSpeech {
  readonly name: string;
  /** In how many bytes of speech it stands. */
  readonly atByte: number;
}

/** Says all of it four times as fast as one can listen, in pieces of odd lengths with marks between them. */
export class MarkingAgent implements Scenario {
  readonly speech: Buffer;
  readonly marks: MarkInSpeech[] = [];
  readonly echoes: { readonly name: string; readonly atMs: number }[] = [];
  readonly #random: () => number;

  constructor(law: G711Law, frames: number, seed: number) {
    this.speech = codeWords(law, frames, seed);
    this.#random = seededRandom(seed);
  }

  onOpen(session: SimulatorSession): void {
    session.start();
    this.#say(session, 0);
  }

  onMark(_session: SimulatorSession, name: string, nowMs: number): void {
    this.echoes.push({ name, atMs: nowMs });
  }

  #say(session: SimulatorSession, from: number): void {
    const to = Math.min(this.speech.length, from + 1 + Math.floor(this.#random() * 4_000));
    session.sendMedia(this.speech.subarray(from, to));
    this.#mark(session, to);
    if (to === this.speech.length) return;
    session.after((to - from) / 8 / 4, () => this.#say(session, to));
  }

  /** After most pieces one, after some none, and after some two. */
  #mark(session: SimulatorSession, atByte: number): void {
    const count = atByte === this.speech.length ? 1 : Math.floor(this.#random() * 3);
    for (let i = 0; i < count; i++) {
      const name = `mark-${this.marks.length}`;
      this.marks.push({ name, atByte });
      session.mark(name);
    }
  }
}
