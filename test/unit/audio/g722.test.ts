import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { G722Decoder, G722Encoder } from '../../../src/audio/g722.js';
import { fitSine, levelDbm0, seededRandom, tone } from '../../support/signal.js';
import { speechLikeNoise } from '../../support/wire-audio.js';

const octetsOf = (name: string): Uint8Array => readFileSync(new URL(`../../fixtures/g722/${name}`, import.meta.url));

function samplesOf(name: string): Int16Array {
  // Copied: what is read may share its buffer with others, at an odd offset.
  return new Int16Array(Uint8Array.from(octetsOf(name)).buffer);
}

function encode(pcm: Int16Array, encoder = new G722Encoder()): Uint8Array {
  const octets = new Uint8Array(pcm.length / 2);
  encoder.encode(pcm, 0, octets.length, octets, 0);
  return octets;
}

function decode(octets: Uint8Array, decoder = new G722Decoder()): Int16Array {
  const pcm = new Int16Array(2 * octets.length);
  decoder.decode(octets, 0, octets.length, pcm, 0);
  return pcm;
}

const bytesOf = (samples: Int16Array | Uint8Array): Buffer =>
  Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength);

const sha256 = (samples: Int16Array | Uint8Array): string =>
  createHash('sha256').update(bytesOf(samples)).digest('hex');

describe('bit for bit like the ITU-T’s own implementation', () => {
  it('encodes speech, tones, what is too loud, and silence', () =>
    expect(Buffer.compare(encode(samplesOf('input.s16')), octetsOf('encoded.g722'))).toBe(0));

  it.each(['encoded', 'random'])('decodes it: %s', (name) => {
    const expected = name === 'encoded' ? 'decoded.s16' : 'random.s16';
    expect(Buffer.compare(bytesOf(decode(octetsOf(`${name}.g722`))), octetsOf(expected))).toBe(0);
  });

  it('encodes and decodes 40 s of noise that fills 16 bits', () => {
    const random = seededRandom(1_988);
    const octets = encode(Int16Array.from({ length: 640_000 }, () => Math.floor(65_536 * random()) - 32_768));
    expect(sha256(octets)).toBe('c87631791efa4c0cc974da325c33c2d16e48bc799844fdea68ae54709617c44d');
    expect(sha256(decode(octets))).toBe('e68a13d15ad86f8ab2bfde73d696b04cef8f243045544544a78b25b4575df523');
  });

  it('encodes and decodes 20 s of jumps from one end of 16 bits to the other', () => {
    const octets = encode(jumps(320_000));
    expect(sha256(octets)).toBe('ba0bd0b026b6ce2d4f4d2f7de7a8f52e1cef63259ada4125335ec231002a7df1');
    expect(sha256(decode(octets))).toBe('1ab7e197067abd7179ff8a1321ac48b11a2c986ad5888314a53de15716888c41');
  });

  it('decodes a minute of octets that no encoder made', () => {
    const random = seededRandom(64);
    const octets = Uint8Array.from({ length: 500_000 }, () => Math.floor(256 * random()));
    expect(sha256(decode(octets))).toBe('1a0d30cb7eab67880291f2625b5a231321e9f23d44d6beea33af7a8dfc459954');
  });

  it('decodes a minute of octets that repeat to drive the state to its ends', () =>
    expect(sha256(decode(repetitions(500_000)))).toBe(
      '0cf18be82d3fd0f06fff39ea7a03ec302e0aab11465e91d24ec264a2bb9ed61f',
    ));
});

function jumps(length: number): Int16Array {
  const random = seededRandom(2_012);
  let left = 0;
  let value = 0;
  return Int16Array.from({ length }, () => {
    if (left-- <= 0) {
      left = Math.floor(200 * random());
      value = random() < 0.5 ? 32_767 : -32_768;
    }
    return value;
  });
}

function repetitions(length: number): Uint8Array {
  const random = seededRandom(65);
  let left = 0;
  let pair = [0, 0];
  return Uint8Array.from({ length }, (_, n) => {
    if (left-- <= 0) {
      left = Math.floor(3_000 * random());
      pair = [Math.floor(256 * random()), Math.floor(256 * random())];
    }
    return pair[1 - (n % 2)] ?? 0;
  });
}

describe('what is said and heard', () => {
  it.each([
    { frequencyHz: 100, snrDb: 40 },
    { frequencyHz: 1_020, snrDb: 40 },
    { frequencyHz: 3_000, snrDb: 35 },
    { frequencyHz: 5_000, snrDb: 18 },
    { frequencyHz: 6_000, snrDb: 18 },
    { frequencyHz: 7_000, snrDb: 18 },
  ])('is $frequencyHz Hz at its level, at least $snrDb dB above what the codec adds', ({ frequencyHz, snrDb }) => {
    const heard = decode(encode(tone({ rateHz: 16_000, frequencyHz, levelDbm0: -10, durationMs: 1_000 })));
    const fit = fitSine(heard.subarray(1_600), 16_000, frequencyHz);
    expect(Math.abs(fit.levelDbm0 + 10)).toBeLessThan(0.5);
    expect(fit.snrDb).toBeGreaterThan(snrDb);
  });

  it('is 22 samples late: 1.4 ms in the filters of both', () => {
    const said = speechLikeNoise(200, 3);
    const heard = decode(encode(said));
    const likeness = Array.from({ length: 40 }, (_, lag) =>
      said.subarray(320, 2_880).reduce((sum, sample, n) => sum + sample * (heard[320 + n + lag] ?? 0), 0),
    );
    expect(likeness.indexOf(Math.max(...likeness))).toBe(22);
  });

  it('is nothing when nothing is said', () =>
    expect(levelDbm0(decode(encode(new Int16Array(16_000))))).toBeLessThan(-65));
});

