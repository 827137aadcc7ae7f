import { dirname, resolve } from 'node:path';
import { readRegularFile } from '../../regular-file.js';
import { errorText } from '../../error-text.js';
import { REDACTED, showValue } from '../faults.js';
import type { FaultList } from '../faults.js';
import { warnOfOpenSecret } from '../file-mode.js';
import * as formats from '../formats.js';
import type { Settings } from '../schema.js';
import type { Section } from '../section.js';
import type { Source } from '../types.js';

const KEY = 'pranthora.apiKey';
const KEY_FILE = 'pranthora.apiKeyFile';
const MAX_KEY_FILE_BYTES = 4096;
/** While a key is being replaced its file may hold both, the one to show first in the first line. */
const MAX_KEYS = 2;
const STRENGTH: Readonly<Record<Source, number>> = { default: 0, file: 1, environment: 2, 'command line': 3 };

/** Every file that was to be read, and the keys in it: many routes may share one. */
export type KeyFiles = Map<string, readonly string[]>;

/** Where the keys of routes and targets may come from. */
export interface KeySources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What relative paths of files begin at: the folder of the configuration file. */
  readonly folder: string;
  /** Whether a key that is named may be missing. */
  readonly withoutKeys: boolean;
  readonly files: KeyFiles;
}

/**
 * The keys all routes share, given as one or in a file; the stronger source decides between the two. A key file named
 * in the configuration file is looked for beside it. Notes in `sources` who decided, and in `files` which file.
 */
export function resolveApiKeys(
  settings: Settings,
  sources: Map<string, Source>,
  { configFile, files }: { readonly configFile: string | undefined; readonly files: KeyFiles },
  faults: FaultList,
): readonly string[] {
  const { apiKey, apiKeyFile } = settings.pranthora;
  const given = apiKey === undefined ? [] : [apiKey];
  if (apiKeyFile === undefined) return given;
  const keySource = sources.get(KEY) ?? 'default';
  const fileSource = sources.get(KEY_FILE) ?? 'default';
  if (STRENGTH[keySource] > STRENGTH[fileSource]) return given;
  if (keySource === fileSource) {
    faults.add({ path: KEY, message: `given twice, here and as ${KEY_FILE}`, allowed: 'one of the two' });
    return given;
  }
  sources.set(KEY, fileSource);
  const folder = fileSource === 'file' && configFile !== undefined ? dirname(configFile) : '.';
  const file = resolve(folder, apiKeyFile);
  return readKeyFile(KEY_FILE, file, files, faults);
}

/** Whether a route or target has a key of its own. */
export const hasOwnKey = (entry: object): boolean =>
  Object.hasOwn(entry, 'apiKeyEnv') || Object.hasOwn(entry, 'apiKeyFile');

/** The keys a route or target names, else `inherited`. */
export function readApiKeys(section: Section, inherited: readonly string[], sources: KeySources): readonly string[] {
  if (section.has('apiKeyEnv') && section.has('apiKeyFile')) {
    section.fault('apiKeyFile', 'given twice, here and as apiKeyEnv', { allowed: 'one of the two' });
    return [];
  }
  if (section.has('apiKeyEnv')) return fromEnvironment(section, sources);
  return section.has('apiKeyFile') ? fromFile(section, sources) : inherited;
}

function fromFile(section: Section, { folder, files, withoutKeys }: KeySources): readonly string[] {
  const given = section.read('apiKeyFile', formats.filePath);
  if (given === undefined || withoutKeys) return [];
  return readKeyFile(`${section.path}.apiKeyFile`, resolve(folder, given), files, section.faults);
}

function fromEnvironment(section: Section, { environment, withoutKeys }: KeySources): readonly string[] {
  // A name in lower case may be a key that was put where its variable's name belongs.
  const raw = section.raw('apiKeyEnv');
  const secret = typeof raw !== 'string' || !/^[A-Z][A-Z0-9_]*$/.test(raw);
  const variable = section.read('apiKeyEnv', formats.environmentName, { secret });
  if (variable === undefined) return [];
  const value = secret ? REDACTED : showValue(variable);
  const text = environment[variable] ?? '';
  if (text.trim() === '' && withoutKeys) return [];
  const key = formats.apiKey.parse(text);
  if (text.trim() === '') section.fault('apiKeyEnv', 'names an environment variable that is not set', { value });
  else if (key === undefined) {
    const message = `names an environment variable that does not hold ${formats.apiKey.what}`;
    section.fault('apiKeyEnv', message, { value, allowed: formats.apiKey.allowed });
  }
  return key === undefined ? [] : [key];
}

/** One key, or two in two lines. Empty, with a fault at `path`, when it is neither. */
function readKeyFile(path: string, file: string, files: KeyFiles, faults: FaultList): readonly string[] {
  const known = files.get(file) ?? [];
  if (known.length > 0) return known;
  files.set(file, []);
  try {
    const content = readRegularFile(file, MAX_KEY_FILE_BYTES);
    const keys = content && keysIn(content.toString('utf8'));
    warnOfOpenSecret(path, file, faults);
    if (keys) {
      files.set(file, keys);
      return keys;
    }
    const allowed = `${formats.apiKey.allowed}, and a line end; or two such lines while a key is being replaced`;
    faults.add({ path, message: `the file does not hold ${formats.apiKey.what}`, value: file, allowed });
  } catch (error) {
    faults.add({ path, message: `cannot be read: ${errorText(error)}`, value: file });
  }
  return [];
}

function keysIn(text: string): readonly string[] | undefined {
  // Trimmed with the line ends goes a byte order mark.
  const lines = text.split(/\r\n?|\n/).filter((line) => line.trim() !== '');
  const keys = lines.map((line) => formats.apiKey.parse(line)).filter((key) => key !== undefined);
  const isWhole = keys.length === lines.length && keys.length > 0 && keys.length <= MAX_KEYS;
  return isWhole ? [...new Set(keys)] : undefined;
}
