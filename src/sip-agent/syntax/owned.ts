/** V8 copies what is shorter; a longer piece of a string is a pointer into it. */
const SHORTEST_SHARED = 13;

/**
 * The same text in memory of its own. V8 cuts strings out of others, and joins them, without copying: a tag, or a key made of
 * one, would keep the whole message it came in alive. For every text that outlives its message.
 */
export function owned(text: string): string {
  return text.length < SHORTEST_SHARED ? text : Buffer.from(text).toString();
}

/** The same for octets: Node cuts small buffers out of larger ones, which live as long as the last of their pieces. */
export function ownedBytes(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
