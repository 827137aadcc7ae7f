import { dirname, join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { chmodSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.js';
import { KEY, ROUTES, faultsIn, faultsOf, load, temporaryFile } from './support.js';

const SCANNERS = [
  ...['friendly-scanner', 'friendly-request', 'sipvicious', 'sundayddr', 'sipcli', 'sip-scan', 'pplsip', 'sivus'],
  'iwar/',
];

describe('precedence', () => {
  it('starts from the defaults', () => {
    const { config, sources, warnings } = load(ROUTES);
    expect(config).toEqual({
      pranthora: {
        url: 'wss://api.pranthora.com',
        apiKey: KEY,
        connectTimeoutMs: 4000,
        startTimeoutMs: 4000,
        customParameters: { from: true, fromName: true, assertedIdentity: true, to: true, did: true, sipCallId: true },
        sendCallId: true,
        reconnect: { maxAttempts: 8, initialDelayMs: 200, maxDelayMs: 5000, keepMs: 400 },
      },
      sip: {
        engine: 'embedded',
        listen: ['udp://0.0.0.0:5060', 'tcp://0.0.0.0:5060'],
        allow: ['127.0.0.0/8', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '::1/128', 'fc00::/7'],
        didFrom: ['requestUri'],
        scanners: SCANNERS,
        maxRequestsPerSec: 1000,
        sessionTimer: { minSec: 90 },
        registrations: [],
        auth: undefined,
        drachtio: { host: '127.0.0.1', port: 9022, secret: 'cymru' },
      },
      media: {
        engine: 'embedded',
        bind: '0.0.0.0',
        ports: { min: 20000, max: 29999 },
        codecs: ['G722', 'PCMU', 'PCMA'],
        codecOrder: 'offer',
        workers: 'auto',
        reorderMs: 40,
        cushionMs: 200,
        dtmf: 'none',
        holdToAgent: 'silence',
        freeswitch: [],
      },
      call: {
        maxConcurrent: 500,
        maxDurationMs: 14_400_000,
        rtpTimeoutMs: 30_000,
        farewellMs: 120_000,
        settleMs: 400,
        transferTimeoutMs: 15_000,
      },
      http: { host: '127.0.0.1', port: 8080 },
      log: { level: 'info', pretty: false, redactNumbers: false, dtmfDigits: false },
      drainMs: 30_000,
      routes: [
        {
          name: 'default',
          match: { default: true },
          targets: [
            {
              agentId: 'a1',
              mode: 'websocket',
              encoding: 'mulaw',
              apiKeys: [KEY],
              url: 'wss://api.pranthora.com',
            },
          ],
          onAgentEnd: 'hangup',
        },
      ],
    });
    expect(sources.get('sip.engine')).toBe('default');
    expect(sources.get('routes')).toBe('file');
    expect(warnings).toEqual([]);
  });

  it('lets the file overrule defaults, the environment the file, the command line the environment', () => {
    const { config, sources } = load(`${ROUTES}http: {port: 1, host: h1}\nlog: {level: warn}\ndrainMs: 5\n`, {
      env: { HTTP_PORT: '2', HTTP_HOST: 'h2', LOG_LEVEL: ' ' },
      overrides: { 'http.port': '3' },
    });
    expect([config.http, config.log.level, config.drainMs]).toEqual([{ port: 3, host: 'h2' }, 'warn', 5]);
    expect(['http.port', 'http.host', 'log.level', 'call.farewellMs'].map((path) => sources.get(path))).toEqual([
      'command line',
      'environment',
      'file',
      'default',
    ]);
  });

  it('reads every environment variable of the contract', () => {
    const { config } = load(ROUTES, {
      env: {
        PRANTHORA_URL: 'ws://127.0.0.1:9000/base/',
        SIP_LISTEN: 'udp://127.0.0.1:5070, tcp://[::1]:0',
        SIP_ADVERTISE: 'sip.example.com',
        SIP_ALLOW: '192.0.2.0/24,2001:db8::1',
        DRACHTIO_HOST: 'drachtio',
        DRACHTIO_PORT: '9023',
        DRACHTIO_SECRET: 's1',
        MEDIA_BIND: '::',
        MEDIA_ADVERTISE: '192.0.2.1',
        MEDIA_PORTS: '30000 - 30999',
        MEDIA_CODECS: 'PCMA,L16',
        MEDIA_WORKERS: '0',
        FREESWITCH_HOST: 'fs',
        FREESWITCH_PORT: '8022',
        FREESWITCH_SECRET: 's2',
        MAX_CALLS: '7',
        HTTP_HOST: '0.0.0.0',
        HTTP_PORT: '0',
        LOG_LEVEL: 'debug',
        LOG_PRETTY: 'true',
        DRAIN_MS: '0',
        SIP_ENGINE: 'drachtio',
        MEDIA_ENGINE: 'freeswitch',
      },
    });
    expect(config.pranthora.url).toBe('ws://127.0.0.1:9000/base');
    expect(config.sip).toEqual({
      engine: 'drachtio',
      listen: ['udp://127.0.0.1:5070', 'tcp://[::1]:0'],
      advertise: 'sip.example.com',
      allow: ['192.0.2.0/24', '2001:db8::1'],
      didFrom: ['requestUri'],
      scanners: SCANNERS,
      maxRequestsPerSec: 1000,
      sessionTimer: { minSec: 90 },
      registrations: [],
      auth: undefined,
      drachtio: { host: 'drachtio', port: 9023, secret: 's1' },
    });
    expect(config.media).toEqual({
      engine: 'freeswitch',
      bind: '::',
      advertise: '192.0.2.1',
      ports: { min: 30000, max: 30999 },
      codecs: ['PCMA', 'L16'],
      codecOrder: 'offer',
      workers: 0,
      reorderMs: 40,
      cushionMs: 200,
      dtmf: 'none',
      holdToAgent: 'silence',
      freeswitch: [{ host: 'fs', port: 8022, secret: 's2' }],
    });
    expect([config.call.maxConcurrent, config.http, config.log, config.drainMs]).toEqual([
      7,
      { host: '0.0.0.0', port: 0 },
      { level: 'debug', pretty: true, redactNumbers: false, dtmfDigits: false },
      0,
    ]);
  });

  it('finds the file by BRIDGE_CONFIG, unless one is given', () => {
    const named = temporaryFile(`${ROUTES}drainMs: 1\n`);
    const given = temporaryFile(`${ROUTES}drainMs: 2\n`);
    const env = { BRIDGE_CONFIG: named, PRANTHORA_API_KEY: KEY };
    expect(loadConfig({ env }).config.drainMs).toBe(1);
    expect(loadConfig({ env, file: given })).toMatchObject({ config: { drainMs: 2 }, file: given });
  });

  it('reads JSON, tabs and all', () => {
    const json = JSON.stringify({ http: { port: 8081 }, routes: [{ did: '+15551234', agentId: 'a' }] }, null, '\t');
    expect(load(json).config).toMatchObject({ http: { port: 8081 }, routes: [{ match: { did: '+15551234' } }] });
  });

  it('is frozen all the way down', () => {
    const { config } = load(ROUTES);
    const parts = [
      config,
      config.sip,
      config.sip.listen,
      config.routes,
      config.routes[0],
      config.routes[0]?.targets[0],
    ];
    expect(parts.every((part) => Object.isFrozen(part))).toBe(true);
  });
});

describe('faults', () => {
  it('reports everything missing when there is nothing at all', () =>
    expect(faultsIn(() => loadConfig({ env: {} }))).toEqual([
      'pranthora.apiKey: required (allowed: PRANTHORA_API_KEY, or pranthora.apiKeyFile, or apiKeyEnv or apiKeyFile in every route)',
      'routes: required, at least one (allowed: a list in the file given by --config)',
    ]));

  it('reports all at once, each with its path, the value, where it came from and what is allowed', () => {
    const faults = faultsOf(
      'sip: {engine: asterisk, listn: x}\nhttp: 5\nmedia: {ports: 5-4}\nroutes: [{did: "100"}]\ncalls: {}\n',
      { env: { HTTP_PORT: '99999', DRACHTIO_SECRET: 'not good' }, overrides: { drainMs: '1s', 'no.such': '1' } },
    );
    expect(faults.map((fault) => fault.replace(/pranthora\.url, .*\)/, '…)'))).toEqual([
      'sip.listn: unknown key (allowed: engine, listen, tls, advertise, allow, didFrom, scanners, maxCallsPerSource, maxRequestsPerSec, sessionTimer, registrations, auth, drachtio)',
      'http: expected a mapping (allowed: one of the keys host, port)',
      'calls: unknown key (allowed: pranthora, sip, media, call, http, log, drainMs, routes)',
      'no.such: no such setting (allowed: …)',
      'sip.engine: expected one of the known values (got "asterisk"; allowed: embedded, drachtio)',
      'sip.drachtio.secret: expected a secret (got [redacted] from DRACHTIO_SECRET; allowed: up to 256 visible ASCII characters, no blanks)',
      'media.ports: expected a range of ports (got "5-4"; allowed: FIRST-LAST from 1024 to 65535, with room for an even port and the one after it, such as 20000-29999)',
      'http.port: expected a whole number (got "99999" from HTTP_PORT; allowed: 0 to 65535)',
      'drainMs: expected a whole number (got "1s" from the command line; allowed: 0 to 86400000)',
      'routes[0]: needs exactly one of several keys (got none; allowed: agentId, workflowId, targets)',
    ]);
  });

  it.each([
    ['pranthora: {url: "https://api.pranthora.com"}', 'pranthora.url'],
    ['pranthora: {url: "wss://host/?key=1"}', 'pranthora.url'],
    ['pranthora: {url: nonsense}', 'pranthora.url'],
    ['pranthora: {connectTimeoutMs: 4e3}', 'pranthora.connectTimeoutMs'],
    ['pranthora: {connectTimeoutMs: 12abc}', 'pranthora.connectTimeoutMs'],
    ['pranthora: {reconnect: {initialDelayMs: 6000}}', 'pranthora.reconnect.initialDelayMs'],
    ['sip: {engine: }', 'sip.engine'],
    ['sip: {listen: []}', 'sip.listen'],
    ['sip: {listen: ["udp://localhost:5060"]}', 'sip.listen'],
    ['sip: {listen: ["udp://0.0.0.0:65536"]}', 'sip.listen'],
    ['sip: {listen: ["udp://0.0.0.0"]}', 'sip.listen'],
    ['sip: {listen: ["udp://0.0.0.0:1", "udp://0.0.0.0:1"]}', 'sip.listen'],
    ['sip: {advertise: 0.0.0.0}', 'sip.advertise'],
    ['sip: {advertise: 10.0.0.256}', 'sip.advertise'],
    ['sip: {advertise: "a b"}', 'sip.advertise'],
    ['sip: {allow: [10.0.0.0/33]}', 'sip.allow'],
    ['sip: {allow: [127.1]}', 'sip.allow'],
    ['sip: {allow: {a: {b: {c: 1}}}}', 'sip.allow'],
    ['sip: {scanners: [sipcli, sipcli]}', 'sip.scanners'],
    ['sip: {scanners: ["/"]}', 'sip.scanners'],
    ['sip: {scanners: ["a\\nb"]}', 'sip.scanners'],
    [`sip: {scanners: [${'a'.repeat(65)}]}`, 'sip.scanners'],
    ['sip: {maxCallsPerSource: 0}', 'sip.maxCallsPerSource'],
    ['sip: {drachtio: {port: 0}}', 'sip.drachtio.port'],
    ['sip: {sessionTimer: {minSec: 89}}', 'sip.sessionTimer.minSec'],
    ['sip: {sessionTimer: {expiresSec: 60}}', 'sip.sessionTimer.expiresSec'],
    ['media: {advertise: media.example.com}', 'media.advertise'],
    ['media: {bind: "0.0.0.0:5"}', 'media.bind'],
    ['media: {ports: 20000}', 'media.ports'],
    ['media: {ports: {min: 20000, max: 20001}}', 'media.ports'],
    ['media: {ports: 20001-20002}', 'media.ports'],
    ['media: {codecs: [PCMU, PCMU]}', 'media.codecs'],
    ['media: {codecs: [opus]}', 'media.codecs'],
    ['media: {codecOrder: theirs}', 'media.codecOrder'],
    ['media: {workers: 65}', 'media.workers'],
    ['media: {engine: freeswitch}', 'media.freeswitch'],
    ['media: {freeswitch: x}', 'media.freeswitch'],
    ['media: {freeswitch: [{port: 8021}]}', 'media.freeswitch[0].host'],
    ['media: {freeswitch: [{host: fs, user: x}]}', 'media.freeswitch[0].user'],
    ['log: {pretty: perhaps}', 'log.pretty'],
    ['call: {maxConcurrent: -1}', 'call.maxConcurrent'],
    ['call: {maxConcurrent: 0}', 'call.maxConcurrent'],
    ['__proto__: {polluted: 1}', '__proto__'],
    ['constructor: {prototype: {polluted: 1}}', 'constructor'],
    ['"a\\nb": 1', '"a\\\\nb"'],
  ])('refuses %s', (content, path) => {
    const faults = faultsOf(ROUTES + content);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(new RegExp(`^${path.replace(/[[\]]/g, '\\$&')}: `));
  });

  it('takes no scanners for none', () =>
    expect(load(`${ROUTES}sip: {scanners: []}\n`).config.sip.scanners).toEqual([]));

  it('takes a group with everything commented out for an empty one', () =>
    expect(load(`${ROUTES}sip:\n  # engine: drachtio\nmedia: {advertise: }\n`).config.sip.engine).toBe('embedded'));

  it('says what the variables of a single FreeSWITCH cannot describe', () => {
    const several = 'media: {freeswitch: [{host: fs1}, {host: fs2}]}\n';
    expect(load(ROUTES + several).config.media.freeswitch.map(({ host }) => host)).toEqual(['fs1', 'fs2']);
    expect(faultsOf(ROUTES + several, { env: { FREESWITCH_SECRET: 's' } })).toEqual([
      expect.stringMatching(/^media\.freeswitch: .*describe a single server, the file lists several/),
    ]);
    expect(faultsOf(ROUTES, { env: { FREESWITCH_PORT: 'x' } })[0]).toMatch(/^environment\.FREESWITCH_PORT: /);
  });
});

describe('hostile or broken files', () => {
  it('points at the place of a syntax fault without quoting the line', () => {
    const file = temporaryFile('pranthora:\n  apiKey: "very-secret\n');
    const faults = faultsIn(() => loadConfig({ file, env: {} }));
    expect(faults[0]).toMatch(/bridge\.yaml:\d+:\d+: /);
    expect(faults.join()).not.toContain('very-secret');
  });

  it.each([
    ['a key twice', 'drainMs: 1\ndrainMs: 2\n', /Map keys must be unique/],
    ['two documents', 'drainMs: 1\n---\ndrainMs: 2\n', /multiple documents/],
    ['an unknown tag', 'drainMs: !thing 1\n', /Unresolved tag/],
    ['a million aliases', `a: &a [x]\n${bomb()}`, /Excessive alias count/],
    ['endless nesting', '['.repeat(50_000), /./],
    ['an alias for what it is part of', 'routes: &a [*a]\n', /nested more than 32 levels deep/],
  ])('refuses %s', (_, content, message) => expect(faultsOf(content).join('\n')).toMatch(message));

  function bomb(): string {
    const names = ['b', 'c', 'd', 'e', 'f', 'g', 'h'];
    return names.map((name, i) => `${name}: &${name} [${`*${'abcdefg'[i] ?? ''},`.repeat(9)}]\n`).join('');
  }

  it('names __proto__ wherever it stands, beside all other faults', () => {
    const faults = faultsOf(`
routes:
  - {default: true, agentId: a, header: {__proto__: x}}
  - {did: '1', agentId: a, dtmf: {'5': nonsense, __proto__: hangup}, __proto__: {did: '2'}}
sip: {registrations: [{__proto__: x}]}
`);
    const named = faults.filter((fault) => fault.endsWith('unknown key')).map((fault) => fault.split(': ')[0]);
    expect(named).toEqual([
      'routes[0].header.__proto__',
      'routes[1].dtmf.__proto__',
      'routes[1].__proto__',
      'sip.registrations[0].__proto__',
    ]);
    expect(faults.join('\n')).toContain('routes[1].dtmf.5: ');
  });

  it('refuses a file that is not there, a folder, and one that is too large', () => {
    expect(faultsIn(() => loadConfig({ file: '/no/such/file', env: {} }))[0]).toMatch(/cannot be read: ENOENT/);
    expect(faultsIn(() => loadConfig({ file: '/', env: {} }))[0]).toMatch(/cannot be read: EISDIR/);
    expect(faultsOf('#'.repeat(8 * 1024 * 1024 + 1))[0]).toMatch(/is too large/);
  });

  it('prints a bounded number of faults', () => {
    const faults = faultsOf(Array.from({ length: 1000 }, (_, i) => `k${i}: 1\n`).join(''));
    expect(faults).toHaveLength(101);
    expect(faults.at(-1)).toMatch(/^and more: \d+ further faults/);
  });
});

describe('the API key', () => {
  it('comes from a file beside the configuration, line end and all', () => {
    const file = temporaryFile(`${ROUTES}pranthora: {apiKeyFile: key.txt}\n`);
    writeFileSync(join(dirname(file), 'key.txt'), 'from-file\n');
    const { config, sources } = loadConfig({ file, env: {} });
    expect([config.pranthora.apiKey, config.routes[0]?.targets[0]?.apiKeys]).toEqual(['from-file', ['from-file']]);
    expect(sources.get('pranthora.apiKey')).toBe('file');
    // A stronger source decides, whichever of the two forms it takes.
    expect(loadConfig({ file, env: { PRANTHORA_API_KEY: 'from-env' } }).config.pranthora.apiKey).toBe('from-env');
    const other = temporaryFile('other-file');
    const plain = temporaryFile(`${ROUTES}pranthora: {apiKey: plain}\n`);
    expect(loadConfig({ file: plain, env: { PRANTHORA_API_KEY_FILE: other } }).config.pranthora.apiKey).toBe(
      'other-file',
    );
  });

  it('is refused given twice, unreadable, or unfit for a header, and never printed', () => {
    const twice = temporaryFile(`${ROUTES}pranthora: {apiKey: secret-key, apiKeyFile: x}\n`);
    expect(faultsIn(() => loadConfig({ file: twice, env: {} }))).toEqual([
      'pranthora.apiKey: given twice, here and as pranthora.apiKeyFile (allowed: one of the two)',
    ]);
    const keyFile = temporaryFile('two lines\nof-secret');
    symlinkSync('/no/such/file', `${keyFile}.dangling`);
    for (const [file, message] of [
      [keyFile, /does not hold an API key/],
      [`${keyFile}.dangling`, /ENOENT/],
    ] as const) {
      const faults = faultsOf(ROUTES, { env: { PRANTHORA_API_KEY: '', PRANTHORA_API_KEY_FILE: file } });
      expect(faults).toEqual([expect.stringMatching(message)]);
      expect(faults[0]).not.toContain('of-secret');
    }
    expect(faultsOf(ROUTES, { env: { PRANTHORA_API_KEY: 'bad\r\nkey' } })).toEqual([
      'pranthora.apiKey: expected an API key (got [redacted] from PRANTHORA_API_KEY; allowed: up to 512 visible ASCII characters, no blanks)',
    ]);
    expect(faultsOf(`${ROUTES}pranthora: {url: "wss://user:secret@host"}`)[0]).toContain('"wss://[redacted]@host"');
  });

  it('may be two in a file of two lines, byte order mark and all, and three in none', () => {
    const content = (text: string): string => temporaryFile(text);
    const keysIn = (text: string): unknown =>
      load(
        'routes: [{default: true, targets: [{agentId: a, apiKeyFile: FILE}, {agentId: b}]}]'.replace(
          'FILE',
          content(text),
        ),
      ).config.routes[0]?.targets.map(({ apiKeys }) => apiKeys);
    expect(keysIn('\ufeffnew-key\r\n  old-key \r\n\r\n')).toEqual([['new-key', 'old-key'], [KEY]]);
    expect(keysIn('same\nsame\n')).toEqual([['same'], [KEY]]);
    for (const text of ['one\ntwo\nthree', '', '\n\n', 'one two\nthree']) {
      const faults = faultsOf(`routes: [{default: true, agentId: a, apiKeyFile: ${content(text)}}]`);
      expect(faults).toEqual([expect.stringMatching(/^routes\[0\]\.apiKeyFile: the file does not hold an API key/)]);
      expect(faults[0]).not.toMatch(/three|one two/);
    }
  });

  it('has files that are watched', () => {
    const key = temporaryFile('key');
    const { watched, file } = load(`routes: [{default: true, agentId: a, apiKeyFile: ${key}}]`);
    expect(watched).toEqual([file, key]);
  });

  it('is not needed where every route has its own', () => {
    const content = 'routes: [{default: true, agentId: a, apiKeyEnv: SALES_KEY}]';
    const { config } = load(content, { env: { PRANTHORA_API_KEY: '', SALES_KEY: 'sales' } });
    expect([config.pranthora.apiKey, config.routes[0]?.targets[0]?.apiKeys]).toEqual([undefined, ['sales']]);
    expect(
      load(content, { env: { PRANTHORA_API_KEY: '' }, withoutKeys: true }).config.routes[0]?.targets[0]?.apiKeys,
    ).toEqual([]);
  });
});

describe('files that are none', () =>
  it('are refused at once: a FIFO, a device, as configuration, key, certificate or password', () => {
    const fifo = join(dirname(temporaryFile('')), 'fifo');
    execFileSync('mkfifo', [fifo]);
    for (const file of [fifo, '/dev/zero']) {
      const what = file === fifo ? 'a FIFO (a named pipe)' : 'a device';
      expect(faultsIn(() => loadConfig({ file, env: {} }))).toEqual([
        `${file}: cannot be read: it is ${what}, not a regular file`,
      ]);
      const user = `{user: a, passwordFile: ${file}}`;
      const faults = faultsOf(
        `${ROUTES}pranthora: {apiKeyFile: ${file}, tls: {ca: ${file}}}\nsip: {tls: {keyFile: ${file}}, auth: {users: [${user}]}}\n`,
        { env: { PRANTHORA_API_KEY: '' } },
      );
      const unread = faults.filter((fault) => fault.includes(`cannot be read: it is ${what}`));
      expect(unread.map((fault) => fault.split(':')[0])).toEqual([
        'pranthora.apiKeyFile',
        'pranthora.tls.ca',
        'sip.tls.keyFile',
        'sip.auth.users[0].passwordFile',
      ]);
    }
  }));

describe('warnings', () => {
  it.each([
    ['http: {host: 0.0.0.0}', /^http\.host: whoever reaches 0\.0\.0\.0:8080 sees who is calling/],
    ['http: {host: "::"}', /^http\.host: /],
    ['sip: {allow: [0.0.0.0/0]}', /^sip\.allow: takes calls from all over the Internet, and nobody is asked/],
    ['sip: {allow: ["::/0"]}', /^sip\.allow/],
    ['sip: {allow: ["2000::/3"]}', /^sip\.allow/],
    ['sip: {allow: [128.0.0.0/1, 0.0.0.0/1]}', /^sip\.allow/],
    ['sip: {allow: [0.0.0.0/4, 16.0.0.0/4, 32.0.0.0/4, 48.0.0.0/4]}', /^sip\.allow/],
    [
      'sip: {allow: [0.0.0.0/0], auth: {users: [{user: a, password: b}]}}',
      /^sip\.allow: .* sip\.auth asks for passwords/,
    ],
    [
      'sip: {engine: drachtio, drachtio: {host: sip.example}}',
      /^sip\.drachtio\.secret: .*sip\.example is another machine/,
    ],
    ['media: {engine: freeswitch, freeswitch: [{host: 192.0.2.1}]}', /^media\.freeswitch\[0\]\.secret/],
    [
      'call: {maxConcurrent: 10000}\nmedia: {ports: 1024-65535}',
      /file descriptors \(ulimit -n\) are enough for some \d+ calls/,
    ],
  ])('warns of %s', (text, warning) => {
    const warnings = load(`${ROUTES}${text}\n`).warnings.filter((each) => !each.startsWith('the configuration'));
    expect(warnings).toEqual([expect.stringMatching(warning)]);
  });

  it.each([
    'sip: {allow: [10.0.0.0/8, 192.0.2.0/24, "2001:db8::/32", "fc00::/7"]}',
    'http: {host: "::1"}',
    'http: {host: localhost}',
    'sip: {engine: drachtio}',
    'sip: {engine: drachtio, drachtio: {host: sip.example, secret: of-our-own}}',
    'media: {engine: freeswitch, freeswitch: [{host: 127.0.0.1}]}',
  ])('does not warn of %s', (text) => expect(load(`${ROUTES}${text}\n`).warnings).toEqual([]));

  it('warns of files with secrets that every user can read or change', () => {
    const file = temporaryFile(`${ROUTES}pranthora: {apiKey: test-key-0123456789}\n`);
    const warnings = (mode: number): readonly string[] => {
      chmodSync(file, mode);
      return loadConfig({ file, env: {} }).warnings;
    };
    expect(warnings(0o640)).toEqual([]);
    expect(warnings(0o644)).toEqual([
      expect.stringMatching(/^the configuration: every user of this machine can read \//),
    ]);
    expect(warnings(0o646)).toEqual([expect.stringMatching(/can read and change/)]);
    const keyFile = temporaryFile(KEY);
    const config = temporaryFile(`${ROUTES}pranthora: {apiKeyFile: ${keyFile}}\n`);
    chmodSync(keyFile, 0o604);
    chmodSync(config, 0o644);
    expect(loadConfig({ file: config, env: {} }).warnings).toEqual([
      expect.stringMatching(/^pranthora\.apiKeyFile: every user of this machine can read \//),
    ]);
    chmodSync(config, 0o602);
    chmodSync(keyFile, 0o600);
    expect(loadConfig({ file: config, env: {} }).warnings).toEqual([
      expect.stringMatching(/^the configuration: every user of this machine can change \//),
    ]);
  });

  it('names what is allowed but probably not meant', () => {
    const { warnings } = load(`${ROUTES}media: {ports: 20001-20006}\npranthora: {url: "ws://api.example.com"}\n`);
    expect(warnings).toEqual([
      'media.ports: 20001-20006 has room for 2 calls, call.maxConcurrent is 500',
      'ws://api.example.com: the API key and the conversation travel unencrypted; wss: encrypts them',
    ]);
    expect(load(`${ROUTES}pranthora: {url: "ws://[::1]:9000"}\n`).warnings).toEqual([]);
  });
});
