import { describe, expect, it } from 'vitest';
import type { StreamEncoding } from '../../../src/audio/encodings.js';
import {
  createFrameDecoder,
  createFrameEncoder,
  FRAME_16K,
  type FrameEncoder,
} from '../../../src/audio/frame-codec.js';
import { decodeG711, encodeG711, G711_SILENCE } from '../../../src/audio/g711.js';
import { Downsampler2x, Upsampler2x } from '../../../src/audio/resampler.js';
import { fitSine, seededRandom, tone } from '../../support/signal.js';

const G711 = [
  { encoding: 'PCMU', law: 'mulaw' },
  { encoding: 'PCMA', law: 'alaw' },
] as const;
const ENCODINGS = ['PCMU', 'PCMA', 'G722', 'L16'] as const;
/** Decibels by which each of them carries a tone better than what it adds. */
const SNR_DB = { PCMU: 36, PCMA: 36, G722: 45, L16: 75 } as const;
const EVERY_SAMPLE = Int16Array.from({ length: 65_536 }, (_, i) => i - 32_768);

const speech16k = (durationMs: number): Int16Array =>
  tone({ rateHz: 16_000, frequencyHz: 1_004, levelDbm0: -10, durationMs });

/** Whole frames of `pcm`, through an encoder made for them, as one run of payload bytes. */
function encode(encoding: StreamEncoding, pcm: Int16Array): Uint8Array {
  const encoder = createFrameEncoder(encoding);
  const frames = pcm.length / FRAME_16K;
  const payloads = new Uint8Array(frames * encoder.payloadBytes);
  for (let i = 0; i < frames; i++) {
    encoder.encode(pcm.subarray(i * FRAME_16K, (i + 1) * FRAME_16K), payloads, i * encoder.payloadBytes);
  }
  return payloads;
}

/** All of `bytes`, `count` timestamp units at a time. */
function decode(encoding: StreamEncoding, bytes: Uint8Array, count: number): Int16Array {
  const decoder = createFrameDecoder(encoding);
  const ratio = 16 / decoder.unitsPerMs;
  const units = bytes.length / decoder.bytesPerUnit;
  const pcm = new Int16Array(units * ratio);
  for (let done = 0; done < units; done += count) {
    decoder.decode(bytes, done * decoder.bytesPerUnit, Math.min(count, units - done), pcm, done * ratio);
  }
  return pcm;
}

describe('what 20 ms are', () => {
  it.each([
    { encoding: 'PCMU', unitsPerMs: 8, bytesPerUnit: 1, unitsPerFrame: 160, payloadBytes: 160 },
    { encoding: 'PCMA', unitsPerMs: 8, bytesPerUnit: 1, unitsPerFrame: 160, payloadBytes: 160 },
    { encoding: 'G722', unitsPerMs: 8, bytesPerUnit: 1, unitsPerFrame: 160, payloadBytes: 160 },
    { encoding: 'L16', unitsPerMs: 16, bytesPerUnit: 2, unitsPerFrame: 320, payloadBytes: 640 },
  ] as const)('in $encoding', ({ encoding, unitsPerMs, bytesPerUnit, unitsPerFrame, payloadBytes }) => {
    const decoder = createFrameDecoder(encoding);
    expect([decoder.unitsPerMs, decoder.bytesPerUnit]).toEqual([unitsPerMs, bytesPerUnit]);
    const encoder = createFrameEncoder(encoding);
    expect([encoder.unitsPerFrame, encoder.payloadBytes]).toEqual([unitsPerFrame, payloadBytes]);
    // Both sides agree on it.
    expect(encoder.unitsPerFrame).toBe(20 * decoder.unitsPerMs);
    expect(encoder.payloadBytes).toBe(encoder.unitsPerFrame * decoder.bytesPerUnit);
  });
});

