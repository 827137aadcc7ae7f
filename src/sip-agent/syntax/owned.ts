/** V8 copies shorter substrings; a longer one is a pointer into the string it was cut from. */
const SHORTEST_SHARED = 13;

/**
 * The same text in its own memory. V8 slices and joins strings without copying: a tag, or a key made of one, would keep the
 * whole message it came from alive. For every text that outlives its message.
 */
export function owned(text: string): string {
  return text.length < SHORTEST_SHARED ? text : Buffer.from(text).toString();
}

/** The same for octets: Node slices small buffers out of a pool, which lives as long as the last of its slices. */
export function ownedBytes(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
