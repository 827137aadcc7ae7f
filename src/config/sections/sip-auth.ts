import type { FaultList } from '../faults.js';
import { REDACTED, showValue } from '../faults.js';
import * as formats from '../formats.js';
import { PASSWORD_KEYS, readPassword, type PasswordSources } from './password.js';
import type { Settings } from '../schema.js';
import { Section } from '../section.js';
import type { SipAuthConfig, SipAuthUser } from '../types.js';

const USERS = 'sip.auth.users';
const MAX_USERS = 1_000;
/** Hexadecimal digits of an HA1. */
const HA1_LENGTHS = { MD5: 32, 'SHA-256': 64 } as const;

/** Who has to prove what; undefined when `sip.auth` names no users. What cannot be read is noted in `faults`. */
export function readSipAuth(
  { realm, algorithms, users: list }: Settings['sip']['auth'],
  sources: PasswordSources,
  faults: FaultList,
): SipAuthConfig | undefined {
  if (faults.has('sip.auth') || list.length === 0) return undefined;
  if (list.length > MAX_USERS) {
    faults.add({ path: USERS, message: 'too many', value: `${list.length}`, allowed: `up to ${MAX_USERS}` });
  }
  const users = list.slice(0, MAX_USERS).flatMap((entry, index) => {
    const section = Section.of(`${USERS}[${index}]`, entry, faults);
    const user = section && readUser(section, algorithms, sources);
    return user ? [{ index, user }] : [];
  });
  const seen = new Map<string, number>();
  for (const { index, user } of users) {
    const other = seen.get(user.user);
    const message = `already given by ${USERS}[${String(other)}]`;
    if (other !== undefined) faults.add({ path: `${USERS}[${index}].user`, message, value: showValue(user.user) });
    seen.set(user.user, index);
  }
  return { realm, algorithms, users: users.map(({ user }) => user) };
}

function readUser(
  section: Section,
  algorithms: SipAuthConfig['algorithms'],
  sources: PasswordSources,
): SipAuthUser | undefined {
  if (!section.has('user')) section.fault('user', 'required');
  const user = section.read('user', formats.authUser);
  const kind = section.exactlyOne([...PASSWORD_KEYS, 'ha1']);
  const ha1 = kind === 'ha1' ? readHa1(section, algorithms) : undefined;
  const password = kind === undefined || kind === 'ha1' ? undefined : readPassword(section, kind, sources);
  section.end();
  if (user === undefined) return undefined;
  if (password !== undefined) return { user, password };
  return ha1 === undefined ? undefined : { user, ha1 };
}

/** An HA1 is that of one algorithm: with others on offer, a phone may choose one it cannot be checked with. */
function readHa1(section: Section, algorithms: SipAuthConfig['algorithms']): string | undefined {
  const ha1 = section.read('ha1', formats.ha1, { secret: true });
  const [algorithm, ...others] = algorithms;
  if (ha1 === undefined || algorithm === undefined) return undefined;
  if (others.length > 0) {
    const message = 'is for one algorithm, and sip.auth.algorithms offers several';
    section.fault('ha1', message, { value: REDACTED, allowed: 'algorithms: [MD5] or [SHA-256], or a password' });
  } else if (ha1.length !== HA1_LENGTHS[algorithm]) {
    const message = `is not one of ${algorithm}`;
    section.fault('ha1', message, { value: REDACTED, allowed: `${HA1_LENGTHS[algorithm]} hexadecimal digits` });
  }
  return ha1;
}
