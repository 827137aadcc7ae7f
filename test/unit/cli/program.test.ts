import { parse } from 'yaml';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.js';
import { VERSION } from '../../../src/version.js';
import { KEY, TestIo, temporaryFile } from './support.js';

const FILE = `http: {port: 8081}
sip: {drachtio: {secret: hidden-secret}}
media: {ports: 30000-30999}
routes:
  - {did: '+15550100', name: reception, targets: [{agentId: a1}, {workflowId: w1}]}
  - {prefix: '+1555', from: 'alice', agentId: a2}
  - did: '+15550199'
    agentId: a4
    fallback: {redirect: 'sip:desk@pbx.example'}
    onAgentEnd: {refer: 'sip:survey@pbx.example'}
    dtmf: {'0': {refer: 'sip:operator@pbx.example'}, '#': hangup}
  - {pattern: '^9', header: {name: X-Tenant, value: sales}, agentId: a3}
`;

describe('usage', () => {
  it('tells the version', async () => {
    const io = new TestIo();
    expect([await io.run(['--version']), io.stdout]).toEqual([0, `${VERSION}\n`]);
    expect(VERSION).toMatch(/^\d+\.\d+\.\d+/);
  });

  it.each([
    [['--help']],
    [['help']],
    [['start', '--help']],
    [['check', '--help']],
    [['route', '-h']],
    [['capacity', '-h']],
  ])('helps with %j, and shows an example', async (args) => {
    const io = new TestIo();
    expect(await io.run(args)).toBe(0);
    expect(io.stdout).toMatch(/^Usage: pranthora-sip-bridge/);
    expect(io.stdout).toMatch(/Example:\n {2}.*pranthora-sip-bridge /);
  });

  it.each([
    [['dance']],
    [['start', '--dance']],
    [['check', '--config']],
    [['check', '--set', 'nonsense']],
    [['route']],
    [['route', '1', '--header', 'nonsense']],
    [['route', '1', '2']],
    [['start', '--watch', '--set', 'routes=']],
    [['capacity', '--config', 'x.yaml']],
    [['capacity', '--seconds', '0']],
    [['capacity', '--calls', 'many']],
  ])('ends with 2 on %j, and says why', async (args) => {
    const io = new TestIo();
    expect(await io.run(args)).toBe(2);
    expect(io.stderr).not.toBe('');
    expect(io.stdout).toBe('');
  });

  it('calls a misspelt command by its name', async () => {
    const io = new TestIo();
    await io.run(['cheque', '--config', 'x.yaml']);
    expect(io.stderr).toBe("error: there is no command 'cheque'\n(--help tells how)\n");
  });

  it('lists every fault on a line of its own', async () => {
    const io = new TestIo();
    const file = temporaryFile('sip: {engine: asterisk}\nroutes: [{default: true}]\nmedia: {engine: freeswitch}\n');
    expect(await io.run(['--config', file])).toBe(2);
    expect(io.stderr.trimEnd().split('\n')).toEqual([
      'sip.engine: expected one of the known values (got "asterisk"; allowed: embedded, drachtio)',
      'routes[0]: needs exactly one of several keys (got none; allowed: agentId, workflowId, targets)',
      'media.freeswitch: media.engine freeswitch needs at least one server',
    ]);
  });
});

