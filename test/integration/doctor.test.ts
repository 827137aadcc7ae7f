import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { PranthoraSimulator } from '../../src/simulator/pranthora-simulator.js';
import { KEY, TestIo, temporaryFile } from '../unit/cli/support.js';

const running: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((stop) => stop()));
});

async function configFile(overrides: { listen?: string; advertise?: string } = {}): Promise<string> {
  const simulator = new PranthoraSimulator({
    apiKey: KEY,
    scenarioFor: (agentId) => (({ good: 'silent', unknown: 'refuse-4003' }) as const)[agentId as 'good' | 'unknown'],
  });
  const { url } = await simulator.start();
  running.push(() => simulator.stop());
  const { listen = 'udp://127.0.0.1:0', advertise } = overrides;
  return temporaryFile(
    `pranthora: {url: "${url}", apiKey: ${KEY}}
sip: {listen: ["${listen}"]${advertise === undefined ? '' : `, advertise: ${advertise}`}}
media: {bind: 127.0.0.1, ports: 42000-42099}
http: {port: 0}
routes:
  - {did: '1', name: works, agentId: good}
  - {did: '2', name: typo, agentId: unknown}
`,
  );
}

describe('doctor', () => {
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
    expect(io.stdout).toMatch(/^ok {4}sip\.advertise\[1\]\.address: 10\.0\.0\.5$/m);
    expect(io.stdout).toMatch(
      /^FAIL {2}sip\.advertise\[2\]\.address: 127\.0\.0\.3 can only be reached from this machine/m,
    );
  });
});
