import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { LEAVES } from '../../src/config/schema.js';
import { VERSION } from '../../src/version.js';
import { interpolate, parseServices, variablesOf } from '../support/compose-file.js';
import type { ComposeService } from '../support/compose-file.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PINNED = /:\d+\.\d+\.\d+(?:-[\w.-]+)?$/;
/** The lists that the environment can describe in one piece are not leaves of the schema. */
const OTHER_BRIDGE_VARIABLES = ['BRIDGE_CONFIG', 'FREESWITCH_HOST', 'FREESWITCH_PORT', 'FREESWITCH_SECRET'];

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)].sort();
}

const composeText = read('docker-compose.yml');
const services = parseServices(composeText);

function service(name: string): ComposeService {
  const found = services[name];
  if (!found) throw new Error(`docker-compose.yml has no service ${name}`);
  return found;
}

/** The lines of .env.example, by variable; `required` are those that are not commented out. */
function exampleVariables(): { all: string[]; required: string[] } {
  const lines = read('.env.example').split('\n');
  const named = (pattern: RegExp): string[] => lines.flatMap((line) => pattern.exec(line)?.[1] ?? []);
  return { all: named(/^#?([A-Z][A-Z0-9_]*)=/), required: named(/^([A-Z][A-Z0-9_]*)=$/) };
}

/** What an operator has filled in who has filled in no more than what is asked for. */
const FILLED_IN = {
  PRANTHORA_API_KEY: 'key-of-the-operator',
  HOST_ADDRESS: '192.0.2.10',
  DRACHTIO_SECRET: 'secretOfDrachtio',
  FREESWITCH_SECRET: 'secretOfFreeswitch',
};

function environmentOf(name: string, values: Readonly<Record<string, string>> = FILLED_IN): Record<string, string> {
  const entries = Object.entries(service(name).environment);
  return Object.fromEntries(entries.map(([key, value]) => [key, interpolate(`${value}`, values)]));
}

describe('docker-compose.yml', () => {
  it.each(Object.keys(services))('hardens %s, and pins its version', (name) => {
    const { image, read_only, cap_drop, security_opt, network_mode } = service(name);
    expect(image).toMatch(PINNED);
    expect({ read_only, cap_drop, security_opt, network_mode }).toEqual({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      network_mode: 'host',
    });
  });

  it('runs as nobody in particular what does not say so in its image', () => {
    expect([service('drachtio').user, service('freeswitch').user]).toEqual(['10001:10001', '10001:10001']);
    expect(read('Dockerfile')).toMatch(/^USER node$/m);
  });

  it('names the image after the version of this package', () =>
    expect(service('bridge').image).toBe(`pranthora-sip-bridge:${VERSION}`));

  it('mounts only what is in the repository, read-only', () => {
    const volumes = Object.values(services).flatMap((each) => each.volumes ?? []);
    expect(volumes).toEqual(['./freeswitch:/etc/freeswitch:ro', './config:/etc/pranthora-sip-bridge:ro']);
    for (const volume of volumes) expect(existsSync(join(ROOT, volume.split(':')[0] ?? '')), volume).toBe(true);
  });

  it('uses the variables of .env.example, all of them and no others', () => {
    const used = variablesOf(composeText);
    const { all, required } = exampleVariables();
    expect(unique(used.map(({ name }) => name))).toEqual(unique(all));
    expect(unique(used.filter((variable) => variable.required).map(({ name }) => name))).toEqual(unique(required));
    expect(unique(Object.keys(FILLED_IN))).toEqual(unique(required));
  });

  it('states in .env.example the defaults that it has', () => {
    const stated = new Map(
      read('.env.example')
        .match(/^#?[A-Z][A-Z0-9_]*=.+$/gm)
        ?.map((line) => pair(line)),
    );
    const fallbacks = variablesOf(composeText).filter(
      ({ fallback }) => fallback !== undefined && /^[^$]+$/.test(fallback),
    );
    expect(unique(fallbacks.map(({ name }) => name))).toEqual(unique([...stated.keys()]));
    for (const { name, fallback } of fallbacks) expect(`${name}=${fallback ?? ''}`).toBe(`${name}=${stated.get(name)}`);
  });

  it('refuses to start without what has no default', () => {
    for (const name of exampleVariables().required) {
      const missing = { ...FILLED_IN, [name]: '' };
      expect(() => interpolate(composeText, missing), name).toThrow(name);
    }
  });

  it('sets no variable that the bridge does not know', () => {
    const known = [...LEAVES.flatMap(({ env }) => env ?? []), ...OTHER_BRIDGE_VARIABLES];
    expect(known).toEqual(expect.arrayContaining(Object.keys(service('bridge').environment)));
  });

  it('makes a configuration of which the bridge understands every value', () => {
    const values = { ...FILLED_IN, PUBLIC_ADDRESS: '203.0.113.7', SIP_ALLOW: '198.51.100.0/24' };
    const { BRIDGE_CONFIG = '', ...env } = environmentOf('bridge', values);
    const file = join(ROOT, 'config', posix.basename(BRIDGE_CONFIG));
    expect(dirname(BRIDGE_CONFIG)).toBe(service('bridge').volumes?.[0]?.split(':')[1]);
    const { config } = loadConfig({ file, env });
    expect(config.sip).toMatchObject({
      engine: 'drachtio',
      allow: ['198.51.100.0/24'],
      drachtio: { host: '127.0.0.1', port: 9022, secret: 'secretOfDrachtio' },
    });
    expect(config.media).toMatchObject({
      engine: 'freeswitch',
      bind: '127.0.0.1',
      advertise: '203.0.113.7',
      freeswitch: [{ host: '127.0.0.1', port: 8021, secret: 'secretOfFreeswitch' }],
    });
    expect(config.http.host).toBe('127.0.0.1');
  });

  it('leaves what is not set to the defaults', () => {
    const file = join(ROOT, 'config/minimal.yaml');
    const { config } = loadConfig({ file, env: environmentOf('bridge') });
    const bare = loadConfig({ file, env: { PRANTHORA_API_KEY: 'k' } });
    expect(config.pranthora.url).toBe(bare.config.pranthora.url);
    expect(config.sip.allow).toEqual(bare.config.sip.allow);
    expect(config.media).not.toHaveProperty('advertise');
  });

  it('gives both ends of every connection the same port and password', () => {
    const [drachtio, freeswitch, bridge] = ['drachtio', 'freeswitch', 'bridge'].map((name) => environmentOf(name));
    expect(bridge?.['DRACHTIO_PORT']).toBe(drachtio?.['DRACHTIO_ADMIN_TCP_PORT']);
    expect(bridge?.['DRACHTIO_SECRET']).toBe(drachtio?.['DRACHTIO_SECRET']);
    expect(bridge?.['FREESWITCH_PORT']).toBe(freeswitch?.['FREESWITCH_PORT']);
    expect(bridge?.['FREESWITCH_SECRET']).toBe(freeswitch?.['FREESWITCH_SECRET']);
  });

  it('lets the three programs share one machine: no port is taken twice', () => {
    const { FREESWITCH_RTP_FIRST_PORT, FREESWITCH_RTP_LAST_PORT, ...freeswitch } = environmentOf('freeswitch');
    const { MEDIA_PORTS = '', HTTP_PORT } = environmentOf('bridge');
    const contacts = contactsOf('drachtio');
    const single = [HTTP_PORT, environmentOf('drachtio')['DRACHTIO_ADMIN_TCP_PORT'], freeswitch['FREESWITCH_PORT']];
    const ports = [
      ...[...single, freeswitch['FREESWITCH_SIP_PORT'], ...contacts.map(({ port }) => port)].map((port) => [
        port,
        port,
      ]),
      MEDIA_PORTS.split('-'),
      [FREESWITCH_RTP_FIRST_PORT, FREESWITCH_RTP_LAST_PORT],
    ].map(([first, last]) => [Number(first), Number(last)] as const);
    const inOrder = ports.toSorted(([one], [other]) => one - other);
    expect(ports).toHaveLength(8);
    for (const [index, [first, last]] of inOrder.entries()) {
      expect(last).toBeGreaterThanOrEqual(first);
      expect(first, `${first} is taken twice`).toBeGreaterThan(inOrder[index - 1]?.[1] ?? 1023);
    }
  });

  it('shows the outside no more than SIP', () => {
    expect(contactsOf('drachtio').map(({ host }) => host)).toEqual([FILLED_IN.HOST_ADDRESS, '127.0.0.1']);
    expect(environmentOf('drachtio')['DRACHTIO_ADMIN_ADDRESS']).toBe('127.0.0.1');
    const freeswitch = environmentOf('freeswitch');
    // Left to vars.xml, where they are loopback.
    expect(freeswitch).not.toHaveProperty('FREESWITCH_EVENT_ADDRESS');
    expect(freeswitch).not.toHaveProperty('FREESWITCH_SIP_ADDRESS');
  });
});

function pair(line: string): [string, string] {
  const [, name = '', value = ''] = /^#?(\w+)=(.*)$/.exec(line) ?? [];
  return [name, value];
}

function contactsOf(name: string): { host: string; port: string }[] {
  const command = (service(name).command ?? []).map((word) => interpolate(word, FILLED_IN));
  return command.flatMap((word) => {
    const [, host, port] = /^sip:([\d.]+):(\d+);transport=/.exec(word) ?? [];
    return host === undefined || port === undefined ? [] : [{ host, port }];
  });
}

describe('Dockerfile', () => {
  const instructions = read('Dockerfile')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => /^[A-Z]+ /.test(line));
  const argumentsOf = (keyword: string): string[][] =>
    instructions.filter((line) => line.startsWith(`${keyword} `)).map((line) => line.split(/\s+/).slice(1));

  it('starts from a pinned image only', () => {
    const stages = argumentsOf('FROM').map(([image = '', , alias]) => ({ image, alias }));
    const aliases = stages.map(({ alias }) => alias);
    expect(stages[0]?.image).toMatch(PINNED);
    for (const { image } of stages.slice(1)) expect(aliases).toContain(image);
  });

  it('copies what is in the repository and let through by .dockerignore', () => {
    const copied = argumentsOf('COPY').filter(([first]) => first?.startsWith('--from=') !== true);
    const sources = unique(copied.flatMap((words) => words.slice(0, -1)));
    for (const source of sources) expect(existsSync(join(ROOT, source)), source).toBe(true);
    const letThrough = read('.dockerignore')
      .match(/^!.+$/gm)
      ?.map((line) => line.slice(1));
    expect(read('.dockerignore')).toMatch(/^\*$/m);
    expect(unique(letThrough ?? [])).toEqual(sources);
  });

  it('starts a program that the build makes', () => {
    const { bin } = JSON.parse(read('package.json')) as { bin: Record<string, string> };
    const entrypoint = JSON.parse(argumentsOf('ENTRYPOINT')[0]?.join(' ') ?? '[]') as string[];
    expect(entrypoint).toEqual(['node', bin['pranthora-sip-bridge']]);
  });
});
