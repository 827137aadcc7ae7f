import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { PranthoraSimulator } from '../../src/simulator/pranthora-simulator.js';
import { SipText, sipText } from '../support/sip-peer.js';
import { KEY, TestIo, temporaryFile } from '../unit/cli/support.js';

const running: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((stop) => stop()));
});

async function configFile(
  overrides: { listen?: string; advertise?: string; registrations?: string; httpPort?: number } = {},
): Promise<string> {
  const simulator = new PranthoraSimulator({
    apiKey: KEY,
    scenarioFor: (agentId) => (({ good: 'silent', unknown: 'refuse-4003' }) as const)[agentId as 'good' | 'unknown'],
  });
  const { url } = await simulator.start();
  running.push(() => simulator.stop());
  const { listen = 'udp://127.0.0.1:0', advertise, registrations = '[]', httpPort = 0 } = overrides;
  return temporaryFile(
    `pranthora: {url: "${url}", apiKey: ${KEY}}
sip: {listen: ["${listen}"], registrations: ${registrations}${advertise === undefined ? '' : `, advertise: ${advertise}`}}
media: {bind: 127.0.0.1, ports: 42000-42099}
http: {port: ${httpPort}}
routes:
  - {did: '1', name: works, agentId: good}
  - {did: '2', name: typo, agentId: unknown}
`,
  );
}

describe('doctor', () => {
  it('asks registrars whether they take the password, and binds nothing', async () => {
    const asked: string[] = [];
    const registrar = createSocket('udp4').bind(0, '127.0.0.1');
    await once(registrar, 'listening');
    running.push(async () => {
      registrar.close();
      await once(registrar, 'close');
    });
    registrar.on('message', (bytes, { port, address }) => {
      const request = new SipText(bytes.toString());
      asked.push(request.raw);
      const isAuthorized = request.header('Authorization').includes('username="alice"');
      const challenge = 'WWW-Authenticate: Digest realm="pbx", nonce="n", algorithm=MD5, qop="auth"';
      const status = isAuthorized ? '200 OK' : request.header('Authorization') ? '403 Forbidden' : '401 Unauthorized';
      const copied = ['Via', 'From', 'Call-ID', 'CSeq'].map((name) => `${name}: ${request.header(name)}`);
      const head = [...copied, `To: ${request.header('To')};tag=r`, ...(isAuthorized ? [] : [challenge])];
      registrar.send(sipText([`SIP/2.0 ${status}`, ...head]), port, address);
    });
    const uri = `sip:127.0.0.1:${registrar.address().port}`;
    const entry = (user: string): string => `{registrar: '${uri}', user: ${user}, password: a-long-password}`;
    const file = await configFile({ registrations: `[${entry('alice')}, ${entry('mallory')}]` });
    const io = new TestIo();
    expect(await io.run(['doctor', '--config', file])).toBe(1);
    expect(io.stdout).toMatch(/^ok {4}registration alice@\S+: 127\.0\.0\.1 knows the user and takes the password$/m);
    expect(io.stdout).toMatch(/^FAIL {2}registration mallory@\S+: 403 Forbidden/m);
    expect(asked.filter((request) => /^Contact:/im.test(request))).toEqual([]);
    expect(asked).toHaveLength(4);
  });

  it('tries no ports beside a running bridge, and speaks JSON', async () => {
    const health = createServer((_request, response) => response.end('{"version": "1.2.3", "components": {}}'));
    health.listen(0, '127.0.0.1');
    await once(health, 'listening');
    running.push(async () => {
      health.close();
      await once(health, 'close');
    });
    const httpPort = (health.address() as AddressInfo).port;
    const io = new TestIo();
    expect(await io.run(['doctor', '--json', '--config', await configFile({ httpPort })])).toBe(1);
    const { ok, findings } = JSON.parse(io.stdout) as { ok: boolean; findings: Record<string, string>[] };
    expect(ok).toBe(false);
    expect(findings[0]).toEqual({
      what: 'ports',
      level: 'note',
      detail: 'not tried: a bridge (1.2.3) is running here',
    });
    expect(findings.filter(({ level }) => level === 'FAIL')).toMatchObject([{ what: 'route typo, agent unknown' }]);
  });

  it('looks at nothing but agents when told so', async () => {
    const io = new TestIo();
    const file = await configFile({ listen: 'udp://0.0.0.0:0', advertise: '127.0.0.1' });
    expect(await io.run(['doctor', '--agents', '--config', file])).toBe(1);
    expect(io.stdout).toMatch(/^ok {4}route works.*\nFAIL {2}route typo.*\n$/);
  });

  it('opens every agent, and says which of them is wrong and why', async () => {
    const io = new TestIo();
    expect(await io.run(['doctor', '--config', await configFile()])).toBe(1);
    expect(io.stdout).toMatch(
      /^ok {4}route works, agent good: connected in \d+ ms, start_media_streaming after \d+ ms$/m,
    );
    expect(io.stdout).toMatch(/^FAIL {2}route typo, agent unknown: .*4003/m);
    expect(io.stdout).toMatch(/^ok {4}rtp 127\.0\.0\.1 ports 42000-42099: room for 50 calls$/m);
    expect(io.stdout).not.toContain(KEY);
  });

  it('finds a port that somebody else has', async () => {
    const other = createSocket('udp4').bind(0, '127.0.0.1');
    await once(other, 'listening');
    running.push(async () => {
      other.close();
      await once(other, 'close');
    });
    const listen = `udp://127.0.0.1:${other.address().port}`;
    const io = new TestIo();
    expect(await io.run(['doctor', '--config', await configFile({ listen })])).toBe(1);
    expect(io.stdout).toContain(`FAIL  ${listen}: in use by another program`);
  });

  it('refuses to advertise loopback to the outside', async () => {
    const io = new TestIo();
    const file = await configFile({ listen: 'udp://0.0.0.0:0', advertise: '127.0.0.1' });
    expect(await io.run(['doctor', '--config', file])).toBe(1);
    expect(io.stdout).toMatch(/^FAIL {2}sip\.advertise: 127\.0\.0\.1 can only be reached from this machine/m);
  });

  it('looks at every address that is advertised, and whom to', async () => {
    const io = new TestIo();
    const rules =
      '[{peers: [127.0.0.0/8], address: 127.0.0.1}, {peers: [10.0.0.0/8], address: 10.0.0.5}, {address: 127.0.0.3}]';
    const file = await configFile({ listen: 'udp://0.0.0.0:0', advertise: rules });
    expect(await io.run(['doctor', '--config', file])).toBe(1);
    expect(io.stdout).toMatch(/^ok {4}sip\.advertise\[0\]\.address: 127\.0\.0\.1$/m);
    expect(io.stdout).toMatch(/^note {2}sip\.advertise\[1\]\.address: 10\.0\.0\.5, no address of this machine/m);
    expect(io.stdout).toMatch(
      /^FAIL {2}sip\.advertise\[2\]\.address: 127\.0\.0\.3 can only be reached from this machine/m,
    );
  });
});
