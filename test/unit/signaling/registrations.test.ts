import { describe, expect, it, vi } from 'vitest';
import type { Logger } from '../../../src/logger.js';
import { InboundAuth } from '../../../src/signaling/auth/inbound-auth.js';
import { InviteGate } from '../../../src/signaling/auth/invite-gate.js';
import type { OutsideRequest, OutsideResponse } from '../../../src/signaling/drachtio/outside-request.js';
import { Registrations, type WantedRegistration } from '../../../src/signaling/registration/registrations.js';
import type { IncomingInvite } from '../../../src/signaling/sip-endpoint.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeInvite } from '../../support/fake-invite.js';
import { RecordingLogger } from '../../support/recording-logger.js';

const REGISTRAR = '192.0.2.10';

/** Without a `contactUser`. */
function bare(changes: Partial<WantedRegistration> = {}): WantedRegistration {
  const user = changes.user ?? '1001';
  return {
    ...{ name: user, registrar: 'sip:pbx.example', user, authUser: user, password: 'secret-0815' },
    ...{ expiresSec: 300, ...changes },
  };
}

function settings(changes: Partial<WantedRegistration> = {}): WantedRegistration {
  return bare({ contactUser: changes.user ?? '1001', ...changes });
}

/** Lets every promise that can go on do so. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** With a registrar that binds whoever asks, or says what it is told to say. */
class Rig {
  readonly clock = new FakeClock();
  readonly logger = new RecordingLogger();
  readonly sent: OutsideRequest[] = [];
  status = 200;
  /** Whether the registrar asks for a password. */
  asks = false;
  readonly registrations = new Registrations({
    clock: this.clock,
    logger: this.logger,
    random: () => 0,
    send: (request) => {
      this.sent.push(request);
      return Promise.resolve(this.#answer(request));
    },
  });

  #answer({ headers }: OutsideRequest): OutsideResponse {
    const contact = headers['Contact'];
    if (this.asks && headers['Authorization'] === undefined) {
      const challenge = (name: string): string | undefined =>
        name === 'WWW-Authenticate' ? 'Digest realm="pbx", nonce="n"' : undefined;
      return { status: 401, reason: 'R', sourceAddress: REGISTRAR, sentContact: contact, get: challenge };
    }
    const get = (name: string): string | undefined => (name === 'Contact' ? contact : undefined);
    return { status: this.status, reason: 'R', sourceAddress: REGISTRAR, sentContact: contact, get };
  }

  /** User of the Contact of the last REGISTER. */
  get contactUser(): string {
    return /<sip:([^@]*)@/.exec(this.sent.at(-1)?.headers['Contact'] ?? '')?.[1] ?? '';
  }

  /** User and Expires of each REGISTER since the last time. */
  takeSent(): string[] {
    return this.sent
      .splice(0)
      .map(({ headers }) => `${/sip:(\w+)@/.exec(headers['To'] ?? '')?.[1] ?? ''} ${headers['Expires'] ?? ''}`);
  }
}

