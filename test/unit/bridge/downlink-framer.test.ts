import { describe, expect, it } from 'vitest';
import { createFrameDecoder } from '../../../src/audio/frame-codec.js';
import { decodeG711, encodeG711, G711_SILENCE, type G711Law } from '../../../src/audio/g711.js';
import { PlayoutQueue } from '../../../src/audio/playout-queue.js';
import { Upsampler2x } from '../../../src/audio/resampler.js';
import { createDownlinkFramer } from '../../../src/bridge/downlink/downlink-framer.js';
import type { AudioFormat } from '../../../src/pranthora/protocols/protocol.js';
import { fitSine, tone } from '../../support/signal.js';

const ENCODINGS = ['PCMU', 'PCMA', 'L16'] as const;
type Encoding = (typeof ENCODINGS)[number];
const FORMATS: readonly AudioFormat[] = ['pcm16k', 'mulaw', 'alaw'];
const LAW_OF = { PCMU: 'mulaw', PCMA: 'alaw' } as const;
const TONE = { frequencyHz: 1_004, levelDbm0: -10, durationMs: 1_000 };

const everyPair = FORMATS.flatMap((format) => ENCODINGS.map((encoding) => ({ format, encoding })));
const g711Pairs = (['mulaw', 'alaw'] as const).flatMap((law) =>
  (['PCMU', 'PCMA'] as const).map((encoding) => ({ law, encoding })),
);
const everyCodeWord = Uint8Array.from({ length: 480 }, (_, i) => i % 256);

function queueOf(format: AudioFormat, bytes: Uint8Array): PlayoutQueue {
  const queue = new PlayoutQueue(
    format === 'pcm16k'
      ? { rateHz: 16_000, bytesPerSample: 2, maxMs: 10_000 }
      : { rateHz: 8_000, bytesPerSample: 1, maxMs: 10_000 },
  );
  queue.push(bytes);
  return queue;
}

/** A tone as the agent sends it. */
function toneIn(format: AudioFormat, durationMs = TONE.durationMs): Uint8Array {
  const samples = tone({ ...TONE, durationMs, rateHz: format === 'pcm16k' ? 16_000 : 8_000 });
  return format === 'pcm16k' ? new Uint8Array(samples.buffer) : encoded(format, samples);
}

function encoded(law: G711Law, samples: Int16Array): Uint8Array {
  const codeWords = new Uint8Array(samples.length);
  encodeG711(law, samples, 0, samples.length, codeWords, 0);
  return codeWords;
}

function decoded(law: G711Law, codeWords: Uint8Array): Int16Array {
  const samples = new Int16Array(codeWords.length);
  decodeG711(law, codeWords, 0, codeWords.length, samples, 0);
  return samples;
}

/** The payloads of `frames` ticks in one piece, and how much speech each had. */
function play(
  format: AudioFormat,
  encoding: Encoding | 'G722',
  bytes: Uint8Array,
  frames: number,
): { payloads: Buffer; speechMs: number[] } {
  const framer = createDownlinkFramer(format, encoding);
  const queue = queueOf(format, bytes);
  const payloads = Buffer.alloc(frames * framer.payloadBytes);
  const speechMs = Array.from({ length: frames }, (_, i) => framer.encode(queue, payloads, i * framer.payloadBytes));
  return { payloads, speechMs };
}

/** What the caller hears. */
function heard(encoding: Encoding, payloads: Buffer): { samples: Int16Array; rateHz: number } {
  if (encoding !== 'L16') return { samples: decoded(LAW_OF[encoding], payloads), rateHz: 8_000 };
  const samples = Int16Array.from({ length: payloads.length / 2 }, (_, i) => payloads.readInt16BE(2 * i));
  return { samples, rateHz: 16_000 };
}

const peak = (samples: Int16Array): number => samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);

