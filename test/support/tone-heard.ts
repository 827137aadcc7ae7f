import type { HeardPacket } from '../../src/phone/heard-audio.js';
import { fitSine } from './signal.js';

/** A tone is heard in a packet when this much of a full-scale sine of it is. */
const AUDIBLE = 400;

/** Packets in which a tone is heard. Tones must have whole periods in 20 ms, so that none is heard in another. */
export function packetsWith(frequencyHz: number, packets: readonly HeardPacket[]): HeardPacket[] {
  return packets.filter(({ samples }) => fitSine(samples, 8_000, frequencyHz).amplitude > AUDIBLE);
}

export interface ToneQuality {
  readonly levelDbm0: number;
  readonly snrDb: number;
}

const WINDOW_MS = 200;

/**
 * Level and SNR of a tone in the middle of a recording: the median over windows of 200 ms, so that one packet that came
 * late on a busy machine does not hide what the path does to the sound.
 */
export function toneQuality(recording: Int16Array, rateHz: number, frequencyHz: number): ToneQuality {
  const length = (rateHz * WINDOW_MS) / 1_000;
  const fits = Array.from({ length: Math.floor(recording.length / length) }, (_, n) =>
    fitSine(recording.subarray(n * length, (n + 1) * length), rateHz, frequencyHz),
  ).filter(({ amplitude }) => amplitude > AUDIBLE);
  return { levelDbm0: median(fits.map((fit) => fit.levelDbm0)), snrDb: median(fits.map((fit) => fit.snrDb)) };
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value that `share` of all are not greater than. NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
