/**
 * A phone number, or a SIP or tel URI, with all digits but the last two replaced: `sip:*********34@pbx.example`.
 * The host keeps its digits.
 */
export function redactNumber(text: string): string {
  const at = text.lastIndexOf('@');
  const user = at < 0 ? text : text.slice(0, at);
  return maskDigits(user) + text.slice(user.length);
}

/** A text in which numbers may be quoted, such as a route's name: runs of five digits or more are masked. */
export function redactQuotedNumbers(text: string): string {
  return text.replace(/\d{5,}/g, maskDigits);
}

function maskDigits(text: string): string {
  let left = text.replace(/\D/g, '').length;
  return text.replace(/\d/g, (digit) => (left-- > 2 ? '*' : digit));
}
