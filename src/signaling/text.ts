/** Into a quoted-string of a header: one line, no quotes, short. */
export function quotable(text: string): string {
  return text
    .replace(/[^\x20-\x7e]+/g, ' ')
    .replace(/["\\]/g, "'")
    .slice(0, 200);
}

/** For a log line: what a terminal would obey, or not show, is escaped. */
export function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16) ?? ''}}`);
}

/** What went wrong, in one line. drachtio-srf rejects with strings, too. */
export function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * The same text in memory of its own: what drachtio-srf hands out are cuts from what it read off its socket, and each keeps all
 * of that alive. For every text that outlives its message.
 */
export function owned(text: string): string {
  return Buffer.from(text).toString();
}
