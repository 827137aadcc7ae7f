import type { FaultList } from '../faults.js';
import { showValue } from '../faults.js';
import * as formats from '../formats.js';
import { PASSWORD_KEYS, readPassword, type PasswordSources } from './password.js';
import { present } from '../present.js';
import { Section } from '../section.js';
import type { RegistrationConfig } from '../types.js';

const LIST = 'sip.registrations';
const MAX_REGISTRATIONS = 1_000;
const DEFAULT_EXPIRES_SEC = 300;

/** The registrations of the file; what cannot be read is left out and noted in `faults`. */
export function readRegistrations(
  list: readonly unknown[],
  sources: PasswordSources,
  faults: FaultList,
): RegistrationConfig[] {
  if (list.length > MAX_REGISTRATIONS) {
    faults.add({ path: LIST, message: 'too many', value: `${list.length}`, allowed: `up to ${MAX_REGISTRATIONS}` });
  }
  const names = new Map<string, number>();
  return list.slice(0, MAX_REGISTRATIONS).flatMap((entry, index) => {
    const section = Section.of(`${LIST}[${index}]`, entry, faults);
    const registration = section && readRegistration(section, sources);
    if (!registration) return [];
    const other = names.get(registration.name);
    const value = showValue(registration.name);
    // Without a name of its own it is called after what it registers: then the whole entry is there twice.
    if (other !== undefined) section.fault('name', `already used by ${LIST}[${other}]`, { value });
    names.set(registration.name, index);
    return [registration];
  });
}

function readRegistration(section: Section, sources: PasswordSources): RegistrationConfig | undefined {
  for (const key of ['registrar', 'user']) if (!section.has(key)) section.fault(key, 'required');
  const registrar = section.read('registrar', formats.serverUri);
  const user = section.read('user', formats.sipUser);
  const kind = section.exactlyOne(PASSWORD_KEYS);
  const password = kind && readPassword(section, kind, sources);
  const name = section.read('name', formats.label);
  const authUser = section.read('authUser', formats.authUser);
  const contactUser = section.read('contactUser', formats.sipUser);
  const expiresSec = section.read('expiresSec', formats.wholeNumber(30, 86_400)) ?? DEFAULT_EXPIRES_SEC;
  const proxy = section.read('proxy', formats.serverUri);
  section.end();
  if (registrar === undefined || user === undefined || password === undefined) return undefined;
  return {
    name: name ?? `${user}@${registrar.replace(/^sip:/i, '').replace(/;.*/, '')}`,
    ...{ registrar, user, password, expiresSec },
    authUser: authUser ?? user,
    ...present({ contactUser, proxy }),
  };
}