describe('a stream', () => {
  const input = speechLikeNoise(400, 1);
  const octets = encode(input);

  it.each([1, 80, 159, 160, 161, 500])('is the same stream in pieces of %d octets', (piece) => {
    const encoder = new G722Encoder();
    const decoder = new G722Decoder();
    const encoded = new Uint8Array(octets.length);
    const decoded = new Int16Array(input.length);
    for (let at = 0; at < octets.length; at += piece) {
      const count = Math.min(piece, octets.length - at);
      encoder.encode(input, 2 * at, count, encoded, at);
      decoder.decode(encoded, at, count, decoded, 2 * at);
    }
    expect(Buffer.compare(encoded, octets)).toBe(0);
    expect(Buffer.compare(bytesOf(decoded), bytesOf(decode(octets)))).toBe(0);
  });

  it('is written where it belongs and nowhere else', () => {
    const out = new Uint8Array(20).fill(0xaa);
    new G722Encoder().encode(input, 2, 10, out, 5);
    expect([...out.subarray(0, 5), ...out.subarray(15)].every((octet) => octet === 0xaa)).toBe(true);
    const pcm = new Int16Array(30).fill(77);
    const decoder = new G722Decoder();
    decoder.decode(out, 5, 6, pcm, 3);
    decoder.silence(4, pcm, 15);
    expect([...pcm.subarray(0, 3), ...pcm.subarray(23)].every((sample) => sample === 77)).toBe(true);
  });

  it('goes on in step with the decoder after what was pending has been dropped', () => {
    const encoder = new G722Encoder();
    const decoder = new G722Decoder();
    decode(encode(input, encoder), decoder);
    encoder.dropPending();
    const said = tone({ rateHz: 16_000, frequencyHz: 1_020, levelDbm0: -10, durationMs: 200 });
    const heard = decode(encode(said, encoder), decoder);
    expect(fitSine(heard.subarray(160), 16_000, 1_020).snrDb).toBeGreaterThan(38);
  });
});

describe('a gap', () => {
  const said = speechLikeNoise(2_000, 2);
  const octets = encode(said);
  const unbroken = decode(octets);
  const AT = 8_000;

  /** What is heard when `missing` octets do not come: first instead of them, then afterwards. */
  function withGap(missing: number): { gap: Int16Array; after: Int16Array } {
    const decoder = new G722Decoder();
    decode(octets.subarray(0, AT), decoder);
    const gap = new Int16Array(2 * missing);
    for (let at = 0; at < missing; at += 80) decoder.silence(80, gap, 2 * at);
    return { gap, after: decode(octets.subarray(AT + missing), decoder) };
  }

  /** Power of what should have been heard over that of the difference. */
  function snrDb(after: Int16Array, missing: number, fromMs: number): number {
    const expected = unbroken.subarray(2 * (AT + missing) + 16 * fromMs);
    const actual = after.subarray(16 * fromMs);
    let signal = 0;
    let noise = 0;
    expected.forEach((sample, n) => {
      signal += sample ** 2;
      noise += (sample - (actual[n] ?? 0)) ** 2;
    });
    return 10 * Math.log10(signal / noise);
  }

  it('is silent after the end of what came before', () => {
    const { gap } = withGap(480);
    expect(gap.subarray(0, 22).some((sample) => sample !== 0)).toBe(true);
    expect(gap.subarray(22).every((sample) => sample === 0)).toBe(true);
  });

  it.each([80, 160, 320, 480, 1_600, 5_600])('of %d octets is forgotten in 100 ms', (missing) =>
    expect(snrDb(withGap(missing).after, missing, 100)).toBeGreaterThan(20),
  );

  it.each([160, 480, 1_600])('of %d octets is followed by nothing louder than speech is', (missing) => {
    const loudest = (samples: Int16Array): number => Math.max(...samples.map(Math.abs));
    expect(loudest(withGap(missing).after)).toBeLessThan(1.3 * loudest(unbroken));
  });

  it('longer than two packets begins the stream anew', () => {
    const { after } = withGap(400);
    const decoder = new G722Decoder();
    const anew = decode(octets.subarray(AT + 400), decoder);
    expect(Buffer.compare(bytesOf(after), bytesOf(anew))).toBe(0);
  });
});
