/**
 * The 16-bit arithmetic of ITU-T G.722 (clause 6.2). Sums saturate and products are truncated exactly so, or an encoder and a
 * decoder that did not come from the same hands would drift apart.
 */

/** What every sum ends with: 16 bits, whatever it is. */
export function saturate16(value: number): number {
  if (value > 32_767) return 32_767;
  return value < -32_768 ? -32_768 : value;
}

/** LIMIT: the samples of the sub-bands have 15 bits. */
export function limit15(value: number): number {
  if (value > 16_383) return 16_383;
  return value < -16_384 ? -16_384 : value;
}

/** The product of two numbers of 16 bits, one of them in 1/32,768. */
export function scaled(value: number, by: number): number {
  return Math.imul(value, by) >> 15;
}
