/** An error in words, also of a thrown value that is no Error: drachtio-srf rejects with strings too. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The same as an Error. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
