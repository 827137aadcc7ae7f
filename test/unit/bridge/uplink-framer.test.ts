import { describe, expect, it } from 'vitest';
import { isNarrowband, type StreamEncoding } from '../../../src/audio/encodings.js';
import { createFrameEncoder, FRAME_16K } from '../../../src/audio/frame-codec.js';
import { decodeG711, encodeG711, G711_SILENCE, type G711Law } from '../../../src/audio/g711.js';
import { Downsampler2x } from '../../../src/audio/resampler.js';
import { createUplinkFramer, type UplinkFramer } from '../../../src/bridge/uplink/uplink-framer.js';
import { FRAME_BYTES, type AudioFormat } from '../../../src/pranthora/protocols/protocol.js';
import { fitSine, seededRandom, tone } from '../../support/signal.js';

const ENCODINGS: readonly StreamEncoding[] = ['PCMU', 'PCMA', 'G722', 'L16'];
const BEST_SNR_DB = { G722: 45, L16: 70 } as const;
const FORMATS: readonly AudioFormat[] = ['pcm16k', 'mulaw', 'alaw'];
const LAW_OF = { PCMU: 'mulaw', PCMA: 'alaw' } as const;
const TONE = { frequencyHz: 1_004, levelDbm0: -10, durationMs: 1_000 };

const everyPair = ENCODINGS.flatMap((encoding) => FORMATS.map((format) => ({ encoding, format })));
const g711Pairs = (['PCMU', 'PCMA'] as const).flatMap((encoding) =>
  (['mulaw', 'alaw'] as const).map((law) => ({ encoding, law })),
);

const everyCodeWord = Uint8Array.from({ length: 480 }, (_, i) => i % 256);

/** A tone as RTP payloads of `encoding` carry it. */
function toneIn(encoding: StreamEncoding): Uint8Array {
  const samples = tone({ ...TONE, rateHz: isNarrowband(encoding) ? 8_000 : 16_000 });
  if (isNarrowband(encoding)) return encoded(LAW_OF[encoding], samples);
  return encoding === 'L16' ? l16(samples) : g722(samples);
}

function g722(samples: Int16Array): Uint8Array {
  const encoder = createFrameEncoder('G722');
  const bytes = new Uint8Array(samples.length / 2);
  for (let at = 0; at < samples.length; at += FRAME_16K) {
    encoder.encode(samples.subarray(at, at + FRAME_16K), bytes, at / 2);
  }
  return bytes;
}

