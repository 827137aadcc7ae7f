import { parseSipUri } from './uri.js';

const METHOD_PARAM = /;method(?:=[^;]*)?(?=;|$)/gi;

/**
 * A URI as it may stand in a Request-URI: without headers and without a "method" parameter, which the table of RFC 3261
 * section 19.1.1 forbids there. Anything but a SIP URI stays as it is.
 */
export function asRequestUri(uri: string): string {
  const parsed = parseSipUri(uri);
  if (!parsed || parsed.scheme === 'tel' || (parsed.headers === undefined && !parsed.params.has('method'))) return uri;
  const end = parsed.headers === undefined ? uri.length : uri.length - parsed.headers.length - 1;
  // What looks like a parameter before the "@" is part of the user.
  const host = uri.indexOf('@') + 1;
  return uri.slice(0, host) + uri.slice(host, end).replace(METHOD_PARAM, '');
}