describe.each(everyPair)('DownlinkFramer, $format to $encoding', ({ format, encoding }) => {
  const isWide = encoding === 'L16';

  it('carries a tone as well as G.711 can, or better', () => {
    const { payloads, speechMs } = play(format, encoding, toneIn(format), 50);
    expect(new Set(speechMs)).toEqual(new Set([20]));
    const { samples, rateHz } = heard(encoding, payloads);
    const fit = fitSine(samples.subarray(rateHz / 10), rateHz, TONE.frequencyHz);
    const twice = !isWide && format !== 'pcm16k' && LAW_OF[encoding] !== format;
    expect(fit.snrDb).toBeGreaterThan(isWide && format === 'pcm16k' ? 70 : twice ? 34 : 36);
    expect(Math.abs(fit.levelDbm0 - TONE.levelDbm0)).toBeLessThan(0.3);
  });

  it('says how large its payloads are', () => {
    const framer = createDownlinkFramer(format, encoding);
    expect([framer.unitsPerFrame, framer.payloadBytes]).toEqual(isWide ? [320, 640] : [160, 160]);
  });

  it('plays what there is of a frame, then silence, and is silent after its tail', () => {
    const framer = createDownlinkFramer(format, encoding);
    const { payloads, speechMs } = play(format, encoding, toneIn(format, 35), 3 + framer.tailFrames);
    expect(speechMs.slice(0, 3)).toEqual([20, 15, 0]);
    const { samples, rateHz } = heard(encoding, payloads);
    expect(peak(samples.subarray(0, (35 * rateHz) / 1_000))).toBeGreaterThan(5_000);
    // It is faded out for 5 ms, and resamplers hold the end of it back for 4 ms at most.
    expect(peak(samples.subarray((40 * rateHz) / 1_000))).toBeLessThan(5_000);
    expect(peak(samples.subarray((45 * rateHz) / 1_000))).toBeLessThanOrEqual(8);
    const silence = Buffer.alloc(framer.payloadBytes);
    framer.silence(silence, 0);
    expect(Buffer.compare(payloads.subarray(-framer.payloadBytes), silence)).toBe(0);
  });

  it('writes silence where it is told, and nothing else', () => {
    const framer = createDownlinkFramer(format, encoding);
    const packet = Buffer.alloc(12 + framer.payloadBytes + 3, 0xaa);
    framer.silence(packet, 12);
    const silence = isWide ? 0 : G711_SILENCE[LAW_OF[encoding]];
    expect(packet.subarray(12, -3).every((byte) => byte === silence)).toBe(true);
    expect([...packet.subarray(0, 12), ...packet.subarray(-3)].every((byte) => byte === 0xaa)).toBe(true);
    framer.encode(queueOf(format, toneIn(format)), packet, 12);
    expect([...packet.subarray(0, 12), ...packet.subarray(-3)].every((byte) => byte === 0xaa)).toBe(true);
  });

  it('has forgotten everything after a reset', () => {
    const framer = createDownlinkFramer(format, encoding);
    const fresh = createDownlinkFramer(format, encoding);
    const [used, unused] = [Buffer.alloc(framer.payloadBytes), Buffer.alloc(framer.payloadBytes)];
    framer.encode(queueOf(format, toneIn(format)), used, 0);
    framer.reset();
    framer.encode(queueOf(format, toneIn(format, 20)), used, 0);
    fresh.encode(queueOf(format, toneIn(format, 20)), unused, 0);
    expect(Buffer.compare(used, unused)).toBe(0);
  });
});

describe.each(g711Pairs)('DownlinkFramer, every code word of $law to $encoding', ({ law, encoding }) =>
  it(LAW_OF[encoding] === law ? 'is untouched' : 'is as if it had been decoded and encoded', () => {
    const { payloads, speechMs } = play(law, encoding, everyCodeWord, 3);
    const expected = LAW_OF[encoding] === law ? everyCodeWord : encoded(LAW_OF[encoding], decoded(law, everyCodeWord));
    expect(Buffer.compare(payloads, expected)).toBe(0);
    expect(speechMs).toEqual([20, 20, 20]);
  }),
);

it.each(['mulaw', 'alaw'] as const)('makes L16 of %s as if all of it had been resampled at once', (law) => {
  const codeWords = toneIn(law);
  const wide = new Int16Array(2 * codeWords.length);
  new Upsampler2x().process(decoded(law, codeWords), 0, codeWords.length, wide, 0);
  const { samples } = heard('L16', play(law, 'L16', codeWords, 50).payloads);
  expect(samples).toEqual(wide);
});

describe.each(FORMATS)('DownlinkFramer, %s to G722', (format) => {
  const heardOf = (payloads: Buffer): Int16Array => {
    const samples = new Int16Array(2 * payloads.length);
    createFrameDecoder('G722').decode(payloads, 0, payloads.length, samples, 0);
    return samples;
  };

  it('carries a tone as well as the agent’s format does', () => {
    const { payloads, speechMs } = play(format, 'G722', toneIn(format), 50);
    expect(payloads).toHaveLength(50 * 160);
    expect(new Set(speechMs)).toEqual(new Set([20]));
    const fit = fitSine(heardOf(payloads).subarray(1_600), 16_000, TONE.frequencyHz);
    expect(fit.snrDb).toBeGreaterThan(format === 'pcm16k' ? 45 : 36);
    expect(Math.abs(fit.levelDbm0 - TONE.levelDbm0)).toBeLessThan(0.3);
  });

  it('is silent after its tail, at the decoder that remembers', () => {
    const framer = createDownlinkFramer(format, 'G722');
    const { payloads, speechMs } = play(format, 'G722', toneIn(format, 35), 10);
    expect(speechMs.slice(0, 3)).toEqual([20, 15, 0]);
    expect(peak(heardOf(payloads).subarray(320 * (2 + framer.tailFrames)))).toBeLessThanOrEqual(8);
  });

  it('has dropped what was to be said at a reset', () => {
    const framer = createDownlinkFramer(format, 'G722');
    const payloads = Buffer.alloc(2 * framer.payloadBytes);
    framer.encode(queueOf(format, toneIn(format)), payloads, 0);
    framer.reset();
    framer.silence(payloads, framer.payloadBytes);
    // The codec's own settling; the end of the filters alone would be 3,000.
    expect(peak(heardOf(payloads).subarray(320 + 22))).toBeLessThan(300);
  });
});
