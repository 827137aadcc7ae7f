import { fileURLToPath } from 'node:url';
import { everySecond } from '../../phone/audio-measure.js';
import { readWav } from '../../phone/wav.js';

/** The package's own copy: the same place from `src/cli/demo` and from `dist/cli/demo`. */
const FOLDER = new URL('../../../config/demo/', import.meta.url);

export const AGENT_RATE_HZ = 16_000;
export const CALLER_RATE_HZ = 8_000;

/** What is said in the demo, 16 kHz, limited to the telephone band. */
export interface DemoSpeech {
  readonly greeting: Int16Array;
  readonly question: Int16Array;
  readonly answer: Int16Array;
  readonly interruption: Int16Array;
  readonly reply: Int16Array;
}

export function readDemoSpeech(): DemoSpeech {
  const read = (name: string): Int16Array => readWav(fileURLToPath(new URL(`${name}.wav`, FOLDER)), AGENT_RATE_HZ);
  return {
    greeting: read('agent-greeting'),
    question: read('caller-question'),
    answer: read('agent-answer'),
    interruption: read('caller-interruption'),
    reply: read('agent-reply'),
  };
}

/** The same at the telephone's rate. Exact without a filter, for the speech has nothing above 3.4 kHz. */
export function atTelephoneRate(samples: Int16Array, first: 0 | 1 = 0): Int16Array {
  return everySecond(samples, first);
}
