/** Rows and columns of the keypad, in Hz, and their digits (ITU-T Q.23). */
const LOW_HZ = [697, 770, 852, 941] as const;
const HIGH_HZ = [1_209, 1_336, 1_477, 1_633] as const;
const KEYPAD = '123A456B789C*0#D';

/** Peaks of −9 dBm0 and −7 dBm0: the higher group is the stronger (ITU-T Q.24). A full-scale sine has +3.14 dBm0. */
const LOW_PEAK = 32_768 * 10 ** ((-9 - 3.14) / 20);
const HIGH_PEAK = 32_768 * 10 ** ((-7 - 3.14) / 20);

const RAMP_MS = 5;

/**
 * Samples `position` … `position + count` of the tone of a DTMF digit at `rateHz`. It begins with a ramp of 5 ms, and goes on
 * for as long as it is asked for. A character that is no digit is silence.
 */
export function writeDtmfTone(
  digit: string,
  rateHz: number,
  position: number,
  pcm: Int16Array,
  offset: number,
  count: number,
): void {
  const key = KEYPAD.indexOf(digit);
  const low = (2 * Math.PI * (LOW_HZ[key >> 2] ?? 0)) / rateHz;
  const high = (2 * Math.PI * (HIGH_HZ[key & 3] ?? 0)) / rateHz;
  const ramp = (RAMP_MS * rateHz) / 1_000;
  for (let i = 0; i < count; i++) {
    const n = position + i;
    const sample = key < 0 ? 0 : LOW_PEAK * Math.sin(low * n) + HIGH_PEAK * Math.sin(high * n);
    pcm[offset + i] = Math.round(Math.min(1, n / ramp) * sample);
  }
}
