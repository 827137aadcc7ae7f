import { resolve } from 'node:path';
import { readRegularFile } from '../../regular-file.js';
import { errorText } from '../../error-text.js';
import { REDACTED, showValue } from '../faults.js';
import { warnOfOpenSecret } from '../file-mode.js';
import * as formats from '../formats.js';
import type { Section } from '../section.js';

const MAX_FILE_BYTES = 4096;

/** Where passwords may come from. */
export interface PasswordSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What relative paths of files begin at: the folder of the configuration file. */
  readonly folder: string;
}

export const PASSWORD_KEYS = ['password', 'passwordFile', 'passwordEnv'] as const;

/** The password a section gives by `kind`, its own value or what it names; undefined, and a fault, if there is none. */
export function readPassword(
  section: Section,
  kind: (typeof PASSWORD_KEYS)[number],
  sources: PasswordSources,
): string | undefined {
  if (kind === 'password') return section.read(kind, formats.password, { secret: true });
  return kind === 'passwordFile' ? fromFile(section, sources.folder) : fromEnvironment(section, sources.environment);
}

function fromFile(section: Section, folder: string): string | undefined {
  const given = section.read('passwordFile', formats.filePath);
  if (given === undefined) return undefined;
  const file = resolve(folder, given);
  const value = showValue(file);
  try {
    const password = formats.password.parse(readRegularFile(file, MAX_FILE_BYTES)?.toString('utf8'));
    warnOfOpenSecret(`${section.path}.passwordFile`, file, section.faults);
    if (password !== undefined) return password;
    const message = `the file does not hold ${formats.password.what}`;
    section.fault('passwordFile', message, { value, allowed: formats.password.allowed });
  } catch (error) {
    section.fault('passwordFile', `cannot be read: ${errorText(error)}`, { value });
  }
  return undefined;
}

function fromEnvironment(section: Section, environment: PasswordSources['environment']): string | undefined {
  // A name in lower case may be a password that was put where its variable's name belongs.
  const raw = section.raw('passwordEnv');
  const secret = typeof raw !== 'string' || !/^[A-Z][A-Z0-9_]*$/.test(raw);
  const variable = section.read('passwordEnv', formats.environmentName, { secret });
  if (variable === undefined) return undefined;
  const password = formats.password.parse(environment[variable] ?? '');
  if (password === undefined) {
    const message = `names an environment variable that does not hold ${formats.password.what}`;
    const value = secret ? REDACTED : showValue(variable);
    section.fault('passwordEnv', message, { value, allowed: formats.password.allowed });
  }
  return password;
}
