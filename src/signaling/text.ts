/** A text made safe for a quoted-string of a header: one line, no quotes, at most 200 characters. */
export function quotable(text: string): string {
  return text
    .replace(/[^\x20-\x7e]+/g, ' ')
    .replace(/["\\]/g, "'")
    .slice(0, 200);
}

/**
 * The same text in its own memory: drachtio-srf returns slices of what it read from its socket, and each slice keeps all of
 * that alive. For every text that outlives its message.
 */
export function owned(text: string): string {
  return Buffer.from(text).toString();
}
