import { MAX_NUMBER_LENGTH, normaliseNumber, splitUri } from '../../addresses/number.js';
import type { NumberPlace } from '../../config/types.js';
import { paramOf, readNameAddr, splitValues } from '../../signaling/name-addr.js';
import { owned } from '../../signaling/text.js';

/** Where an INVITE says which number it calls. */
export interface Addressed {
  /** Of a call that came over a registration, the URI dialled there: its Request-URI is our own Contact. */
  readonly requestUri: string;
  /** URI of the To. */
  readonly to: string;
  /** All values of a header, separated by commas. */
  header(name: string): string | undefined;
}

/**
 * The number called, normalised, and where it was found: the first of `places` that has one, else the Request-URI, whatever
 * it holds. A value that is withheld (`anonymous.invalid`) or has no user is none.
 */
export function calledNumber(
  call: Addressed,
  places: readonly NumberPlace[],
): { readonly number: string; readonly place: NumberPlace } {
  for (const place of places) {
    for (const uri of urisAt(place, call)) {
      const number = numberOf(uri);
      if (number !== undefined) return { number: owned(number), place };
    }
  }
  return { number: normaliseNumber(call.requestUri), place: 'requestUri' };
}

/** Where several stand, the one originally called comes first. */
function urisAt(place: NumberPlace, call: Addressed): string[] {
  switch (place) {
    case 'requestUri':
      return [call.requestUri];
    case 'to':
      return [call.to];
    case 'pCalledPartyId':
      return urisOf(call.header('P-Called-Party-ID'));
    case 'diversion':
      // Each diversion is put above the ones before it (RFC 5806 section 4).
      return urisOf(call.header('Diversion')).reverse();
    case 'historyInfo':
      return historyOf(call.header('History-Info'));
  }
}

function urisOf(header = ''): string[] {
  return splitValues(header).map((value) => readNameAddr(value).uri);
}

/** The request began as the entry of index 1, and what follows is in the order it was sent on (RFC 7044 section 10.3). */
function historyOf(header = ''): string[] {
  const entries = splitValues(header).map(readNameAddr);
  const isFirst = ({ params }: { params: string }): boolean => paramOf(params, 'index') === '1';
  return [...entries.filter(isFirst), ...entries.filter((entry) => !isFirst(entry))].map(({ uri }) => uri);
}

function numberOf(uri: string): string | undefined {
  // History-Info has headers such as Reason in its URIs, in tel URIs as well.
  const query = uri.indexOf('?', uri.indexOf('@') + 1);
  const bare = query < 0 ? uri : uri.slice(0, query);
  const { user, host } = splitUri(bare);
  if (host.endsWith('.invalid')) return undefined;
  // `sip:15551234` names a host by the grammar, and means the number.
  if (user === '' && !/^\+?\d+$/.test(host)) return undefined;
  const number = normaliseNumber(bare);
  return number.length > MAX_NUMBER_LENGTH ? undefined : number;
}