describe('check', () => {
  it('prints what is in effect, where it came from, and no secret', async () => {
    const io = new TestIo();
    io.env['LOG_LEVEL'] = 'debug';
    const file = temporaryFile(FILE);
    expect(await io.run(['check', '-c', file, '--set', 'drainMs=5'])).toBe(0);
    expect(io.stdout).toContain(`# file: ${file}\n`);
    expect(io.stdout).toContain('  apiKey: "[redacted]" # environment\n');
    expect(io.stdout).toContain('  port: 8081 # file\n');
    expect(io.stdout).toContain('  level: debug # environment\n');
    expect(io.stdout).toContain('  ports: 30000-30999 # file\n');
    expect(io.stdout).toContain('  codecs: [ G722, PCMU, PCMA ] # default\n');
    expect(io.stdout).toContain('drainMs: 5 # command line\n');
    expect(io.stdout).toContain('routes:\n  # file\n');
    expect(io.stdout + io.stderr).not.toMatch(new RegExp(`${KEY}|hidden-secret`));
    expect(io.stderr).toBe('');
  });

  it('prints a file that would configure the same', async () => {
    const io = new TestIo();
    const file = temporaryFile(FILE);
    await io.run(['check', '-c', file]);
    const printed = parse(io.stdout) as { routes: { apiKey?: string }[] };
    for (const route of printed.routes) delete route.apiKey;
    const again = loadConfig({ file: temporaryFile(JSON.stringify(printed)), env: {} });
    const { config } = loadConfig({ file, env: { PRANTHORA_API_KEY: '[redacted]', DRACHTIO_SECRET: '[redacted]' } });
    expect(again.config).toEqual(config);
  });

  it('warns, and refuses what cannot be run', async () => {
    const warned = new TestIo();
    expect(await warned.run(['check', '-c', temporaryFile(FILE), '--set', 'media.ports=20000-20001'])).toBe(0);
    expect(warned.stderr).toMatch(/^warning: media\.ports: .* room for 1 calls/);
    const refused = new TestIo();
    expect(await refused.run(['check', '-c', temporaryFile(FILE), '--set', 'sip.listen=tls://0.0.0.0:5061'])).toBe(2);
    expect(refused.stderr).toContain('sip.tls.certFile: required by tls:// in sip.listen\n');
    const engine = new TestIo();
    expect(await engine.run(['check', '-c', temporaryFile(FILE), '--set', 'sip.engine=drachtio'])).toBe(0);
  });
});

describe('route', () => {
  async function ask(...args: string[]): Promise<{ code: number; text: string }> {
    const io = new TestIo();
    delete io.env['PRANTHORA_API_KEY'];
    const code = await io.run(['route', ...args, '--config', temporaryFile(FILE)]);
    expect(io.stderr).toBe('');
    return { code, text: io.stdout };
  }

  it('says which route a call takes, and why not the others; without a key', async () => {
    expect(await ask('1-555-0100', '--from', 'sip:alice@pbx')).toEqual({
      code: 0,
      text: `1-555-0100 takes the route reception: the number is +15550100
  agent a1, then workflow w1; mode websocket; wss://api.pranthora.com
Not taken:
  did:+15550199: the number is not +15550199
  prefix:+1555: the number begins with +1555 and the caller is among alice, but reception comes first
  pattern:^9: the number does not match ^9
`,
    });
  });

  it('says what else becomes of the call', async () => {
    const { text } = await ask('15550199');
    expect(text.split('\n').slice(2, 5)).toEqual([
      '  without an agent: 302 to sip:desk@pbx.example, or a transfer there once answered',
      '  when the agent ends the call: transfer to sip:survey@pbx.example',
      '  digits: 0: transfer to sip:operator@pbx.example; #: hang up',
    ]);
  });

  it('reads headers in any case', async () => {
    const { code, text } = await ask('911', '--header', 'x-tenant: sales', '--header', 'Other: a:b');
    expect(code).toBe(0);
    expect(text).toMatch(/^911 takes the route pattern:\^9: the number matches \^9 and header X-Tenant is "sales"\n/);
  });

  it('looks for the number where sip.didFrom says', async () => {
    const places = 'sip.didFrom=diversion,to';
    const diversion = ['--header', 'Diversion: <tel:+1-555-0100>;reason=unconditional'];
    expect((await ask('100', '--set', places, ...diversion, '--peer', '192.0.2.1')).text).toMatch(
      /^\+15550100 \(diversion\) takes the route reception: /,
    );
    expect((await ask('100', '--set', places, '--to', 'sip:15550199@pbx')).text).toMatch(
      /^15550199 \(to\) takes the route did:\+15550199: /,
    );
    expect((await ask('15550100', '--set', places)).text).toMatch(/^15550100 takes the route reception: /);
  });

  it('ends with 1 when no route takes the call', async () => {
    const { code, text } = await ask('911');
    expect(code).toBe(1);
    expect(text).toMatch(/^911 takes no route: the call gets 404\nNot taken:\n/);
    expect(text).toContain('pattern:^9: header X-Tenant is not "sales"');
  });
});
