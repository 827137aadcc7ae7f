import { G722Decoder, G722Encoder } from '../../audio/g722.js';
import type { Clock } from '../../clock.js';
import { readDemoSpeech } from '../demo/speech.js';

const FRAME_MS = 20;
const FRAME_OCTETS = 160;
const FRAME_SAMPLES = 320;
const RUN_MS = 300;

/** What a G.722 call takes of one core for its codec, both ways, in percent: of speech, in this process. */
export function g722Percent(clock: Clock): number {
  run(clock);
  return run(clock);
}

function run(clock: Clock): number {
  const { question } = readDemoSpeech();
  const frames = Math.floor(question.length / FRAME_SAMPLES);
  const encoder = new G722Encoder();
  const decoder = new G722Decoder();
  const octets = new Uint8Array(FRAME_OCTETS);
  const samples = new Int16Array(FRAME_SAMPLES);
  const startedAtMs = clock.nowMs();
  let elapsedMs = 0;
  let coded = 0;
  for (; elapsedMs < RUN_MS; coded += frames) {
    for (let frame = 0; frame < frames; frame++) {
      encoder.encode(question, frame * FRAME_SAMPLES, FRAME_OCTETS, octets, 0);
      decoder.decode(octets, 0, FRAME_OCTETS, samples, 0);
    }
    elapsedMs = clock.nowMs() - startedAtMs;
  }
  return (100 * elapsedMs) / coded / FRAME_MS;
}