function l16(samples: Int16Array): Uint8Array {
  const bytes = Buffer.alloc(2 * samples.length);
  samples.forEach((sample, i) => bytes.writeInt16BE(sample, 2 * i));
  return bytes;
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

/** Puts `bytes` in payloads of `ptimeMs`, none of which crosses a frame, as the uplink does; all frames in one piece. */
function framed(framer: UplinkFramer, bytes: Uint8Array, ptimeMs = 20): Buffer {
  const frames: Buffer[] = [];
  const frameSamples = 20 * framer.unitsPerMs;
  const payloadSamples = ptimeMs * framer.unitsPerMs;
  for (let from = 0; from < bytes.length / framer.bytesPerUnit; from += payloadSamples) {
    for (let done = 0; done < payloadSamples;) {
      const count = Math.min(payloadSamples - done, frameSamples - framer.filled);
      if (framer.put(count, bytes, (from + done) * framer.bytesPerUnit)) frames.push(Buffer.from(framer.frame));
      done += count;
    }
  }
  return Buffer.concat(frames);
}

const isSilence = (format: AudioFormat, frame: Buffer): boolean =>
  frame.every((byte) => byte === (format === 'pcm16k' ? 0 : G711_SILENCE[format]));

/** What the agent hears of frames in `format`. */
function heard(format: AudioFormat, frames: Buffer): { samples: Int16Array; rateHz: number } {
  if (format !== 'pcm16k') return { samples: decoded(format, frames), rateHz: 8_000 };
  return {
    samples: Int16Array.from({ length: frames.length / 2 }, (_, i) => frames.readInt16LE(2 * i)),
    rateHz: 16_000,
  };
}

describe.each(everyPair)('UplinkFramer, $encoding to $format', ({ encoding, format }) => {
  it('carries a tone as well as G.711 can, or better', () => {
    const frames = framed(createUplinkFramer(encoding, format), toneIn(encoding));
    expect(frames.length).toBe((TONE.durationMs / 20) * FRAME_BYTES[format]);
    const { samples, rateHz } = heard(format, frames);
    const fit = fitSine(samples.subarray(rateHz / 10), rateHz, TONE.frequencyHz);
    // One conversion between the laws more is another quantisation: 3 dB.
    const twice = isNarrowband(encoding) && format !== 'pcm16k' && LAW_OF[encoding] !== format;
    const isWide = !isNarrowband(encoding) && format === 'pcm16k';
    expect(fit.snrDb).toBeGreaterThan(isWide ? BEST_SNR_DB[encoding] : twice ? 34 : 36);
    expect(Math.abs(fit.levelDbm0 - TONE.levelDbm0)).toBeLessThan(0.3);
  });

  it.each([10, 30, 60])('makes the same frames of payloads of %d ms', (ptimeMs) => {
    const bytes = toneIn(encoding).subarray(0, 960 * (encoding === 'L16' ? 4 : 1));
    const whole = framed(createUplinkFramer(encoding, format), bytes);
    expect(whole.length).toBe(6 * FRAME_BYTES[format]);
    expect(Buffer.compare(framed(createUplinkFramer(encoding, format), bytes, ptimeMs), whole)).toBe(0);
  });

  it('makes the same frames of payloads cut anywhere', () => {
    const bytes = toneIn(encoding);
    const whole = framed(createUplinkFramer(encoding, format), bytes);
    const framer = createUplinkFramer(encoding, format);
    const random = seededRandom(1);
    const frames: Buffer[] = [];
    for (let done = 0; done < bytes.length / framer.bytesPerUnit;) {
      const room = 20 * framer.unitsPerMs - framer.filled;
      const count = Math.min(room, 1 + Math.floor(random() * 200));
      if (framer.put(count, bytes, done * framer.bytesPerUnit)) frames.push(Buffer.from(framer.frame));
      done += count;
    }
    expect(Buffer.compare(Buffer.concat(frames), whole)).toBe(0);
  });

  it('counts what is in the frame so far, and says when it is full', () => {
    const framer = createUplinkFramer(encoding, format);
    const step = 5 * framer.unitsPerMs;
    const full = [1, 2, 3, 4, 5].map(() => [framer.conceal(step), framer.filled / framer.unitsPerMs]);
    expect(full).toEqual([
      [false, 5],
      [false, 10],
      [false, 15],
      [true, 0],
      [false, 5],
    ]);
  });

  it('stands for what did not come with silence when nothing has been heard before', () => {
    const framer = createUplinkFramer(encoding, format);
    expect(framer.conceal(20 * framer.unitsPerMs)).toBe(true);
    expect(framer.frame.length).toBe(FRAME_BYTES[format]);
    expect(isSilence(format, framer.frame)).toBe(true);
  });

  it('goes on with what was heard, and is silent after 60 ms', () => {
    const framer = createUplinkFramer(encoding, format);
    framed(framer, toneIn(encoding));
    const concealed = [1, 2, 3, 4, 5].map(() => {
      expect(framer.conceal(20 * framer.unitsPerMs)).toBe(true);
      return Buffer.from(framer.frame);
    });
    const { samples, rateHz } = heard(format, concealed[0] ?? Buffer.alloc(0));
    const fit = fitSine(samples.subarray(0, samples.length / 2), rateHz, TONE.frequencyHz);
    expect(Math.abs(fit.levelDbm0 - TONE.levelDbm0)).toBeLessThan(1);
    expect(isSilence(format, concealed[2] ?? Buffer.alloc(0))).toBe(false);
    expect(concealed.slice(4).every((frame) => isSilence(format, frame))).toBe(true);
    expect(framer.isSilent).toBe(true);
  });

  it('is silent at once, but for a ramp, when the sender has stopped', () => {
    const framer = createUplinkFramer(encoding, format);
    framed(framer, toneIn(encoding));
    framer.stop();
    framer.conceal(20 * framer.unitsPerMs);
    const { samples, rateHz } = heard(format, framer.frame);
    const [ramp, rest] = [samples.subarray(0, rateHz / 100), samples.subarray(rateHz / 100)];
    expect(ramp.some((sample) => Math.abs(sample) > 1_000)).toBe(true);
    expect(rest.every((sample) => Math.abs(sample) <= 8)).toBe(true);
  });

  it('plays a digit', () => {
    const framer = createUplinkFramer(encoding, format);
    const step = 20 * framer.unitsPerMs;
    const frames = [0, 1, 2, 3, 4].map((n) => {
      expect(framer.play(step, { digit: '5', position: n * step })).toBe(true);
      return Buffer.from(framer.frame);
    });
    const { samples, rateHz } = heard(format, Buffer.concat(frames.slice(1)));
    expect(fitSine(samples, rateHz, 770).levelDbm0).toBeCloseTo(-9, 0);
    expect(fitSine(samples, rateHz, 1_336).levelDbm0).toBeCloseTo(-7, 0);
  });

  it('puts what came exactly where it belongs after silence', () => {
    const framer = createUplinkFramer(encoding, format);
    const bytes = toneIn(encoding);
    const half = 10 * framer.unitsPerMs;
    framer.conceal(half);
    framer.stop();
    expect(framer.put(half, bytes, 0)).toBe(true);
    const { samples } = heard(format, framer.frame);
    const quiet = samples.subarray(0, samples.length / 2);
    expect(quiet.every((sample) => Math.abs(sample) <= 8)).toBe(true);
    expect(samples.subarray(samples.length / 2).some((sample) => Math.abs(sample) > 1_000)).toBe(true);
  });
});

describe.each(g711Pairs)('UplinkFramer, every code word of $encoding to $law', ({ encoding, law }) =>
  it(LAW_OF[encoding] === law ? 'is untouched' : 'is as if it had been decoded and encoded', () => {
    const frames = framed(createUplinkFramer(encoding, law), everyCodeWord);
    const expected = LAW_OF[encoding] === law ? everyCodeWord : encoded(law, decoded(LAW_OF[encoding], everyCodeWord));
    expect(Buffer.compare(frames, expected)).toBe(0);
  }),
);

it('reads the payload where it stands in the packet', () => {
  const framer = createUplinkFramer('PCMU', 'mulaw');
  expect(framer.put(160, everyCodeWord, 12)).toBe(true);
  expect([...framer.frame]).toEqual([...everyCodeWord.subarray(12, 172)]);
});

it.each(['mulaw', 'alaw'] as const)('makes %s of L16 as if all of it had been resampled at once', (law) => {
  const samples = tone({ ...TONE, rateHz: 16_000 });
  const narrow = new Int16Array(samples.length / 2);
  new Downsampler2x().process(samples, 0, samples.length, narrow, 0);
  const frames = framed(createUplinkFramer('L16', law), l16(samples), 40);
  expect(Buffer.compare(frames, encoded(law, narrow).subarray(0, frames.length))).toBe(0);
});