describe('Registrations', () => {
  it.each([true, false])('gives a call over one its credentials where they were asked for: %s', async (asks) => {
    const rig = new Rig();
    rig.asks = asks;
    const { registrations, clock, logger } = rig;
    registrations.configure([settings()]);
    registrations.onConnection(true);
    await settle();
    const passed: IncomingInvite[] = [];
    const gate = new InviteGate({
      ...{ registrations, auth: new InboundAuth({ clock, logger }) },
      allow: () => true,
      isBanned: () => false,
      objection: () => undefined,
      next: (invite) => passed.push(invite),
    });
    gate.onInvite(new FakeInvite({ address: REGISTRAR, number: '1001' }));
    gate.onInvite(new FakeInvite({ number: '1001' }));
    expect(passed.map(({ digest }) => digest !== undefined)).toEqual([asks, false]);
    await registrations.close();
  });

  it('registers a Contact that nobody can guess, the same as long as the process lives', async () => {
    const contacts = async (rig: Rig, wanted: WantedRegistration): Promise<string> => {
      rig.registrations.configure([wanted]);
      rig.registrations.onConnection(true);
      await settle();
      return rig.contactUser;
    };
    const rig = new Rig();
    const first = await contacts(rig, bare());
    expect(first).toMatch(/^b[\da-f]{24}$/);
    rig.takeSent();
    // Another password makes it another registration of the same binding, which is not taken back.
    expect(await contacts(rig, bare({ password: 'another' }))).toBe(first);
    expect(rig.takeSent()).not.toContain('1001 0');
    expect(await contacts(rig, bare({ user: '1002' }))).not.toBe(first);
    expect(await contacts(rig, bare({ registrar: 'sip:other.example' }))).not.toBe(first);
    const another = new Rig();
    expect(await contacts(another, bare())).not.toBe(first);
    for (const { registrations } of [rig, another]) await registrations.close();
  });

  it('takes a call over such a registration only when it is for our Contact, and finds who was dialled', async () => {
    const rig = new Rig();
    rig.registrations.configure([bare()]);
    rig.registrations.onConnection(true);
    await settle();
    const number = rig.contactUser;
    const dialled = (options: ConstructorParameters<typeof FakeInvite>[0]) =>
      rig.registrations.arrivalOf(new FakeInvite({ address: REGISTRAR, number, ...options }))?.dialled;
    // A PBX that calls our Contact itself has it in the To as well.
    expect(dialled({})).toBe('sip:1001@pbx.example');
    const { to } = rig.registrations.arrivalOf(new FakeInvite({ address: REGISTRAR, number })) ?? {};
    expect(to).toEqual({ uri: 'sip:1001@pbx.example', user: '1001' });
    expect(rig.registrations.arrivalOf(new FakeInvite({ address: REGISTRAR, number, to: '1' }))).not.toHaveProperty(
      'to',
    );
    expect(dialled({ to: '+49301' })).toBe('sip:+49301@198.51.100.4');
    expect(dialled({ to: '' })).toBe('sip:1001@pbx.example');
    expect(dialled({ headers: { 'p-called-party-id': '<sip:+49302@pbx>' } })).toBe('sip:+49302@pbx');
    expect(dialled({ headers: { 'p-called-party-id': `<sip:${number}@pbx>` } })).toBe('sip:1001@pbx.example');
    expect(dialled({ number: '1001' })).toBeUndefined();
    expect(dialled({ number: number.slice(0, -1) })).toBeUndefined();
    expect(dialled({ address: '192.0.2.66' })).toBeUndefined();
    await rig.registrations.close();
  });

  it('says what to set when a registrar calls us by another name, seldom', async () => {
    const rig = new Rig();
    const { registrations, clock, logger } = rig;
    const warn = vi.spyOn<Logger, 'warn'>(logger, 'warn');
    registrations.configure([bare(), bare({ user: '1002' })]);
    registrations.onConnection(true);
    await settle();
    const passed: unknown[] = [];
    const gate = new InviteGate({
      ...{ registrations, auth: new InboundAuth({ clock, logger }) },
      allow: (address) => address === '192.0.2.7',
      isBanned: () => false,
      objection: () => undefined,
      next: (_, arrival) => passed.push(arrival),
    });
    const lines = () => logger.lines.filter(({ event }) => event === 'sip.registration_unmatched');
    for (let count = 0; count < 100; count++) gate.onInvite(new FakeInvite({ address: REGISTRAR, number: '1002' }));
    gate.onInvite(new FakeInvite({ address: REGISTRAR, number: `+4930${'1'.repeat(300)}` }));
    gate.onInvite(new FakeInvite({ address: '192.0.2.66', number: '1001' }));
    gate.onInvite(new FakeInvite({ number: '1001' }));
    expect(passed).toEqual(Array.from({ length: 103 }, () => undefined));
    expect(lines()).toMatchObject([
      { level: 'warn', registration: '1002', to: '1002', address: REGISTRAR },
      { registration: '1001', to: `+4930${'1'.repeat(59)}` },
    ]);
    expect(warn.mock.calls[0]?.[1]).toMatch(/set contactUser .*sip\.allow/);
    clock.advance(10 * 60_000);
    await settle();
    gate.onInvite(new FakeInvite({ address: REGISTRAR, number: '1002' }));
    expect(lines()).toHaveLength(3);
    await registrations.close();
  });

  it('waits for the SIP server, and logs changes rather than refreshes', async () => {
    const rig = new Rig();
    rig.registrations.configure([settings(), settings({ user: '1002' })]);
    expect(rig.takeSent()).toEqual([]);
    rig.registrations.onConnection(true);
    await settle();
    expect(rig.takeSent()).toEqual(['1001 300', '1002 300']);
    rig.clock.advance(150_000);
    await settle();
    expect(rig.takeSent()).toEqual(['1001 300', '1002 300']);
    rig.status = 403;
    rig.clock.advance(150_000);
    await settle();
    expect(rig.logger.lines).toMatchObject([
      { level: 'info', event: 'sip.registered', registration: '1001', expiresSec: 300 },
      { level: 'info', event: 'sip.registered', registration: '1002' },
      { level: 'error', event: 'sip.registration_failed', registration: '1001', status: 403 },
      { level: 'error', event: 'sip.registration_failed', registration: '1002' },
    ]);
    expect(JSON.stringify(rig.logger.lines)).not.toContain('secret');
    await rig.registrations.close();
  });

  it('knows a call that comes over a registration by its registrar and our Contact', async () => {
    const rig = new Rig();
    rig.registrations.configure([settings({ contactUser: 'bridge' })]);
    const over = (options: ConstructorParameters<typeof FakeInvite>[0]) =>
      rig.registrations.arrivalOf(new FakeInvite({ address: REGISTRAR, number: 'bridge', ...options }));
    expect(over({})).toBeUndefined();
    rig.registrations.onConnection(true);
    await settle();
    expect(rig.registrations.isRegistrar(REGISTRAR)).toBe(true);
    expect(over({})).toEqual({ registration: '1001', dialled: 'sip:bridge@198.51.100.4' });
    expect(over({ headers: { 'p-called-party-id': '"A" <sip:+49301@pbx>;x=y' } })?.dialled).toBe('sip:+49301@pbx');
    expect(over({ headers: { 'p-called-party-id': 'nonsense' } })?.dialled).toBe('sip:bridge@198.51.100.4');
    expect(over({ number: '1001' })).toBeUndefined();
    expect(over({ address: '192.0.2.11' })).toBeUndefined();
    await rig.registrations.close();
    // Calls that are on their way are still known, until the binding would have ended by itself.
    expect(over({})).toBeDefined();
    rig.clock.advance(300_000);
    expect(over({})).toBeUndefined();
  });

  it('changes by a reload what has changed and nothing else', async () => {
    const rig = new Rig();
    rig.registrations.configure([settings(), settings({ user: '1002' }), settings({ user: '1003' })]);
    rig.registrations.onConnection(true);
    await settle();
    rig.takeSent();
    // One stays, one has a new password, one is gone, one is new.
    const next = [settings(), settings({ user: '1002', password: 'another' }), settings({ user: '1004' })];
    rig.registrations.configure(next);
    await settle();
    expect(rig.takeSent().sort()).toEqual(['1002 300', '1003 0', '1004 300']);
    expect(rig.registrations.status().map(({ name, bound }) => `${name} ${String(bound)}`)).toEqual([
      '1001 true',
      '1002 true',
      '1004 true',
    ]);
    rig.registrations.configure(next);
    expect(rig.takeSent()).toEqual([]);
    await rig.registrations.close();
    expect(rig.takeSent().sort()).toEqual(['1001 0', '1002 0', '1004 0']);
    expect(rig.clock.pendingTimers).toBe(0);
    // Closed is closed.
    rig.registrations.configure([settings({ user: '1005' })]);
    rig.registrations.onConnection(true);
    expect(rig.takeSent()).toEqual([]);
  });

  it('does nothing while the SIP server is away, and registers again when it is back', async () => {
    const rig = new Rig();
    rig.registrations.configure([settings()]);
    rig.registrations.onConnection(true);
    await settle();
    rig.registrations.onConnection(false);
    rig.clock.advance(400_000);
    expect(rig.registrations.status()).toMatchObject([{ state: 'waiting', bound: false }]);
    expect(rig.takeSent()).toHaveLength(1);
    rig.registrations.onConnection(true);
    await settle();
    expect(rig.takeSent()).toEqual(['1001 300']);
    expect(rig.registrations.status()).toMatchObject([{ state: 'registered', bound: true }]);
    await rig.registrations.close();
  });
});
