import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { TestCaller } from '../../src/phone/test-caller.js';
import { BridgeUnderTest, SILENT_LOGGER } from '../support/bridge-under-test.js';
import { drachtio, missingFor, serversToOurselves } from '../support/engines.js';
import { hasKamailio, Kamailio, type KamailioOptions } from '../support/kamailio.js';

const ACCOUNT = { user: 'bridge', password: 'a secret, with blanks' };
/** Nobody may call but over a registration. */
const NOBODY = ['192.0.2.1'];

describe.skipIf(!hasKamailio)('Kamailio as registrar and proxy (skipped when it is not installed)', () => {
  let kamailio: Kamailio;
  let under: BridgeUnderTest;

  afterEach(async () => {
    await kamailio.stop();
  });

  async function begin(options: Partial<KamailioOptions> = {}, registration: object = {}): Promise<void> {
    kamailio = await Kamailio.start({ ...ACCOUNT, ...options });
    const registrations = [{ registrar: kamailio.registrar, name: 'pbx', ...ACCOUNT, ...registration }];
    under = await BridgeUnderTest.start({ config: { sip: { allow: NOBODY, registrations } } });
  }

  async function caller(): Promise<TestCaller> {
    const started = await TestCaller.start({ logger: SILENT_LOGGER });
    onTestFinished(() => started.close());
    return started;
  }

  const uri = (user = ACCOUNT.user, transport = ''): string =>
    `sip:${user}@${kamailio.address}:${kamailio.port}${transport}`;

  /** A call through Kamailio that is answered, and hung up by the caller. */
  async function talk(phone: TestCaller, transport = ''): Promise<void> {
    const call = phone.call(uri(ACCOUNT.user, transport));
    await call.answered;
    await call.hangUp();
    await expect(call.ended).resolves.toMatchObject({ by: 'caller' });
  }

  async function health(): Promise<{
    components: { sip: { status: string; detail: string } };
    registrations: unknown;
  }> {
    const response = await fetch(`${under.bridge.http}/health`);
    return (await response.json()) as Awaited<ReturnType<typeof health>>;
  }

  it.each([
    ['MD5', ''],
    ['SHA-256', ''],
    ['MD5', ';transport=tcp'],
  ] as const)(
    'registers with %s%s, and answers a call that comes over the registration',
    async (algorithm, transport) => {
      await begin({ algorithm });
      const line = await under.log.wait('sip.registered');
      expect(line).toMatchObject({ registration: 'pbx', user: 'bridge', expiresSec: 300 });
      const registered = await kamailio.logged(/REGISTERED .*/);
      expect(registered).toMatch(/<sip:b[\da-f]{24}@127\.0\.0\.1:\d+>;expires=300/);
      expect(registered).toContain(`@127.0.0.1:${under.port('udp')}>`);
      const { components, registrations } = await health();
      expect(components.sip).toMatchObject({ status: 'ok' });
      expect(components.sip.detail).toMatch(/; 1 of 1 registrations$/);
      expect(registrations).toEqual([{ name: 'pbx', state: 'registered', bound: true, expiresSec: 300, detail: '' }]);
      const phone = await caller();
      await talk(phone, transport);
      const ended = await under.log.wait('call.ended');
      expect(ended).toMatchObject({ did: 'bridge', reason: 'caller_hangup', outcome: 'completed' });
      expect(under.log.events('call.received')).toMatchObject([
        { registration: 'pbx', source: { address: kamailio.address, port: kamailio.port } },
      ]);
      // Past the proxy nobody gets in.
      const direct = phone.call(`sip:bridge@127.0.0.1:${under.port('udp')}`);
      await expect(direct.answered).rejects.toThrow('403');
      await under.stop();
      await kamailio.logged(/UNREGISTERED .*expires=0/);
      expect(under.log.events('sip.registered')).toHaveLength(1);
    },
  );

  it('registers over TCP, and is called over TCP', async () => {
    kamailio = await Kamailio.start(ACCOUNT);
    const registrations = [{ registrar: `${kamailio.registrar};transport=tcp`, ...ACCOUNT }];
    under = await BridgeUnderTest.start({ config: { sip: { allow: NOBODY, registrations } } });
    expect(await kamailio.logged(/REGISTERED .*/)).toContain(`@127.0.0.1:${under.port('tcp')};transport=tcp>`);
    await talk(await caller());
    expect(await under.log.wait('call.received')).toMatchObject({ source: { protocol: 'tcp' } });
    // The refreshes keep the connection up, so it is there until the end.
    await under.bridge.stop();
    await under.simulator.stop();
    await kamailio.logged(/UNREGISTERED .*expires=0/);
    expect(under.bridge.held().sip).toMatchObject({ dialogs: 0, clientTransactions: 0, connections: 0 });
  });

  const missing = missingFor({ sip: 'drachtio', media: 'embedded' }).join(' and ');
  it.skipIf(missing !== '')(`through a drachtio-server the same (${missing || 'given'})`, async () => {
    const letGo = await serversToOurselves();
    onTestFinished(letGo);
    kamailio = await Kamailio.start(ACCOUNT);
    const registrations = [{ registrar: kamailio.registrar, name: 'pbx', ...ACCOUNT }];
    const { host, port, secret, sip } = drachtio;
    const engine = { engine: 'drachtio', drachtio: { host, port, secret } };
    under = await BridgeUnderTest.start({ config: { sip: { ...engine, allow: NOBODY, registrations } } });
    expect(await under.log.wait('sip.registered')).toMatchObject({ expiresSec: 300 });
    expect(await kamailio.logged(/REGISTERED .*/)).toContain(`@${sip}`);
    const phone = await caller();
    await talk(phone);
    expect(await under.log.wait('call.ended')).toMatchObject({ outcome: 'completed' });
    // A stranger is refused for ever, and logged a few times.
    for (let attempt = 0; attempt < 20; attempt++) {
      await expect(phone.call(`sip:bridge@${sip}`).answered).rejects.toThrow('403');
    }
    expect(under.log.events('sip.forbidden')).toHaveLength(1);
    expect(under.log.events('call.rejected')).toHaveLength(3);
    await under.bridge.stop();
    await under.simulator.stop();
    await kamailio.logged(/UNREGISTERED .*expires=0/);
  });

  it('asks for longer when 423 says that its time is too brief', async () => {
    await begin({ minExpiresSec: 600 }, { expiresSec: 60 });
    expect(await under.log.wait('sip.registered')).toMatchObject({ expiresSec: 600 });
    await under.stop();
  });

  it('registers again by itself after a Kamailio that has forgotten everything', async () => {
    await begin();
    await under.log.wait('sip.registered');
    await kamailio.kill();
    await kamailio.run();
    const phone = await caller();
    await expect(phone.call(uri()).answered).rejects.toThrow('404');
    const since = kamailio.output.length;
    // Three quarters of what was granted.
    await under.clock.pass(226_000, 10_000);
    await kamailio.logged(/REGISTERED .*/, since);
    await talk(phone);
    expect(under.log.events('sip.registered')).toHaveLength(1);
    expect(under.log.events('sip.registration_failed')).toEqual([]);
    await under.stop();
  });

  it('says so when Kamailio is away, tries on, and registers when it is back', async () => {
    await begin();
    await under.log.wait('sip.registered');
    await kamailio.kill();
    await under.clock.pass(300_000, 1_000);
    expect(await under.log.wait('sip.registration_failed')).toMatchObject({ level: 'warn', registration: 'pbx' });
    expect(await health()).toMatchObject({
      components: { sip: { status: 'degraded' } },
      registrations: [{ state: 'failing', bound: false }],
    });
    // Other calls are taken all the while.
    expect((await fetch(`${under.bridge.http}/ready`)).status).toBe(200);
    await kamailio.run();
    const since = kamailio.output.length;
    await under.clock.pass(400_000, 1_000);
    await kamailio.logged(/REGISTERED .*/, since);
    expect(under.log.events('sip.registered')).toHaveLength(2);
    expect(under.log.events('sip.registration_failed')).toHaveLength(1);
    await talk(await caller());
    await under.stop();
  });

  it('calls a wrong password a fault of the configuration, once, and hardly ever tries again', async () => {
    await begin({}, { password: 'wrong-secret' });
    expect(await under.log.wait('sip.registration_failed')).toMatchObject({
      level: 'error',
      status: 401,
      reason: '401 Unauthorized: user or password is wrong',
    });
    await under.clock.pass(15 * 60_000, 10_000);
    expect(under.log.events('sip.registration_failed')).toHaveLength(1);
    expect(JSON.stringify(under.log.lines)).not.toContain('secret');
    expect(kamailio.output).not.toContain('REGISTERED');
    await under.bridge.stop();
    await under.simulator.stop();
  });
});