describe.each(G711)('$encoding', ({ encoding, law }) => {
  const codeWords = new Uint8Array(8_000);
  encodeG711(
    law,
    tone({ rateHz: 8_000, frequencyHz: 1_004, levelDbm0: -10, durationMs: 1_000 }),
    0,
    8_000,
    codeWords,
    0,
  );

  it.each([1, 80, 160, 237, 1_600, 8_000])('decodes like the law and one resampler: %d samples at a time', (count) => {
    const pcm8k = new Int16Array(8_000);
    decodeG711(law, codeWords, 0, 8_000, pcm8k, 0);
    const expected = new Int16Array(16_000);
    new Upsampler2x().process(pcm8k, 0, 8_000, expected, 0);
    expect(Buffer.compare(bytesOf(decode(encoding, codeWords, count)), bytesOf(expected))).toBe(0);
  });

  it('encodes like one resampler and the law', () => {
    const pcm = speech16k(1_000);
    const pcm8k = new Int16Array(8_000);
    new Downsampler2x().process(pcm, 0, pcm.length, pcm8k, 0);
    const expected = new Uint8Array(8_000);
    encodeG711(law, pcm8k, 0, 8_000, expected, 0);
    expect(Buffer.compare(encode(encoding, pcm), expected)).toBe(0);
  });

  it('decodes silence as if it had come as silence, the end of what was before included', () => {
    const first = createFrameDecoder(encoding);
    const second = createFrameDecoder(encoding);
    const zeros = new Int16Array(160);
    const silence = new Uint8Array(160);
    encodeG711(law, zeros, 0, 160, silence, 0);
    const [given, made] = [new Int16Array(640), new Int16Array(640)];
    for (const [decoder, pcm] of [
      [first, given],
      [second, made],
    ] as const) {
      decoder.decode(codeWords, 0, 160, pcm, 0);
    }
    first.decode(silence, 0, 160, given, 320);
    second.silence(160, made, 320);
    // A-law has no zero: what it calls silence is 8 of 32,768.
    const tolerance = law === 'alaw' ? 16 : 0;
    expect(Math.max(...made.map((sample, i) => Math.abs(sample - (given[i] ?? 0))))).toBeLessThanOrEqual(tolerance);
    expect(made.subarray(320, 330).some((sample) => Math.abs(sample) > 100)).toBe(true);
    expect(made.subarray(-100).every((sample) => sample === 0)).toBe(true);
  });

  it('has said all of its speech after `tailFrames` of silence', () => {
    const encoder = createFrameEncoder(encoding);
    const loud = new Int16Array(FRAME_16K).fill(20_000);
    const silentFrames = [];
    const payload = new Uint8Array(encoder.payloadBytes);
    encoder.encode(loud, payload, 0);
    for (let i = 0; i < encoder.tailFrames + 2; i++) {
      encoder.encode(new Int16Array(FRAME_16K), payload, 0);
      silentFrames.push(payload.every((codeWord) => codeWord === G711_SILENCE[law]));
    }
    expect(silentFrames[0]).toBe(false);
    expect(silentFrames.slice(encoder.tailFrames)).toEqual([true, true]);
  });

  it('forgets what was before a reset', () => {
    const encoder = createFrameEncoder(encoding);
    const payload = new Uint8Array(encoder.payloadBytes);
    encoder.encode(new Int16Array(FRAME_16K).fill(20_000), payload, 0);
    encoder.reset();
    encoder.encode(speech16k(20), payload, 0);
    expect(payload).toEqual(encode(encoding, speech16k(20)));
  });
});

describe('L16', () => {
  it('is 16 bits in network byte order', () => {
    const pcm = new Int16Array(FRAME_16K);
    pcm.set([0x0102, -2, 32_767, -32_768, 0, -1]);
    expect([...encode('L16', pcm).subarray(0, 12)]).toEqual([1, 2, 0xff, 0xfe, 0x7f, 0xff, 0x80, 0, 0, 0, 0xff, 0xff]);
    expect([...decode('L16', Uint8Array.of(1, 2, 0xff, 0xfe, 0x80, 0), 1)]).toEqual([0x0102, -2, -32_768]);
  });

  it('carries every sample unchanged', () => {
    const padded = new Int16Array(Math.ceil(EVERY_SAMPLE.length / FRAME_16K) * FRAME_16K);
    padded.set(EVERY_SAMPLE);
    const bytes = encode('L16', padded);
    for (const count of [1, 317, 320, 3_200]) {
      expect(Buffer.compare(bytesOf(decode('L16', bytes, count)), bytesOf(padded))).toBe(0);
    }
  });

  it('has no memory: silence is zeros at once, whatever came before', () => {
    const encoder = createFrameEncoder('L16');
    const payload = new Uint8Array(640);
    encoder.encode(new Int16Array(FRAME_16K).fill(20_000), payload, 0);
    encoder.encode(new Int16Array(FRAME_16K), payload, 0);
    expect(payload.every((byte) => byte === 0)).toBe(true);
    expect(encoder.tailFrames).toBe(0);
    const decoder = createFrameDecoder('L16');
    const pcm = new Int16Array(2).fill(7);
    decoder.decode(Uint8Array.of(1, 2), 0, 1, pcm, 0);
    decoder.silence(1, pcm, 1);
    expect([...pcm]).toEqual([0x0102, 0]);
  });

  it('is read from any offset, odd ones as well', () => {
    const pcm = new Int16Array(4);
    createFrameDecoder('L16').decode(Uint8Array.of(9, 9, 9, 0x12, 0x34, 0x56, 0x78, 9), 3, 2, pcm, 1);
    expect([...pcm]).toEqual([0, 0x1234, 0x5678, 0]);
  });
});

