import alawmulaw from 'alawmulaw';
import { describe, expect, it } from 'vitest';
import { decodeG711, encodeG711, G711_SILENCE, transcodingTable, type G711Law } from '../../../src/audio/g711.js';
import { fitSine, tone } from '../../support/signal.js';

const LAWS: G711Law[] = ['mulaw', 'alaw'];
const EVERY_SAMPLE = Int16Array.from({ length: 65_536 }, (_, i) => i - 32_768);
const EVERY_CODE_WORD = Uint8Array.from({ length: 256 }, (_, i) => i);

function encode(law: G711Law, samples: Int16Array): Uint8Array {
  const output = new Uint8Array(samples.length);
  encodeG711(law, samples, 0, samples.length, output, 0);
  return output;
}

function decode(law: G711Law, codeWords: Uint8Array): Int16Array {
  const output = new Int16Array(codeWords.length);
  decodeG711(law, codeWords, 0, codeWords.length, output, 0);
  return output;
}

describe.each(LAWS)('G.711 %s', (law) => {
  it('agrees with alawmulaw for every sample and every code word', () => {
    expect(encode(law, EVERY_SAMPLE)).toEqual(alawmulaw[law].encode(EVERY_SAMPLE));
    expect(decode(law, EVERY_CODE_WORD)).toEqual(alawmulaw[law].decode(EVERY_CODE_WORD));
  });

  it('decodes to values that encode to the same code word, but for the second zero of µ-law', () => {
    const again = encode(law, decode(law, EVERY_CODE_WORD));
    const changed = EVERY_CODE_WORD.filter((codeWord, i) => again[i] !== codeWord);
    expect([...changed]).toEqual(law === 'mulaw' ? [0x7f] : []);
  });

  it('is monotonic over the whole range', () => {
    const decoded = decode(law, encode(law, EVERY_SAMPLE));
    const falls = decoded.findIndex((value, i) => i > 0 && value < (decoded[i - 1] ?? 0));
    expect(falls).toBe(-1);
  });

  it('knows silence', () => expect(encode(law, Int16Array.of(0))[0]).toBe(G711_SILENCE[law]));

  it('touches nothing but the given range', () => {
    const codeWords = new Uint8Array(5).fill(1);
    encodeG711(law, Int16Array.of(9, 0, 0, 9), 1, 2, codeWords, 2);
    expect([...codeWords]).toEqual([1, 1, G711_SILENCE[law], G711_SILENCE[law], 1]);

    const samples = new Int16Array(5).fill(1);
    decodeG711(law, codeWords, 2, 2, samples, 1);
    expect([...samples].map(Math.abs)).toEqual(law === 'mulaw' ? [1, 0, 0, 1, 1] : [1, 8, 8, 1, 1]);
  });

  it('carries a tone at −10 dBm0 as well as G.711 can', () => {
    const sent = tone({ rateHz: 8000, frequencyHz: 1004, levelDbm0: -10, durationMs: 1000 });
    const fit = fitSine(decode(law, encode(law, sent)), 8000, 1004);
    expect(fit.snrDb).toBeGreaterThan(38);
    expect(fit.levelDbm0).toBeCloseTo(-10, 1);
  });
});

it('gives the published values', () => {
  // ITU-T G.711: the largest values of either law, on the scale of 16 bits.
  expect(decode('mulaw', Uint8Array.of(0x80, 0x00, 0xff))).toEqual(Int16Array.of(32_124, -32_124, 0));
  expect(decode('alaw', Uint8Array.of(0xaa, 0x2a, 0xd5))).toEqual(Int16Array.of(32_256, -32_256, 8));
});

describe.each(LAWS.flatMap((from) => LAWS.map((to) => ({ from, to }))))(
  'the table from $from to $to',
  ({ from, to }) => {
    it('says for each code word what decoding and encoding it would', () => {
      const expected = from === to ? EVERY_CODE_WORD : encode(to, decode(from, EVERY_CODE_WORD));
      expect(transcodingTable(from, to)).toEqual(expected);
    });

    it('makes of silence what is no louder than the smallest step there is', () => {
      const [silence = 0] = decode(to, Uint8Array.of(transcodingTable(from, to)[G711_SILENCE[from]] ?? 0));
      expect(Math.abs(silence)).toBeLessThanOrEqual(8);
    });
  },
);
