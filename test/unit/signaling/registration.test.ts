import { describe, expect, it } from 'vitest';
import type { OutsideRequest, OutsideResponse } from '../../../src/signaling/drachtio/outside-request.js';
import {
  Registration,
  type RegistrationFailure,
  type RegistrationSettings,
} from '../../../src/signaling/registration/registration.js';
import { FakeClock } from '../../support/fake-clock.js';

const SETTINGS: RegistrationSettings = {
  name: 'pbx',
  registrar: 'sip:pbx.example:5070;transport=tcp',
  user: '1001',
  authUser: 'auth-1001',
  password: 'secret',
  contactUser: 'bridge',
  expiresSec: 300,
};

const REGISTRAR = '192.0.2.10';
const CONTACT = '<sip:bridge@198.51.100.4:5060>';

interface Sent {
  readonly request: OutsideRequest;
  readonly resolve: (response: OutsideResponse) => void;
  readonly reject: (error: Error) => void;
}

function response(status: number, headers: Readonly<Record<string, string>> = {}): OutsideResponse {
  return {
    ...{ status, reason: `R${status}`, sourceAddress: REGISTRAR, sentContact: `${CONTACT};expires=300` },
    get: (name) => headers[name],
  };
}

const bound = (expiresSec: number): OutsideResponse => response(200, { Contact: `${CONTACT};expires=${expiresSec}` });
const challenge = (nonce: string): OutsideResponse =>
  response(401, { 'WWW-Authenticate': `Digest realm="r", nonce="${nonce}", qop="auth"` });

/** Lets every promise that can go on do so. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Rig {
  readonly clock = new FakeClock();
  readonly sent: Sent[] = [];
  readonly registered: number[] = [];
  readonly failures: RegistrationFailure[] = [];
  random = 0;
  readonly registration: Registration;

  constructor(settings: Partial<RegistrationSettings> = {}) {
    this.registration = new Registration(
      { ...SETTINGS, ...settings },
      {
        clock: this.clock,
        random: () => this.random,
        send: (request) =>
          new Promise((resolve, reject) => {
            this.sent.push({ request, resolve, reject });
          }),
        onRegistered: (expiresSec) => this.registered.push(expiresSec),
        onFailed: (failure) => this.failures.push(failure),
      },
    );
  }

  get last(): Sent {
    const sent = this.sent.at(-1);
    if (!sent) throw new Error('nothing sent');
    return sent;
  }

  header(name: string): string {
    return this.last.request.headers[name] ?? '';
  }

  async answer(with_: OutsideResponse): Promise<void> {
    this.last.resolve(with_);
    await settle();
  }

  /** Registered, with nothing under way but the refresh. */
  static async bound(expiresSec = 300, settings: Partial<RegistrationSettings> = {}): Promise<Rig> {
    const rig = new Rig(settings);
    rig.registration.begin();
    await rig.answer(bound(expiresSec));
    return rig;
  }

  async end(): Promise<void> {
    await this.registration.stop({ unbind: false });
    expect(this.clock.pendingTimers).toBe(0);
  }
}