describe('G722', () => {
  /** A frame of speech, then frames of silence as `silence` writes them, as they are heard. */
  function heardAfter(write: (encoder: FrameEncoder, payload: Uint8Array) => void, frames: number): Int16Array {
    const encoder = createFrameEncoder('G722');
    const payloads = new Uint8Array((1 + frames) * encoder.payloadBytes);
    encoder.encode(speech16k(20), payloads, 0);
    for (let i = 1; i <= frames; i++) write(encoder, payloads.subarray(i * encoder.payloadBytes));
    return decode('G722', payloads, 160).subarray(FRAME_16K);
  }

  it('writes silence that the decoder, which remembers what was before, hears as silence', () => {
    const heard = heardAfter((encoder, payload) => encoder.silence(payload, 0), 10);
    expect(Math.max(...heard.subarray(2 * FRAME_16K).map(Math.abs))).toBeLessThanOrEqual(8);
  });

  it('lets nothing more be heard after a reset but what the decoder remembers', () => {
    const heard = heardAfter((encoder, payload) => {
      encoder.reset();
      encoder.silence(payload, 0);
    }, 1);
    expect(Math.max(...heard.subarray(160).map(Math.abs))).toBeLessThan(200);
  });

  it('has said all of its speech after `tailFrames` of silence', () => {
    const encoder = createFrameEncoder('G722');
    expect(encoder.tailFrames).toBe(1);
    const payload = new Uint8Array(encoder.payloadBytes);
    encoder.encode(new Int16Array(FRAME_16K).fill(20_000, -10), payload, 0);
    const decoder = createFrameDecoder('G722');
    const pcm = new Int16Array(FRAME_16K);
    decoder.decode(payload, 0, 160, pcm, 0);
    expect(Math.max(...pcm)).toBeLessThan(2_000);
    encoder.silence(payload, 0);
    decoder.decode(payload, 0, 160, pcm, 0);
    expect(Math.max(...pcm)).toBeGreaterThan(10_000);
  });

  it('is silent for as long as nothing comes, after the end of what did', () => {
    const decoder = createFrameDecoder('G722');
    const pcm = new Int16Array(FRAME_16K);
    decoder.decode(encode('G722', speech16k(20)), 0, 160, pcm, 0);
    decoder.silence(160, pcm, 0);
    expect(pcm.subarray(0, 22).some((sample) => Math.abs(sample) > 1_000)).toBe(true);
    expect(pcm.subarray(22).every((sample) => sample === 0)).toBe(true);
  });
});

describe.each(ENCODINGS)('%s, there and back', (encoding) => {
  it('carries a tone as well as it can', () => {
    const heard = decode(encoding, encode(encoding, speech16k(1_000)), 160).subarray(1_600);
    const { snrDb, levelDbm0 } = fitSine(heard, 16_000, 1_004);
    expect(snrDb).toBeGreaterThan(SNR_DB[encoding]);
    expect(Math.abs(levelDbm0 + 10)).toBeLessThan(0.1);
  });

  it('writes its payload at the offset and nowhere else, speech and silence', () => {
    const encoder = createFrameEncoder(encoding);
    const random = seededRandom(8);
    const noise = Int16Array.from({ length: FRAME_16K }, () => random() * 30_000 - 15_000);
    for (const write of [
      (bytes: Uint8Array): void => encoder.encode(noise, bytes, 12),
      (bytes: Uint8Array): void => encoder.silence(bytes, 12),
    ]) {
      const packet = new Uint8Array(12 + encoder.payloadBytes + 5).fill(0xaa);
      write(packet);
      expect([...packet.subarray(0, 12), ...packet.subarray(-5)].every((byte) => byte === 0xaa)).toBe(true);
      expect(packet.subarray(12, -5).some((byte) => byte !== 0xaa)).toBe(true);
    }
  });

  it('calls silence what a listener hears as silence', () => {
    const payload = new Uint8Array(createFrameEncoder(encoding).payloadBytes);
    createFrameEncoder(encoding).silence(payload, 0);
    expect(decode(encoding, payload, 160).every((sample) => Math.abs(sample) <= 16)).toBe(true);
    const encoded = new Uint8Array(payload.length);
    createFrameEncoder(encoding).encode(new Int16Array(FRAME_16K), encoded, 0);
    expect(encoded).toEqual(payload);
  });

  it('decodes as many samples as it says, and no more', () => {
    const decoder = createFrameDecoder(encoding);
    const ratio = 16 / decoder.unitsPerMs;
    const bytes = new Uint8Array(100).fill(0x55);
    const pcm = new Int16Array(20 * ratio + 4).fill(77);
    decoder.decode(bytes, 0, 10, pcm, 2);
    decoder.silence(10, pcm, 2 + 10 * ratio);
    expect([pcm[0], pcm[1], pcm.at(-2), pcm.at(-1)]).toEqual([77, 77, 77, 77]);
    expect(pcm.subarray(2, -2).includes(77)).toBe(false);
  });
});

function bytesOf(samples: Int16Array): Uint8Array {
  return new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
}
