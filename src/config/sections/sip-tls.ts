import { dirname, resolve } from 'node:path';
import type { FaultList } from '../faults.js';
import { parseListen } from '../formats.js';
import { belongTogether, readCertificates, readPrivateKey } from './pem.js';
import { present } from '../present.js';
import type { Settings } from '../schema.js';
import type { SipTlsConfig, Source } from '../types.js';

const GROUP = 'sip.tls';

/**
 * The certificate SIP over TLS is spoken with, and whom it believes; undefined when there is none, which is a fault when
 * something needs it. Files named in the configuration file are looked for beside it.
 */
export function resolveSipTls(
  settings: Settings,
  sources: ReadonlyMap<string, Source>,
  configFile: string | undefined,
  faults: FaultList,
): SipTlsConfig | undefined {
  const given = settings.sip.tls;
  const fileOf = (key: 'certFile' | 'keyFile' | 'caFile'): string | undefined => {
    const path = `${GROUP}.${key}`;
    const folder = sources.get(path) === 'file' && configFile !== undefined ? dirname(configFile) : '.';
    return given[key] === undefined || faults.has(path) ? undefined : resolve(folder, given[key]);
  };
  requireFiles(settings, faults);
  const [certFile, keyFile, caFile] = [fileOf('certFile'), fileOf('keyFile'), fileOf('caFile')];
  const certPem = certFile && readCertificates(`${GROUP}.certFile`, certFile, faults);
  const keyPem = keyFile && readPrivateKey(`${GROUP}.keyFile`, keyFile, faults);
  const caPem = caFile && readCertificates(`${GROUP}.caFile`, caFile, faults);
  if (!certFile || !keyFile || !certPem || !keyPem) return undefined;
  if (!belongTogether(certPem, keyPem)) {
    faults.add({ path: `${GROUP}.keyFile`, message: 'is not the key of the certificate in certFile', value: keyFile });
  }
  const { requestClientCertificate } = given;
  return { certFile, keyFile, certPem, keyPem, requestClientCertificate, ...present({ caFile, caPem }) };
}

/** What has to be there because of something else. */
function requireFiles({ sip }: Settings, faults: FaultList): void {
  const { certFile, keyFile, caFile, requestClientCertificate } = sip.tls;
  const listens = !faults.has('sip.listen') && sip.listen.some((uri) => parseListen(uri)?.transport === 'tls');
  const needed = (sip.engine === 'embedded' && listens) || certFile !== undefined || keyFile !== undefined;
  const missing = (key: string, why: string) => {
    if (!faults.has(`${GROUP}.${key}`)) faults.add({ path: `${GROUP}.${key}`, message: `required ${why}` });
  };
  if (needed && certFile === undefined) missing('certFile', 'by tls:// in sip.listen');
  if (needed && keyFile === undefined) missing('keyFile', 'by tls:// in sip.listen');
  const verifies = !faults.has(`${GROUP}.requestClientCertificate`) && requestClientCertificate !== 'never';
  if (verifies && caFile === undefined) missing('caFile', 'to verify client certificates');
}