describe('Registration', () => {
  it.each([
    [408, 'no answer'],
    [503, 'the request could not be sent, or its connection was lost'],
  ])('that nobody answered does not say that somebody said %i', async (status, reason) => {
    const rig = new Rig();
    rig.registration.begin();
    await rig.answer(response(status, { To: '<sip:1001@pbx.example>' }));
    expect(rig.failures).toEqual([{ reason, misconfigured: false, retryAfterMs: 1_500 }]);
    await rig.end();
    const heard = new Rig();
    heard.registration.begin();
    await heard.answer(response(status, { To: '<sip:1001@pbx.example>;tag=r' }));
    expect(heard.failures).toMatchObject([{ status, reason: `${status} R${status}` }]);
    await heard.end();
  });

  it('asks for its binding under its address of record', async () => {
    const rig = new Rig({ proxy: 'sip:192.0.2.1' });
    expect(rig.registration.status()).toMatchObject({ state: 'waiting', bound: false });
    rig.registration.begin();
    expect(rig.last.request).toMatchObject({ method: 'REGISTER', uri: SETTINGS.registrar, proxy: 'sip:192.0.2.1' });
    expect(rig.last.request.headers).toMatchObject({
      From: expect.stringMatching(/^<sip:1001@pbx\.example>;tag=\w{16}$/) as string,
      To: '<sip:1001@pbx.example>',
      CSeq: '1 REGISTER',
      Contact: '<sip:bridge@localhost>;expires=300',
      Expires: '300',
    });
    await rig.answer(challenge('n'));
    expect(rig.header('Authorization')).toContain('username="auth-1001"');
    expect(rig.header('CSeq')).toBe('2 REGISTER');
    expect(rig.sent.map(({ request }) => request.headers['Call-ID'])).toEqual([
      rig.header('Call-ID'),
      rig.header('Call-ID'),
    ]);
    await rig.answer(bound(120));
    expect(rig.registration.status()).toEqual({
      ...{ name: 'pbx', state: 'registered', bound: true, expiresSec: 120, detail: '' },
    });
    expect(rig.registered).toEqual([120]);
    await rig.end();
  });

  it.each([
    [0, 150_000],
    [0.99, 224_250],
  ])('refreshes after half to three quarters of what was granted (random %d)', async (random, afterMs) => {
    const rig = new Rig();
    rig.random = random;
    rig.registration.begin();
    await rig.answer(bound(300));
    rig.clock.advance(afterMs - 1);
    expect(rig.sent).toHaveLength(1);
    rig.clock.advance(1);
    expect(rig.sent).toHaveLength(2);
    await rig.answer(bound(300));
    // News once, however often it is refreshed.
    expect(rig.registered).toEqual([300]);
    expect(rig.clock.pendingTimers).toBe(1);
    await rig.end();
  });

  it.each([
    ['its own Contact', { Contact: `<sip:x@h>;expires=9, "B, <x>" ${CONTACT};q=1;expires="77"`, Expires: '60' }, 77],
    [
      'the one it sent among two of its own',
      { Contact: `<sip:bridge@203.0.113.1>;expires=9,${CONTACT};expires=88` },
      88,
    ],
    ['its Contact as the registrar rewrote it', { Contact: '<sip:bridge@203.0.113.9:1024>;expires=66' }, 66],
    ...[
      'sip:bridge@198.51.100.4:5060;expires=200;q=1',
      'sip:bridge@198.51.100.4 ; q=1 ; Expires = 200',
      'sip:bridge@198.51.100.4;transport=tcp;expires="200"',
      'sip:bridge@198.51.100.4;+sip.instance="<urn:uuid:1>;expires=7,";expires=200',
      `"<sip:bridge@198.51.100.4>;expires=7, \\"" <sip:desk@h>;expires=9, ${CONTACT};expires=200`,
      'sip:desk@203.0.113.1;expires=9,sip:bridge@198.51.100.4;expires=200,sip:x@h',
      `sip:bridge@203.0.113.1;expires=9, Joe, Jr <sip:bridge@198.51.100.4:5060>;expires=200, <sip:bridge@h>;expires=3`,
      `Joe "x <sip:bridge@198.51.100.4>;expires=200`,
      `<sip:bridge@198.51.100.4:50601>;expires=9, <SIP:bridge@198.51.100.4:5060;ob>;reg-id=1;expires=200`,
      `*, ${CONTACT};expires=200`,
    ].map((Contact): [string, Record<string, string>, number] => [Contact, { Contact }, 200]),
    ['the shortest of those like ours', { Contact: '<sip:bridge@h1>;expires=90,<sip:bridge@h2>;expires=66' }, 66],
    ['the Expires header', { Contact: CONTACT, Expires: '60' }, 60],
    ['nothing but the 200', {}, 300],
    ['a day at most', { Contact: `${CONTACT};expires=9999999999` }, 86_400],
  ])('takes what was granted from %s', async (_, headers, expiresSec) => {
    const rig = new Rig();
    rig.registration.begin();
    await rig.answer(response(200, headers));
    expect(rig.registration.status()).toMatchObject({ state: 'registered', expiresSec });
    await rig.end();
  });

  it.each([
    { Contact: '<sip:other@h>;expires=60' },
    { Contact: `${CONTACT};expires=0` },
    { Contact: '*' },
    { Contact: '' },
    { Contact: 'sip:bridges@198.51.100.4;expires=60' },
    { Contact: '"<sip:bridge@198.51.100.4>;expires=60" <sip:x@h>' },
  ])('is not fooled by a 200 that binds somebody else: %j', async (headers) => {
    const rig = new Rig();
    rig.registration.begin();
    await rig.answer(response(200, headers));
    expect(rig.registration.status()).toMatchObject({ state: 'failing', bound: false });
    expect(rig.failures).toMatchObject([{ misconfigured: false }]);
    await rig.end();
  });

  it.each(['"', '\\"', '<', ',', 'a,', '";', ';', ';expires', '="', '<,>"'])(
    'stands a 200 full of %s',
    async (piece) => {
      const rig = new Rig();
      rig.registration.begin();
      await rig.answer(response(200, { Contact: piece.repeat(60_000) }));
      expect(rig.registration.status()).toMatchObject({ bound: false });
      await rig.end();
    },
  );

  it('asks for longer when its time is too brief', async () => {
    const rig = new Rig();
    rig.registration.begin();
    await rig.answer(response(423, { 'Min-Expires': '3600' }));
    expect(rig.header('Expires')).toBe('3600');
    expect(rig.failures).toEqual([]);
    // The same again is no answer to that.
    await rig.answer(response(423, { 'Min-Expires': '3600' }));
    expect(rig.failures).toMatchObject([{ status: 423, retryAfterMs: 1_500 }]);
    await rig.end();
  });

  it('tries again ever more slowly, says so once for each reason, and once when it is well again', async () => {
    const rig = new Rig();
    rig.random = 1;
    rig.registration.begin();
    const delays: number[] = [];
    for (let attempt = 0; attempt < 10; attempt++) {
      await rig.answer(response(503));
      delays.push((rig.clock.nextTimerAtMs ?? 0) - rig.clock.nowMs());
      rig.clock.advance(delays.at(-1) ?? 0);
    }
    expect(delays.map((ms) => ms / 1_000)).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    expect(rig.failures).toMatchObject([
      { status: 503, reason: '503 R503', misconfigured: false, retryAfterMs: 2_000 },
    ]);
    rig.last.reject(new Error('no response'));
    await settle();
    expect(rig.failures).toHaveLength(2);
    expect(rig.failures[1]).toMatchObject({ reason: 'no response' });
    expect(rig.failures[1]).not.toHaveProperty('status');
    rig.clock.advance(300_000);
    await rig.answer(bound(300));
    expect(rig.registered).toEqual([300]);
    expect(rig.registration.status().detail).toBe('');
    await rig.end();
  });

  it('waits as long as the registrar says', async () => {
    const rig = new Rig();
    rig.registration.begin();
    await rig.answer(response(503, { 'Retry-After': '90 (maintenance);duration=3' }));
    expect(rig.failures).toMatchObject([{ retryAfterMs: 90_000 }]);
    rig.clock.advance(90_000);
    await rig.answer(response(500, { 'Retry-After': '999999' }));
    expect(rig.failures[1]).toMatchObject({ retryAfterMs: 3_600_000 });
    await rig.end();
  });

  it('calls a wrong password a fault of the configuration, and does not hammer', async () => {
    const rig = new Rig();
    rig.registration.begin();
    await rig.answer(challenge('n1'));
    await rig.answer(challenge('n2'));
    expect(rig.failures).toMatchObject([
      { status: 401, reason: '401 R401: user or password is wrong', misconfigured: true, retryAfterMs: 450_000 },
    ]);
    expect(rig.sent).toHaveLength(2);
    expect(rig.registration.status()).toMatchObject({ state: 'failing', bound: false });
    await rig.end();
  });

  it('stays bound, and its registrar trusted, until its time is over, though refreshing fails', async () => {
    const rig = await Rig.bound(100);
    expect(rig.registration.isFrom(REGISTRAR)).toBe(true);
    expect(rig.registration.isFrom('192.0.2.11')).toBe(false);
    rig.clock.advance(50_000);
    rig.last.reject(new Error('no response'));
    await settle();
    expect(rig.registration.status()).toMatchObject({ state: 'failing', bound: true, detail: 'no response' });
    expect(rig.registration.isFrom(REGISTRAR)).toBe(true);
    rig.clock.advance(50_000);
    expect(rig.registration.status().bound).toBe(false);
    expect(rig.registration.isFrom(REGISTRAR)).toBe(false);
    await rig.end();
  });

  it('registers at once when the SIP server is back, and nothing from before matters any more', async () => {
    const rig = await Rig.bound();
    rig.clock.advance(150_000);
    const old = rig.last;
    rig.registration.pause();
    expect(rig.registration.status()).toMatchObject({ state: 'waiting', bound: true });
    expect(rig.clock.pendingTimers).toBe(0);
    rig.registration.begin();
    expect(rig.sent).toHaveLength(3);
    old.reject(new Error('no response'));
    await settle();
    expect(rig.failures).toEqual([]);
    await rig.answer(bound(300));
    expect(rig.registered).toEqual([300, 300]);
    await rig.end();
  });

  it('takes its binding back at the end, with credentials when asked', async () => {
    const rig = await Rig.bound();
    const stopped = rig.registration.stop({ unbind: true });
    expect(rig.header('Contact')).toBe('<sip:bridge@localhost>;expires=0');
    expect(rig.header('Expires')).toBe('0');
    await rig.answer(challenge('n'));
    await rig.answer(response(200));
    await stopped;
    expect(rig.registration.status()).toMatchObject({ state: 'ended', bound: false });
    expect(rig.clock.pendingTimers).toBe(0);
    rig.registration.begin();
    expect(rig.sent).toHaveLength(3);
  });

  it('does not wait long for a registrar that says nothing, nor at all where there is nothing to take back', async () => {
    const rig = await Rig.bound();
    let isStopped = false;
    const stopped = rig.registration.stop({ unbind: true }).then(() => (isStopped = true));
    rig.clock.advance(1_999);
    await settle();
    expect(isStopped).toBe(false);
    rig.clock.advance(1);
    await stopped;
    const fresh = new Rig();
    await fresh.registration.stop({ unbind: true });
    expect(fresh.sent).toEqual([]);
    const paused = await Rig.bound();
    paused.registration.pause();
    await paused.registration.stop({ unbind: true });
    expect(paused.sent).toHaveLength(1);
  });

  it('lives through a day', async () => {
    const rig = await Rig.bound();
    rig.random = 0.5;
    for (let count = 0; count < 461; count++) {
      rig.clock.advance(187_500);
      expect(rig.registration.status().bound).toBe(true);
      await rig.answer(bound(300));
    }
    expect(rig.header('CSeq')).toBe('462 REGISTER');
    expect(rig.registered).toEqual([300]);
    await rig.end();
  });
});
