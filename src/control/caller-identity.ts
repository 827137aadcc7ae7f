import { MAX_NUMBER_LENGTH, normaliseNumber } from '../addresses/number.js';
import { paramOf, readNameAddr, splitValues } from '../signaling/name-addr.js';
import { owned } from '../signaling/text.js';

/** The caller's name, and the identity the trunk asserts, as far as the agent and the records may have them. */
export interface CallerIdentity {
  /** Display name of the From, else of the asserted identity. */
  readonly fromName?: string;
  /** The number, or the user, of P-Asserted-Identity, else of a screened Remote-Party-ID. */
  readonly assertedIdentity?: string;
}

type Headers = (name: string) => string | undefined;

interface Asserted {
  readonly name: string;
  readonly number: string;
}

/** Values of Privacy (RFC 3323, 4244) that withhold nothing of a caller. */
const NOT_PRIVATE = new Set(['none', 'critical', 'session', 'history', 'off', '']);

/**
 * The caller's identity. What comes from `sip.allow` is inside the trust domain of RFC 3325, but Pranthora is not: the
 * identity of a caller who asks for privacy is not passed on, and goes into no record. P-Preferred-Identity proves nothing.
 */
export function callerIdentity(header: Headers): CallerIdentity {
  const isPrivate = splitPrivacy(header('Privacy')).some((value) => !NOT_PRIVATE.has(value));
  if (isPrivate) return {};
  const asserted = assertedBy(header('P-Asserted-Identity')) ?? screened(header('Remote-Party-ID'));
  const fromName = readNameAddr(header('From') ?? '').name || asserted?.name;
  return {
    ...(fromName ? { fromName: owned(fromName) } : {}),
    ...(asserted ? { assertedIdentity: owned(asserted.number) } : {}),
  };
}

function splitPrivacy(header = ''): string[] {
  return header.split(/[;,]/).map((value) => value.trim().toLowerCase());
}

/** Of a SIP and a tel URI (RFC 3325 section 9.1), the number. */
function assertedBy(header = ''): Asserted | undefined {
  const all = splitValues(header).flatMap((value) => assertedOf(value) ?? []);
  return all.find(({ number }) => /^\+?\d+$/.test(number)) ?? all[0];
}

/** Remote-Party-ID came before P-Asserted-Identity; only one marked as verified (`screen=yes`) is taken. */
function screened(header = ''): Asserted | undefined {
  const value = splitValues(header).find((each) => {
    const { params } = readNameAddr(each);
    const param = (name: string): string | undefined => paramOf(params, name)?.toLowerCase();
    const isCaller = (param('party') ?? 'calling') === 'calling';
    return isCaller && param('screen') === 'yes' && NOT_PRIVATE.has(param('privacy') ?? 'off');
  });
  return value === undefined ? undefined : assertedOf(value);
}

function assertedOf(value: string): Asserted | undefined {
  const { name, uri } = readNameAddr(value);
  const number = normaliseNumber(uri);
  const usable = number !== '' && number.length <= MAX_NUMBER_LENGTH && !uri.toLowerCase().includes('anonymous');
  return usable ? { name, number } : undefined;
}
