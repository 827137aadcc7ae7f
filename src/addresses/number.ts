/** Longer than any E.164 number or sensible user name: what is longer is not matched by number. */
export const MAX_NUMBER_LENGTH = 64;

/**
 * The number of a call in the form routes are written in: the user part of a `tel:`, `sip:` or `sips:` URI, without
 * parameters and visual separators (RFC 3966 §3), with its leading `+` if it has one. A name (`alice-smith`) stays
 * as it is.
 */
export function normaliseNumber(text: string): string {
  const { user, host } = splitUri(text);
  // `sip:15551234` names a host by the grammar; whoever writes it means the number.
  const name = user === '' ? host : user;
  const digits = name.replace(/[-.() ]/g, '');
  return /^\+?[0-9*#]+$/.test(digits) ? digits : name;
}

/** A normalised number without its leading `+`: the form in which numbers are compared. */
export function withoutPlus(number: string): string {
  return number.startsWith('+') ? number.slice(1) : number;
}

/** User and host of a SIP or tel URI, bare or in a name-addr; of a bare word, the word as the user. */
export function splitUri(text: string): { readonly user: string; readonly host: string } {
  const uri = insideBrackets(text.trim());
  const scheme = /^(sips?|tel):/i.exec(uri)?.[0] ?? '';
  const rest = uri.slice(scheme.length);
  const at = rest.lastIndexOf('@');
  if (at < 0 && /^sip/i.test(scheme)) return { user: '', host: hostOf(rest) };
  const user = upTo(at < 0 ? rest : rest.slice(0, at), ';');
  // `sip:user:password@host`
  const name = /^sip/i.test(scheme) ? upTo(user, ':') : user;
  return { user: decode(name), host: at < 0 ? '' : hostOf(rest.slice(at + 1)) };
}

/** A text without the passwords SIP URIs in it may carry: `sip:alice:secret@pbx` becomes `sip:alice@pbx`. */
export function withoutUriPasswords(text: string): string {
  return text.replace(/(\bsips?:[^\s"<>@:]{0,128}):[^\s"<>@]{0,256}@/gi, '$1@');
}

function insideBrackets(text: string): string {
  const open = text.indexOf('<');
  const close = text.indexOf('>', open);
  return open >= 0 && close > open ? text.slice(open + 1, close) : text;
}

function hostOf(hostport: string): string {
  const host = upTo(upTo(hostport, ';'), '?');
  const ipv6End = host.indexOf(']');
  return (ipv6End >= 0 ? host.slice(0, ipv6End + 1) : upTo(host, ':')).toLowerCase();
}

function upTo(text: string, separator: string): string {
  const end = text.indexOf(separator);
  return end < 0 ? text : text.slice(0, end);
}

function decode(user: string): string {
  if (!user.includes('%')) return user;
  try {
    return decodeURIComponent(user);
  } catch {
    return user;
  }
}
