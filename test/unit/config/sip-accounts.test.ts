import { describe, expect, it } from 'vitest';
import { redact, secretsOf } from '../../../src/config/redact.js';
import { applyReload } from '../../../src/config/reload.js';
import type { BridgeConfig } from '../../../src/config/types.js';
import { faultsOf, load, ROUTES, temporaryFile } from './support.js';

const HA1 = '0123456789abcdef'.repeat(2);

function sip(settings: object, env: Record<string, string> = {}): BridgeConfig['sip'] {
  return load(`${ROUTES}sip: ${JSON.stringify(settings)}`, { env }).config.sip;
}

function faults(settings: object): string[] {
  return faultsOf(`${ROUTES}sip: ${JSON.stringify(settings)}`);
}

const bare = { registrar: 'sip:pbx.example.com', user: '1001' };
const account = { ...bare, password: 'pass word' };

describe('sip.registrations', () => {
  it('are none by default', () =>
    expect(sip({})).toMatchObject({ registrations: [], auth: undefined, maxRequestsPerSec: 1000 }));

  it('need a registrar, a user and a password; the rest follows', () => {
    expect(sip({ registrations: [account] }).registrations).toEqual([
      { ...account, name: '1001@pbx.example.com', authUser: '1001', expiresSec: 300 },
    ]);
    const full = {
      ...{ ...account, registrar: 'sip:[2001:db8::1]:5070;transport=tcp', name: 'office', authUser: 'u@x' },
      ...{ contactUser: '+4930', expiresSec: 3600, proxy: 'sip:192.0.2.1' },
    };
    expect(sip({ registrations: [full] }).registrations).toEqual([full]);
  });

  it('take a password from a file beside the configuration, or from the environment', () => {
    const file = temporaryFile('from a file\n', 'password');
    const registrations = [
      { ...bare, passwordFile: file },
      { ...bare, user: '1002', passwordEnv: 'PBX_PASSWORD' },
    ];
    const read = sip({ registrations }, { PBX_PASSWORD: 'from the environment' }).registrations;
    expect(read.map(({ password }) => password)).toEqual(['from a file', 'from the environment']);
  });

  it('name every fault with its path, and show no password', () => {
    const found = faults({
      registrations: [
        {},
        { ...account, registrar: 'sips:pbx', user: 'a b', expiresSec: 5, proxy: 'sip:alice@pbx', pasword: 'x' },
        { ...bare, passwordFile: '/nowhere' },
        { ...bare, passwordEnv: 'hunter2' },
        { ...account, passwordEnv: 'X' },
        { ...account, password: 'hunter2\u0007' },
        account,
        account,
        'text',
      ],
    });
    expect(found.map((fault) => fault.replace(/ \(.*/, ''))).toEqual([
      'sip.registrations[0].registrar: required',
      'sip.registrations[0].user: required',
      'sip.registrations[0]: needs exactly one of several keys',
      'sip.registrations[1].registrar: expected the SIP URI of a server',
      'sip.registrations[1].user: expected the user part of a SIP URI',
      'sip.registrations[1].expiresSec: expected a whole number',
      'sip.registrations[1].proxy: expected the SIP URI of a server',
      'sip.registrations[1].pasword: unknown key',
      "sip.registrations[2].passwordFile: cannot be read: ENOENT: no such file or directory, stat '/nowhere'",
      'sip.registrations[3].passwordEnv: names an environment variable that does not hold a password',
      'sip.registrations[4]: needs exactly one of several keys',
      'sip.registrations[5].password: expected a password',
      'sip.registrations[7].name: already used by sip.registrations[6]',
      'sip.registrations[8]: expected a mapping',
    ]);
    expect(found.join('\n')).not.toContain('hunter2');
  });
});

describe('sip.auth', () => {
  it('is off without users', () => expect(sip({ auth: { realm: 'x', users: [] } }).auth).toBeUndefined());

  it('has users with passwords, and algorithms in their order', () => {
    const auth = { realm: 'pbx', algorithms: ['MD5', 'SHA-256'], users: [{ user: 'alice', password: 'p' }] };
    expect(sip({ auth }).auth).toEqual(auth);
    expect(sip({ auth: { users: auth.users } }).auth).toMatchObject({
      realm: 'pranthora-sip-bridge',
      algorithms: ['SHA-256', 'MD5'],
    });
  });

  it('takes an HA1 that is that of the one algorithm', () => {
    const auth = { realm: 'pbx', algorithms: ['MD5'], users: [{ user: 'alice', ha1: HA1 }] };
    expect(sip({ auth }).auth).toEqual(auth);
  });

  it('names every fault with its path, and shows no secret', () => {
    const found = faults({
      auth: {
        users: [
          { user: 'alice' },
          { password: 'hunter2' },
          { user: 'bob', ha1: HA1 },
          { user: 'carol', password: 'hunter2' },
          { user: 'carol', password: 'hunter2' },
          { user: 'dave', ha1: 'hunter2' },
        ],
      },
    });
    expect(found.map((fault) => fault.replace(/ \(.*/, ''))).toEqual([
      'sip.auth.users[0]: needs exactly one of several keys',
      'sip.auth.users[1].user: required',
      'sip.auth.users[2].ha1: is for one algorithm, and sip.auth.algorithms offers several',
      'sip.auth.users[5].ha1: expected an HA1',
      'sip.auth.users[4].user: already given by sip.auth.users[3]',
    ]);
    expect(found.join('\n')).not.toMatch(new RegExp(`hunter2|${HA1}`));
    expect(faults({ auth: { algorithms: ['SHA-256'], users: [{ user: 'bob', ha1: HA1 }] } })[0]).toContain(
      'sip.auth.users[0].ha1: is not one of SHA-256',
    );
    expect(faults({ auth: { algorithms: ['SHA-1'] } })[0]).toContain('sip.auth.algorithms');
  });
});

describe('both', () => {
  const config = (): BridgeConfig => {
    const users = [{ user: 'alice', password: 'wonderland' }];
    return load(`${ROUTES}sip: ${JSON.stringify({ registrations: [account], auth: { users } })}`).config;
  };

  it('are shown without their passwords, which are secrets of the log', () => {
    const running = config();
    expect(JSON.stringify(redact(running))).not.toMatch(/pass word|wonderland/);
    expect(redact(running).sip.auth?.users).toEqual([{ user: 'alice', password: '[redacted]' }]);
    expect(secretsOf(running)).toEqual(expect.arrayContaining(['pass word', 'wonderland']));
  });

  it('are changed by a reload', () => {
    const before = load(ROUTES).config;
    const reloaded = applyReload(before, config());
    expect(reloaded.needRestart).toEqual([]);
    expect(reloaded.config.sip).toEqual(config().sip);
    expect(applyReload(config(), before).config.sip).toEqual(before.sip);
  });
});
