import { dirname, resolve } from 'node:path';
import { readRegularFile } from '../regular-file.js';
import { messageOf } from './document.js';
import type { FaultList } from './faults.js';
import { warnOfOpenSecret } from './file-mode.js';
import { apiKey as apiKeyFormat } from './formats.js';
import type { Settings } from './schema.js';
import type { Source } from './types.js';

const KEY = 'pranthora.apiKey';
const KEY_FILE = 'pranthora.apiKeyFile';
const MAX_KEY_FILE_BYTES = 4096;
const STRENGTH: Readonly<Record<Source, number>> = { default: 0, file: 1, environment: 2, 'command line': 3 };

/**
 * The key all routes share, given as it is or in a file; the stronger source decides between the two. A key file
 * named in the configuration file is looked for beside it. Notes in `sources` who decided.
 */
export function resolveApiKey(
  settings: Settings,
  sources: Map<string, Source>,
  configFile: string | undefined,
  faults: FaultList,
): string | undefined {
  const { apiKey, apiKeyFile } = settings.pranthora;
  if (apiKeyFile === undefined) return apiKey;
  const keySource = sources.get(KEY) ?? 'default';
  const fileSource = sources.get(KEY_FILE) ?? 'default';
  if (STRENGTH[keySource] > STRENGTH[fileSource]) return apiKey;
  if (keySource === fileSource) {
    faults.add({ path: KEY, message: `given twice, here and as ${KEY_FILE}`, allowed: 'one of the two' });
    return apiKey;
  }
  sources.set(KEY, fileSource);
  const folder = fileSource === 'file' && configFile !== undefined ? dirname(configFile) : '.';
  return readKeyFile(resolve(folder, apiKeyFile), faults);
}

function readKeyFile(file: string, faults: FaultList): string | undefined {
  try {
    const key = apiKeyFormat.parse(readRegularFile(file, MAX_KEY_FILE_BYTES)?.toString('utf8'));
    warnOfOpenSecret(KEY_FILE, file, faults);
    if (key !== undefined) return key;
    const allowed = `${apiKeyFormat.allowed}, and a line end`;
    faults.add({ path: KEY_FILE, message: `the file does not hold ${apiKeyFormat.what}`, value: file, allowed });
  } catch (error) {
    faults.add({ path: KEY_FILE, message: `cannot be read: ${messageOf(error)}`, value: file });
  }
  return undefined;
}
