import { dirname, resolve } from 'node:path';
import type { FaultList } from '../faults.js';
import { readCertificates } from './pem.js';
import { present } from '../present.js';
import type { Settings } from '../schema.js';
import type { Source, TlsConfig } from '../types.js';

const CA = 'pranthora.tls.ca';

/**
 * What is special about TLS to Pranthora; undefined if nothing is. A CA file named in the configuration file is looked
 * for beside it.
 */
export function resolveTls(
  settings: Settings,
  sources: ReadonlyMap<string, Source>,
  configFile: string | undefined,
  faults: FaultList,
): TlsConfig | undefined {
  const { ca, pinnedSha256, servername } = settings.pranthora.tls;
  const folder = sources.get(CA) === 'file' && configFile !== undefined ? dirname(configFile) : '.';
  const file = ca === undefined || faults.has(CA) ? undefined : resolve(folder, ca);
  const caPem = file === undefined ? undefined : readCertificates(CA, file, faults);
  const tls = present({ ca: file, caPem, pinnedSha256, servername });
  return Object.keys(tls).length === 0 ? undefined : tls;
}
