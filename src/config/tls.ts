import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { messageOf } from './document.js';
import type { FaultList } from './faults.js';
import { present } from './present.js';
import type { Settings } from './schema.js';
import type { Source, TlsConfig } from './types.js';

const CA = 'pranthora.tls.ca';
/** Three times all of the well-known authorities. */
const MAX_CA_FILE_BYTES = 1024 * 1024;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

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
  const caPem = file === undefined ? undefined : readCertificates(file, faults);
  const tls = present({ ca: file, caPem, pinnedSha256, servername });
  return Object.keys(tls).length === 0 ? undefined : tls;
}

function readCertificates(file: string, faults: FaultList): string | undefined {
  const allowed = `certificates in PEM, up to ${MAX_CA_FILE_BYTES} bytes`;
  try {
    if (statSync(file).size <= MAX_CA_FILE_BYTES) {
      const certificates = readFileSync(file, 'utf8').match(CERTIFICATE) ?? [];
      // Throws for one that is none.
      for (const certificate of certificates) new X509Certificate(certificate);
      if (certificates.length > 0) return certificates.join('\n');
    }
    faults.add({ path: CA, message: 'the file does not hold certificates', value: file, allowed });
  } catch (error) {
    faults.add({ path: CA, message: `cannot be read: ${messageOf(error)}`, value: file, allowed });
  }
  return undefined;
}
