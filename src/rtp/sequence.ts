/** How far `to` is ahead of `from` on the circle of 16-bit sequence numbers: −32768 … 32767. */
export function sequenceDistance(from: number, to: number): number {
  return ((to - from) << 16) >> 16;
}

/** How far `to` is ahead of `from` on the circle of 32-bit timestamps: −2³¹ … 2³¹ − 1. */
export function timestampDistance(from: number, to: number): number {
  return (to - from) | 0;
}
