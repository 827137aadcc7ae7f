import { decodeG711, encodeG711, type G711Law } from '../../src/audio/g711.js';
import { Downsampler2x, Upsampler2x } from '../../src/audio/resampler.js';
import { seededRandom } from './signal.js';

/** Samples of 20 ms at 8 kHz (RTP) and at 16 kHz (the agent's WebSocket). */
export const PACKET_SAMPLES = 160;
export const FRAME_SAMPLES = 320;

/** The filter's tail is played after an utterance: two packets, of which the second is silence already. */
const TAIL_PACKETS = 2;

/** What comes out when samples are encoded and decoded again. */
export function throughG711(law: G711Law, samples: Int16Array): Int16Array {
  const codeWords = new Uint8Array(samples.length);
  const decoded = new Int16Array(samples.length);
  encodeG711(law, samples, 0, samples.length, codeWords, 0);
  decodeG711(law, codeWords, 0, samples.length, decoded, 0);
  return decoded;
}

/** What a caller has to hear of an utterance (16 kHz), packet by packet: resampled in one piece, then encoded. */
export function downlinkReference(law: G711Law, utterance: Int16Array): Int16Array[] {
  const packets = Math.ceil(utterance.length / FRAME_SAMPLES) + TAIL_PACKETS;
  const padded = new Int16Array(packets * FRAME_SAMPLES);
  padded.set(utterance);
  const resampled = new Int16Array(packets * PACKET_SAMPLES);
  new Downsampler2x().process(padded, 0, padded.length, resampled, 0);
  const heard = throughG711(law, resampled);
  return Array.from({ length: packets }, (_, n) => heard.subarray(n * PACKET_SAMPLES, (n + 1) * PACKET_SAMPLES));
}

/** What an agent has to hear of what a caller says (8 kHz): encoded, then resampled in one piece. */
export function uplinkReference(law: G711Law, said: Int16Array): Int16Array {
  const resampled = new Int16Array(2 * said.length);
  new Upsampler2x().process(throughG711(law, said), 0, said.length, resampled, 0);
  return resampled;
}

/** Noise as loud and as uneven as speech, 16 kHz: no two stretches of it are alike. Ends as speech does, in silence. */
export function speechLikeNoise(durationMs: number, seed: number): Int16Array {
  const random = seededRandom(seed);
  const syllablesPerSample = 4 / 16_000;
  return endingInSilence(
    Int16Array.from({ length: durationMs * 16 }, (_, n) =>
      Math.round((2 * random() - 1) * (1_000 + 9_000 * Math.abs(Math.cos(Math.PI * n * syllablesPerSample)))),
    ),
  );
}

/** The same with 5 ms of silence at its end (16 kHz): the bridge fades out what breaks off in the middle of a sound. */
export function endingInSilence(samples: Int16Array): Int16Array {
  return samples.slice().fill(0, Math.max(0, samples.length - 80));
}

/** How much of one utterance was heard, in packets. */
export interface HeardUtterance {
  /** Index of its first packet; where it would have been, when nothing of it was heard. */
  readonly first: number;
  readonly packets: number;
  /** All of it was heard. */
  readonly complete: boolean;
}

/** Speech that is broken off fades in 5 ms, and what follows rises in 5; filters make 10 ms of it, 80 samples. */
const EDGE_SAMPLES = 80;

/**
 * Reads a stream of packets as what it should be: silence, and utterances in order, each from its first packet on and
 * without a hole, until it is complete or broken off for good, which may show in the first 10 ms of the packet after it.
 * Throws at the first packet that is anything else.
 */
export function followSpeech(
  law: G711Law,
  stream: readonly Int16Array[],
  utterances: readonly (readonly Int16Array[])[],
): HeardUtterance[] {
  const heard: HeardUtterance[] = [];
  const silence = throughG711(law, new Int16Array(PACKET_SAMPLES));
  let at = 0;
  let wasBrokenOff = false;
  for (const utterance of utterances) {
    if (wasBrokenOff && isSame(stream[at], silence, EDGE_SAMPLES)) at++;
    while (isSame(stream[at], silence)) at++;
    const first = at;
    const edge = wasBrokenOff ? EDGE_SAMPLES : 0;
    while (at - first < utterance.length && isSame(stream[at], utterance[at - first], at === first ? edge : 0)) at++;
    const complete = at - first === utterance.length;
    wasBrokenOff = !complete && (at > first || wasBrokenOff);
    heard.push({ first, packets: at - first, complete });
  }
  if (wasBrokenOff && isSame(stream[at], silence, EDGE_SAMPLES)) at++;
  while (isSame(stream[at], silence)) at++;
  if (at < stream.length)
    throw new Error(`Packet ${at} of ${stream.length} is neither speech in its place nor silence`);
  return heard;
}

function isSame(packet: Int16Array | undefined, expected: Int16Array | undefined, from = 0): boolean {
  if (!packet || !expected) return false;
  return firstDifference(packet.subarray(from), expected.subarray(from)) === undefined;
}

/** Index of the first sample that is not equal, or that only one of them has. */
export function firstDifference(actual: Int16Array, expected: Int16Array): number | undefined {
  const length = Math.max(actual.length, expected.length);
  for (let n = 0; n < length; n++) if (actual[n] !== expected[n]) return n;
  return undefined;
}

/** The 20 ms frame a recording of an agent's (16 kHz) is silent up to; its length when there is nothing else. */
export function firstSoundFrame(recording: Int16Array): number {
  const at = recording.findIndex((sample) => sample !== 0);
  return Math.floor((at < 0 ? recording.length : at) / FRAME_SAMPLES);
}

export function concatenated(parts: readonly Int16Array[]): Int16Array {
  const whole = new Int16Array(parts.reduce((length, part) => length + part.length, 0));
  parts.reduce((at, part) => {
    whole.set(part, at);
    return at + part.length;
  }, 0);
  return whole;
}
