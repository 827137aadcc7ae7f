/** What the simulated agent's audio is made of (guide: linear 16-bit little-endian PCM, mono). */
export const AGENT_RATE_HZ = 16_000;
const BYTES_PER_SAMPLE = 2;
const FADE_SAMPLES = AGENT_RATE_HZ / 100;

/** What the named scenarios say, as 16 kHz samples. */
export interface Speech {
  readonly greeting: Int16Array;
  /** Long enough to be interrupted. */
  readonly talk: Int16Array;
  /** The answer after an interruption or a question. */
  readonly reply: Int16Array;
  readonly farewell: Int16Array;
}

/** Speech for those who bring none: a tone of its own for each utterance, so that a recording tells them apart. */
export function toneSpeech(): Speech {
  return {
    greeting: tone(440, 1_000),
    talk: tone(600, 20_000),
    reply: tone(1_000, 1_500),
    farewell: tone(800, 1_000),
  };
}

/** A sine faded in and out over 10 ms. `amplitude` 8192 is -12 dBFS. */
export function tone(frequencyHz: number, durationMs: number, amplitude = 8_192): Int16Array {
  const samples = new Int16Array((durationMs * AGENT_RATE_HZ) / 1_000);
  for (let i = 0; i < samples.length; i++) {
    const fade = Math.min(1, i / FADE_SAMPLES, (samples.length - 1 - i) / FADE_SAMPLES);
    samples[i] = Math.round(amplitude * fade * Math.sin((2 * Math.PI * frequencyHz * i) / AGENT_RATE_HZ));
  }
  return samples;
}

/** Samples as they go over the WebSocket. */
export function pcmBytes(samples: Int16Array): Buffer {
  const bytes = Buffer.allocUnsafe(samples.length * BYTES_PER_SAMPLE);
  samples.forEach((sample, index) => bytes.writeInt16LE(sample, index * BYTES_PER_SAMPLE));
  return bytes;
}

/** The whole samples in `bytes`. */
export function pcmSamples(bytes: Buffer): Int16Array {
  const samples = new Int16Array(Math.floor(bytes.length / BYTES_PER_SAMPLE));
  for (let i = 0; i < samples.length; i++) samples[i] = bytes.readInt16LE(i * BYTES_PER_SAMPLE);
  return samples;
}

export function durationMs(byteLength: number): number {
  return (byteLength / BYTES_PER_SAMPLE / AGENT_RATE_HZ) * 1_000;
}

/** Root mean square against a full-scale square wave; -Infinity for silence. */
export function levelDbfs(samples: Int16Array): number {
  let energy = 0;
  for (const sample of samples) energy += sample * sample;
  return 10 * Math.log10(energy / Math.max(1, samples.length) / 32_768 ** 2);
}
