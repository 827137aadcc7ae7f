/** Into a quoted-string of a header: one line, no quotes, short. */
export function quotable(text: string): string {
  return text
    .replace(/[^\x20-\x7e]+/g, ' ')
    .replace(/["\\]/g, "'")
    .slice(0, 200);
}

/** What went wrong, in one line. drachtio-srf rejects with strings, too. */
export function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
