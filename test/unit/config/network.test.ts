import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { networkOf } from '../../../src/config/network.js';
import { redact, secretsOf } from '../../../src/config/redact.js';
import { AgentNetwork } from '../../../src/pranthora/network.js';
import { KEY, ROUTES, faultsOf, load, temporaryFile } from './support.js';

const CA = new URL('../../fixtures/tls/loopback.crt', import.meta.url).pathname;
const PIN = '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=';

describe('how Pranthora is reached', () => {
  it('is nothing special unless said', () => expect(networkOf(load(ROUTES).config.pranthora)).toEqual({}));

  it('may be all of this', () => {
    const { config } = load(
      `${ROUTES}pranthora:
  allowHosts: [Media.example, '[2001:db8::1]:8443']
  tls: {ca: ${CA}, pinnedSha256: [${PIN}], servername: pranthora.test}
  proxy: proxy.example:3128
  noProxy: [localhost]
`,
    );
    const network = networkOf(config.pranthora);
    expect(network).toEqual({
      allowHosts: ['media.example', '[2001:db8::1]:8443'],
      tls: { ca: readFileSync(CA, 'utf8').trim(), pinnedSha256: [PIN], servername: 'pranthora.test' },
      proxy: { url: 'http://proxy.example:3128', noProxy: ['localhost'] },
    });
    expect(() => new AgentNetwork(network)).not.toThrow();
    expect(config.pranthora.tls?.ca).toBe(CA);
  });

  it.each(['HTTPS_PROXY', 'https_proxy'])('takes the proxy from %s', (variable) => {
    const env = { [variable]: 'http://p:1/', no_proxy: 'a, .b  c:1,,a' };
    const { config, sources } = load(ROUTES, { env });
    expect(networkOf(config.pranthora).proxy).toEqual({ url: 'http://p:1', noProxy: ['a', '.b', 'c:1', 'a'] });
    expect(sources.get('pranthora.proxy')).toBe('environment');
  });

  it('keeps the credentials of the proxy to itself', () => {
    const { config } = load(ROUTES, { env: { HTTPS_PROXY: 'http://user:p%40ss@proxy:3128' } });
    expect(secretsOf(config)).toEqual([KEY, 'cymru', 'p%40ss', 'p@ss']);
    expect(redact(config).pranthora.proxy).toBe('http://[redacted]@proxy:3128');
    expect(faultsOf(ROUTES, { env: { HTTPS_PROXY: 'socks5://user:secret@proxy' } })).toEqual([
      expect.stringMatching(/^pranthora\.proxy: .*got \[redacted\] from HTTPS_PROXY; allowed: http:/),
    ]);
  });

  it.each([
    ['allowHosts: []', 'pranthora.allowHosts'],
    ['allowHosts: ["https://host"]', 'pranthora.allowHosts'],
    ['allowHosts: ["host:0"]', 'pranthora.allowHosts'],
    ['allowHosts: ["2001:db8::1"]', 'pranthora.allowHosts'],
    ['tls: {pinnedSha256: [abc]}', 'pranthora.tls.pinnedSha256'],
    ['tls: {servername: 192.0.2.1}', 'pranthora.tls.servername'],
    ['tls: {ca: /no/such/file}', 'pranthora.tls.ca'],
    ['tls: {insecure: true}', 'pranthora.tls.insecure'],
    ['proxy: "http://host/path"', 'pranthora.proxy'],
    ['proxy: "http://a%zz@host"', 'pranthora.proxy'],
    ['noProxy: [{a: 1}]', 'pranthora.noProxy'],
    ['noProxy: {a: 1}', 'pranthora.noProxy'],
  ])('is not %s', (content, path) => {
    const faults = faultsOf(`${ROUTES}pranthora: {${content}}`);
    expect(faults).toHaveLength(1);
    expect(faults[0]?.startsWith(`${path}: `)).toBe(true);
  });

  it.each(['', 'hello', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'])(
    'is not verified by %j',
    (content) => {
      const file = temporaryFile(content, 'ca.pem');
      expect(faultsOf(`${ROUTES}pranthora: {tls: {ca: ${file}}}`)).toEqual([
        expect.stringMatching(/^pranthora\.tls\.ca: .*certificates in PEM/),
      ]);
    },
  );
});
