import { describe, expect, it } from 'vitest';
import { InboundAuth } from '../../../src/signaling/inbound-auth.js';
import { InviteGate } from '../../../src/signaling/invite-gate.js';
import type { OutsideRequest, OutsideResponse } from '../../../src/signaling/outside-request.js';
import type { RegistrationSettings } from '../../../src/signaling/registration.js';
import { Registrations } from '../../../src/signaling/registrations.js';
import type { IncomingInvite } from '../../../src/signaling/sip-endpoint.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeInvite } from '../../support/fake-invite.js';
import { RecordingLogger } from '../../support/recording-logger.js';

const REGISTRAR = '192.0.2.10';

function settings(changes: Partial<RegistrationSettings> = {}): RegistrationSettings {
  const user = changes.user ?? '1001';
  return {
    ...{ name: user, registrar: 'sip:pbx.example', user, authUser: user, password: 'secret-0815', contactUser: user },
    ...{ expiresSec: 300, ...changes },
  };
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
      isTiresome: () => false,
      next: (invite) => passed.push(invite),
    });
    gate.onInvite(new FakeInvite({ address: REGISTRAR, number: '1001' }));
    gate.onInvite(new FakeInvite({ number: '1001' }));
    expect(passed.map(({ digest }) => digest !== undefined)).toEqual([asks, false]);
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
