import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { effectiveYaml } from '../../../src/cli/check.js';
import { redact } from '../../../src/config/redact.js';
import { applyReload } from '../../../src/config/reload.js';
import { KEY, ROUTES, faultsOf, load, temporaryFile } from './support.js';

const fixture = (name: string): string => new URL(`../../fixtures/tls/${name}`, import.meta.url).pathname;
const CERT = fixture('loopback.crt');
const PRIVATE_KEY = fixture('loopback.key');
const OTHER_CERT = fixture('pranthora.test.crt');
const OTHER_KEY = fixture('pranthora.test.key');

const sip = (tls: string, listen = 'tls://0.0.0.0:5061'): string =>
  `${ROUTES}sip: {listen: ["${listen}"], tls: {${tls}}}\n`;

describe('sip.tls', () => {
  it('is read into memory, and its key shown to nobody', () => {
    const loaded = load(sip(`certFile: ${CERT}, keyFile: ${PRIVATE_KEY}, caFile: ${OTHER_CERT}`));
    const { tls } = loaded.config.sip;
    expect(tls).toEqual({
      certFile: CERT,
      keyFile: PRIVATE_KEY,
      caFile: OTHER_CERT,
      requestClientCertificate: 'never',
      certPem: readFileSync(CERT, 'utf8').trim(),
      keyPem: readFileSync(PRIVATE_KEY, 'utf8'),
      caPem: readFileSync(OTHER_CERT, 'utf8').trim(),
    });
    const secret = tls?.keyPem.split('\n')[1] ?? '?';
    for (const shown of [JSON.stringify(redact(loaded.config)), effectiveYaml(loaded)]) {
      expect(shown).not.toContain(secret);
      expect(shown).toContain(PRIVATE_KEY);
    }
  });

  it('is looked for beside the file that names it, or where the environment says', () => {
    const certFile = temporaryFile(readFileSync(CERT, 'utf8'), 'sip.crt');
    const env = { SIP_TLS_CERT_FILE: certFile, SIP_TLS_KEY_FILE: PRIVATE_KEY };
    expect(load(sip(''), { env }).config.sip.tls).toMatchObject({ certFile, keyFile: PRIVATE_KEY });
    expect(faultsOf(sip('certFile: here.crt, keyFile: here.key'))).toEqual([
      expect.stringMatching(/^sip\.tls\.certFile: cannot be read: ENOENT.*bridge-config-.*here\.crt/),
      expect.stringMatching(/^sip\.tls\.keyFile: cannot be read: ENOENT.*bridge-config-.*here\.key/),
    ]);
  });

  it('is needed by a listener that speaks it, and by no other', () => {
    expect(faultsOf(sip(''))).toEqual([
      'sip.tls.certFile: required by tls:// in sip.listen',
      'sip.tls.keyFile: required by tls:// in sip.listen',
    ]);
    expect(load(sip('', 'udp://0.0.0.0:5060')).config.sip).not.toHaveProperty('tls');
    expect(faultsOf(sip(`certFile: ${CERT}`, 'udp://0.0.0.0:5060'))).toEqual([
      'sip.tls.keyFile: required by tls:// in sip.listen',
    ]);
  });

  it.each([
    [`certFile: ${CERT}, keyFile: ${OTHER_KEY}`, /^sip\.tls\.keyFile: is not the key of the certificate/],
    [`certFile: ${CERT}, keyFile: ${CERT}`, /^sip\.tls\.keyFile: the file does not hold a private key/],
    [`certFile: ${PRIVATE_KEY}, keyFile: ${PRIVATE_KEY}`, /^sip\.tls\.certFile: the file does not hold certificates/],
    [`certFile: ${CERT}, keyFile: ${PRIVATE_KEY}, caFile: /`, /^sip\.tls\.caFile: cannot be read: /],
    [
      `certFile: ${CERT}, keyFile: ${PRIVATE_KEY}, requestClientCertificate: required`,
      /^sip\.tls\.caFile: required to verify client certificates/,
    ],
    [
      `certFile: ${CERT}, keyFile: ${PRIVATE_KEY}, requestClientCertificate: maybe`,
      /^sip\.tls\.requestClientCertificate: .*allowed: never, optional, required/,
    ],
  ])('is not %s', (tls, fault) => {
    const faults = faultsOf(sip(tls));
    expect(faults).toEqual([expect.stringMatching(fault)]);
    expect(faults.join()).not.toContain('PRIVATE');
  });

  it('is renewed by a reload; whether certificates are asked for needs a restart', () => {
    const certFile = temporaryFile(readFileSync(CERT, 'utf8'), 'sip.crt');
    const keyFile = temporaryFile(readFileSync(PRIVATE_KEY, 'utf8'), 'sip.key');
    const text = sip(`certFile: ${certFile}, keyFile: ${keyFile}, caFile: ${CERT}`);
    const running = load(text, { env: { PRANTHORA_API_KEY: KEY } }).config;
    writeFileSync(certFile, readFileSync(OTHER_CERT));
    writeFileSync(keyFile, readFileSync(OTHER_KEY));
    const { config, needRestart } = applyReload(running, load(text).config);
    expect(config.sip.tls?.certPem).toBe(readFileSync(OTHER_CERT, 'utf8').trim());
    expect(needRestart).toEqual([]);
    const asking = load(text.replace('}}', ', requestClientCertificate: required}}')).config;
    const second = applyReload(running, asking);
    expect(second.config.sip.tls?.requestClientCertificate).toBe('never');
    expect(second.needRestart).toEqual(['sip.tls']);
  });
});
