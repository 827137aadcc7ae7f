import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { cidrMatcher, parseCidr } from '../../../src/addresses/cidr.js';
import { parseListen } from '../../../src/config/formats.js';
import { loadConfig } from '../../../src/config/load.js';
import { compilePattern, patternFault } from '../../../src/config/sections/pattern.js';
import { redact, secretsOf } from '../../../src/config/redact.js';
import { applyReload } from '../../../src/config/reload.js';
import { LEAVES } from '../../../src/config/schema.js';
import { KEY, ROUTES, load } from './support.js';

describe('cidrMatcher', () => {
  const matches = cidrMatcher(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', '::1', '::ffff:172.16.0.0/108']);

  it.each(['10.255.0.1', '::ffff:10.0.0.1', '192.0.2.7', '2001:db8:1::', '2001:DB8::1%eth0', '::1', '172.31.0.1'])(
    'knows %s',
    (address) => expect(matches(address)).toBe(true),
  );

  it.each(['11.0.0.1', '192.0.2.8', '::2', '2001:db9::', '172.32.0.1', '10.1', '0x0a000001', 'localhost', ''])(
    'does not know %j',
    (address) => expect(matches(address)).toBe(false),
  );

  it.each(['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/-1', '10.0.0.0/8/8', '::/129', '::ffff:10.0.0.0/8', 'x', ''])(
    'refuses the range %j',
    (text) => {
      expect(parseCidr(text)).toBeUndefined();
      expect(() => cidrMatcher([text])).toThrow(RangeError);
    },
  );

  it('takes everything by /0, in its own family', () => {
    expect(cidrMatcher(['0.0.0.0/0'])('203.0.113.9')).toBe(true);
    expect(cidrMatcher(['0.0.0.0/0'])('::1')).toBe(false);
  });
});

describe('parseListen', () =>
  it('takes an address apart', () => {
    expect(parseListen('UDP://[2001:db8::1]:5060')).toEqual({ transport: 'udp', address: '2001:db8::1', port: 5060 });
    expect(parseListen('tls://192.0.2.1:0')).toEqual({ transport: 'tls', address: '192.0.2.1', port: 0 });
    expect(parseListen('udp://::1:5060')).toBeUndefined();
  }));

describe('patternFault', () => {
  it.each([
    ['(?=1)2', /unsupported/],
    ['(?!1)2', /unsupported/],
    ['(?<=1)2', /./],
    ['(1)\\1', /invalid escape/],
    ['(?<a>1)\\k<a>', /back-references/],
    ['(', /Unterminated group/],
    ['(?i)a', /./],
    ['\\d{1001}', /repeat/],
    ['(\\d{0,900})(\\d{0,900})(\\d{0,900})', /repeats too much/],
  ])('refuses %s', (source, why) => expect(patternFault(source)).toMatch(why));

  it.each([
    ['^\\+?49(30|40)\\d+$', '+493012', '+495012'],
    ['^(\\+49)?30', '3012', '4930'],
    ['^(?<area>\\d{3}){2}$', '123456', '12345'],
    ['[(+|*]+', '(', '1'],
    ['^\\u002b1\\/', '+1/', '1/'],
    ['\\\\k', '\\k', 'k'],
    ['^(?:1|11)+$', '1111', '2'],
    ['^[^\\d]?$', 'a', '1'],
  ])('takes %s as JavaScript does', (source, matching, other) => {
    expect(patternFault(source)).toBeUndefined();
    for (const text of [matching, other]) {
      expect(compilePattern(source).test(text)).toBe(new RegExp(source).test(text));
    }
    expect(compilePattern(source).test(matching)).toBe(true);
  });

  it.each(['(1+)+$', '(1*)*x', '(1|11)+x', `${'(\\d+)?'.repeat(10)}x`, `${'\\d*'.repeat(60)}x`, '(\\d{0,20}){0,20}x'])(
    'comes to an end with %s',
    (source) => {
      expect(patternFault(source)).toBeUndefined();
      // With backtracking, this is not over before the test's time is.
      expect(compilePattern(source).test(`${'1'.repeat(256)}!`)).toBe(false);
    },
  );
});

describe('redact', () =>
  it('leaves no secret anywhere', () => {
    const { config } = load(
      'sip: {drachtio: {secret: secret-1}}\nmedia: {freeswitch: [{host: fs, secret: secret-2}]}\nroutes: [{default: true, agentId: a, apiKeyEnv: OTHER}]\n',
      { env: { OTHER: 'secret-3' } },
    );
    expect(secretsOf(config)).toEqual([KEY, 'secret-3', 'secret-1', 'secret-2']);
    const text = JSON.stringify(redact(config));
    for (const secret of secretsOf(config)) expect(text).not.toContain(secret);
    expect(text.match(/\[redacted\]/g)).toHaveLength(4);
  }));

describe('applyReload', () =>
  it('takes routes, keys, limits and the log level, and names what has to wait for a restart', () => {
    const running = load(`${ROUTES}sip: {advertise: a.example}\n`).config;
    const next = load(
      `routes: [{did: "1", agentId: new}]
sip: {listen: ["udp://127.0.0.1:5061"]}
call: {maxConcurrent: 3}
log: {level: debug, pretty: true}
http: {port: 9}
drainMs: 1
`,
      { env: { PRANTHORA_API_KEY: 'new-key' } },
    ).config;
    const { config, needRestart } = applyReload(running, next);
    expect(config).toMatchObject({
      pranthora: { apiKey: 'new-key' },
      routes: [{ targets: [{ agentId: 'new', apiKeys: ['new-key'] }] }],
      call: { maxConcurrent: 3 },
      log: { level: 'debug', pretty: false },
      drainMs: 1,
    });
    expect([config.sip, config.media, config.http]).toEqual([running.sip, running.media, running.http]);
    expect(needRestart).toEqual(['sip.listen', 'sip.advertise', 'http.port', 'log.pretty']);
    expect(Object.isFrozen(config)).toBe(true);
  }));

describe('applyReload of who may call', () =>
  it('takes sip.allow, sip.scanners and sip.maxCallsPerSource, and lets go of them', () => {
    const [bare, strict] = ['', 'sip: {allow: [192.0.2.1], scanners: [], maxCallsPerSource: 3}\n'].map(
      (more) => load(ROUTES + more).config,
    );
    if (!bare || !strict) throw new Error('both are there');
    const reloaded = applyReload(bare, strict);
    expect(reloaded.needRestart).toEqual([]);
    expect(reloaded.config.sip).toEqual(strict.sip);
    expect(applyReload(strict, bare).config.sip).toEqual(bare.sip);
  }));

describe('the configurations in the repository', () => {
  const env = { PRANTHORA_API_KEY: KEY };
  const pathOf = (name: string): string => new URL(`../../../config/${name}`, import.meta.url).pathname;

  it.each(['example.yaml', 'minimal.yaml'])('%s runs as it is', (name) =>
    expect(loadConfig({ file: pathOf(name), env }).warnings).toEqual([]),
  );

  it('example.yaml shows the default of everything', () => {
    const { config } = loadConfig({ file: pathOf('example.yaml'), env });
    expect({ ...config, routes: [] }).toEqual({
      ...loadConfig({ file: pathOf('minimal.yaml'), env }).config,
      routes: [],
    });
  });

  it('example.yaml mentions every setting, and every key of a route', () => {
    // Settings without a default are there as `#key: value`; prose is `# prose`.
    const text = readFileSync(pathOf('example.yaml'), 'utf8').replace(/^( *)#(\w)/gm, '$1$2');
    const example: unknown = parse(text);
    const missing = LEAVES.filter(({ path }) => at(example, path) === undefined).map(({ path }) => path);
    expect(missing).toEqual([]);
    const routes = at(example, 'routes') as object[];
    const keys = new Set(routes.flatMap((route) => Object.keys(route)));
    const all =
      'did prefix pattern default name from header agentId workflowId targets mode encoding apiKeyEnv apiKeyFile url';
    expect([...keys].sort()).toEqual([...all.split(' '), 'maxConcurrent', 'fallback', 'onAgentEnd', 'dtmf'].sort());
  });

  function at(document: unknown, path: string): unknown {
    return path
      .split('.')
      .reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], document);
  }
});
