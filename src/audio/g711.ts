import alawmulaw from 'alawmulaw';

/** The two laws of ITU-T G.711. `mulaw` is RTP payload type 0 (PCMU), `alaw` is 8 (PCMA). */
export type G711Law = 'mulaw' | 'alaw';

/** The code word of digital silence in each law. */
export const G711_SILENCE: Readonly<Record<G711Law, number>> = { mulaw: 0xff, alaw: 0xd5 };

interface SampleCodec {
  encodeSample(sample: number): number;
  decodeSample(codeWord: number): number;
}

/** Indexed by the code word. */
function buildDecodeTable(codec: SampleCodec): Int16Array {
  return Int16Array.from({ length: 256 }, (_, codeWord) => codec.decodeSample(codeWord));
}

/** Indexed by the sample's 16 bits taken as an unsigned number. */
function buildEncodeTable(codec: SampleCodec): Uint8Array {
  const table = new Uint8Array(65_536);
  // `Uint8Array.from` would first build a list of as many numbers, in every thread.
  for (let bits = 0; bits < table.length; bits++) table[bits] = codec.encodeSample((bits << 16) >> 16);
  return table;
}

const DECODE: Readonly<Record<G711Law, Int16Array>> = {
  mulaw: buildDecodeTable(alawmulaw.mulaw),
  alaw: buildDecodeTable(alawmulaw.alaw),
};

const ENCODE: Readonly<Record<G711Law, Uint8Array>> = {
  mulaw: buildEncodeTable(alawmulaw.mulaw),
  alaw: buildEncodeTable(alawmulaw.alaw),
};

/**
 * Decodes `count` code words into 16-bit linear samples. Both ranges must lie within their arrays: what would
 * be read beyond the end of `input` comes out as some sample, what would be written beyond `output` is lost.
 */
export function decodeG711(
  law: G711Law,
  input: Uint8Array,
  inputOffset: number,
  count: number,
  output: Int16Array,
  outputOffset: number,
): void {
  const table = DECODE[law];
  for (let i = 0; i < count; i++) {
    output[outputOffset + i] = table[input[inputOffset + i] ?? 0] ?? 0;
  }
}

/** Encodes `count` 16-bit linear samples as code words. The ranges are as in {@link decodeG711}. */
export function encodeG711(
  law: G711Law,
  input: Int16Array,
  inputOffset: number,
  count: number,
  output: Uint8Array,
  outputOffset: number,
): void {
  const table = ENCODE[law];
  for (let i = 0; i < count; i++) {
    output[outputOffset + i] = table[(input[inputOffset + i] ?? 0) & 0xffff] ?? 0;
  }
}

/** 256 entries: each code word of one law in the other, or in the same one unchanged. */
export function transcodingTable(from: G711Law, to: G711Law): Uint8Array {
  if (from === to) return Uint8Array.from({ length: 256 }, (_, codeWord) => codeWord);
  return Uint8Array.from(DECODE[from], (sample) => ENCODE[to][sample & 0xffff] ?? 0);
}
