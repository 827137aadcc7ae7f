import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { readRegularFile } from '../../regular-file.js';
import { errorText } from '../../error-text.js';
import type { FaultList } from '../faults.js';
import { warnOfOpenSecret } from '../file-mode.js';

/** Three times all of the well-known authorities. */
const MAX_PEM_FILE_BYTES = 1024 * 1024;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** The certificates of a file, in its order; undefined, and a fault at `path`, when it holds none. */
export function readCertificates(path: string, file: string, faults: FaultList): string | undefined {
  const allowed = `certificates in PEM, up to ${MAX_PEM_FILE_BYTES} bytes`;
  try {
    const certificates = readBounded(file)?.match(CERTIFICATE) ?? [];
    // Throws for one that is none.
    for (const certificate of certificates) new X509Certificate(certificate);
    if (certificates.length > 0) return certificates.join('\n');
    faults.add({ path, message: 'the file does not hold certificates', value: file, allowed });
  } catch (error) {
    faults.add({ path, message: `cannot be read: ${errorText(error)}`, value: file, allowed });
  }
  return undefined;
}

/** A private key as its file has it; undefined, and a fault at `path`, when it is none. */
export function readPrivateKey(path: string, file: string, faults: FaultList): string | undefined {
  const allowed = 'a private key in PEM, not encrypted';
  try {
    const pem = readBounded(file) ?? '';
    warnOfOpenSecret(path, file, faults);
    if (keyOf(pem)) return pem;
    faults.add({ path, message: 'the file does not hold a private key', value: file, allowed });
  } catch (error) {
    faults.add({ path, message: `cannot be read: ${errorText(error)}`, value: file, allowed });
  }
  return undefined;
}

/** Whether a private key is that of the first of the certificates; both in PEM and sound. */
export function belongTogether(certPem: string, keyPem: string): boolean {
  const key = keyOf(keyPem);
  return key !== undefined && new X509Certificate(certPem).checkPrivateKey(key);
}

/** Without what OpenSSL says of a bad one, which may quote it. */
function keyOf(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}

function readBounded(file: string): string | undefined {
  return readRegularFile(file, MAX_PEM_FILE_BYTES)?.toString('utf8');
}
