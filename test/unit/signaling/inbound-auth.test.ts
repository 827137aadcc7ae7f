import { describe, expect, it } from 'vitest';
import {
  digestHa1,
  digestResponse,
  formatAnswer,
  parseChallenges,
  type DigestAlgorithm,
} from '../../../src/signaling/digest.js';
import { InboundAuth, type AuthVerdict, type InboundAuthSettings } from '../../../src/signaling/inbound-auth.js';
import { Lockout } from '../../../src/signaling/lockout.js';
import { Nonces } from '../../../src/signaling/nonces.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeInvite } from '../../support/fake-invite.js';
import { RecordingLogger } from '../../support/recording-logger.js';

const REALM = 'bridge';
const USERS: InboundAuthSettings['users'] = [
  { user: 'alice', password: 'in wonderland' },
  { user: 'bob', password: 'builder' },
];
const URI = 'sip:15551234@bridge.example';

interface Answering {
  readonly user?: string;
  readonly password?: string;
  readonly algorithm?: DigestAlgorithm;
  readonly nonce: string;
  /** 0: without qop. */
  readonly nc?: number;
}

function authorization({
  user = 'alice',
  password = 'in wonderland',
  algorithm = 'SHA-256',
  ...rest
}: Answering): string {
  const { nonce, nc = 1 } = rest;
  const ha1 = digestHa1(algorithm, user, REALM, password);
  const count = nc === 0 ? undefined : { nc: nc.toString(16).padStart(8, '0'), cnonce: 'c' };
  const response = digestResponse({ algorithm, ha1, method: 'INVITE', uri: URI, nonce, count });
  return formatAnswer({ user, realm: REALM, nonce, uri: URI, algorithm, response, ...(count ? { count } : {}) });
}

class Rig {
  readonly clock = new FakeClock();
  readonly logger = new RecordingLogger();
  readonly auth = new InboundAuth({ clock: this.clock, logger: this.logger });

  constructor(settings: Partial<InboundAuthSettings> = {}) {
    this.auth.configure({ realm: REALM, users: USERS, algorithms: ['SHA-256', 'MD5'], ...settings });
  }

  judge(header?: string, address = '192.0.2.7'): AuthVerdict | undefined {
    const headers: Record<string, string> = header === undefined ? {} : { authorization: header };
    return this.auth.judge(new FakeInvite({ address, headers }));
  }

  nonce(): string {
    const challenges = challengesOf(this.judge());
    return challenges[0]?.nonce ?? '';
  }
}

function challengesOf(verdict: AuthVerdict | undefined) {
  expect(verdict?.verdict).toBe('challenged');
  return verdict?.verdict === 'challenged' ? verdict.challenges.flatMap(parseChallenges) : [];
}

describe('InboundAuth', () => {
  it('asks nobody unless it is configured', () => {
    const rig = new Rig();
    rig.auth.configure(undefined);
    expect(rig.judge()).toBeUndefined();
  });

  it('challenges, one header field for each algorithm, in their order', () => {
    const verdict = new Rig().judge();
    expect(challengesOf(verdict)).toMatchObject([
      { realm: REALM, algorithm: 'SHA-256', qop: true, stale: false },
      { realm: REALM, algorithm: 'MD5', qop: true, stale: false },
    ]);
    expect(verdict).toHaveProperty('challenges.length', 2);
  });

  it.each(['MD5', 'SHA-256'] as const)('lets in who knows the password, with %s', (algorithm) => {
    const rig = new Rig();
    expect(rig.judge(authorization({ algorithm, nonce: rig.nonce() }))).toEqual({ verdict: 'admitted', user: 'alice' });
    expect(rig.logger.lines).toEqual([]);
  });

  it('needs no password where it has the HA1', () => {
    const ha1 = digestHa1('MD5', 'alice', REALM, 'in wonderland').toUpperCase();
    const rig = new Rig({ algorithms: ['MD5'], users: [{ user: 'alice', ha1 }] });
    const nonce = rig.nonce();
    expect(rig.judge(authorization({ algorithm: 'SHA-256', nonce }))).toMatchObject({ verdict: 'challenged' });
    expect(rig.judge(authorization({ algorithm: 'MD5', nonce }))).toMatchObject({ verdict: 'admitted' });
  });

  it.each([
    ['a wrong password', { password: 'guess' }],
    ["another user's password", { user: 'bob' }],
    ['an unknown user', { user: 'mallory' }],
  ])('challenges %s again, and says so in one line without it', (_, answering) => {
    const rig = new Rig();
    const verdict = rig.judge(authorization({ ...answering, nonce: rig.nonce() }));
    expect(challengesOf(verdict)).toMatchObject([{ stale: false }, { stale: false }]);
    expect(rig.logger.lines).toMatchObject([{ event: 'sip.auth_failed', address: '192.0.2.7' }]);
    expect(JSON.stringify(rig.logger.lines)).not.toMatch(/guess|wonderland/);
  });

  it('takes a request once: the same again is stale, and no failure', () => {
    const rig = new Rig();
    const nonce = rig.nonce();
    const answer = authorization({ nonce });
    expect(rig.judge(answer)).toMatchObject({ verdict: 'admitted' });
    expect(challengesOf(rig.judge(answer))).toMatchObject([{ stale: true }, { stale: true }]);
    expect(rig.judge(authorization({ nonce, nc: 2 }))).toMatchObject({ verdict: 'admitted' });
    expect(rig.judge(authorization({ nonce, nc: 9 }))).toMatchObject({ verdict: 'admitted' });
    expect(rig.judge(authorization({ nonce, nc: 8 }))).toMatchObject({ verdict: 'challenged' });
    const other = rig.nonce();
    expect(rig.judge(authorization({ nonce: other, nc: 0 }))).toMatchObject({ verdict: 'admitted' });
    expect(rig.judge(authorization({ nonce: other, nc: 0 }))).toMatchObject({ verdict: 'challenged' });
    expect(rig.judge(authorization({ nonce: other, nc: 1 }))).toMatchObject({ verdict: 'challenged' });
    expect(rig.logger.lines).toEqual([]);
  });

  it('takes no nonce that is old, of an earlier run, or made up', () => {
    const rig = new Rig();
    const nonce = rig.nonce();
    rig.clock.advance(5 * 60_000 + 1);
    for (const bad of [nonce, new Rig().nonce(), 'made-up', '', `${rig.nonce()}=`]) {
      expect(challengesOf(rig.judge(authorization({ nonce: bad })))).toMatchObject([{ stale: true }, { stale: true }]);
    }
    expect(rig.logger.lines).toEqual([]);
  });

  it('locks out who guesses, and nobody else, for a while', () => {
    const rig = new Rig();
    const wrong = (): AuthVerdict | undefined => rig.judge(authorization({ nonce: rig.nonce(), password: 'guess' }));
    for (let guess = 1; guess <= 10; guess++) expect(wrong()).toMatchObject({ verdict: 'challenged' });
    expect(rig.judge()).toEqual({ verdict: 'locked' });
    const right = authorization({ nonce: new Rig().nonce() });
    for (let attempt = 0; attempt < 1_000; attempt++) expect(rig.judge(right)).toEqual({ verdict: 'locked' });
    expect(rig.judge(undefined, '192.0.2.8')).toMatchObject({ verdict: 'challenged' });
    expect(rig.logger.lines.map(({ event }) => event)).toEqual([
      ...Array.from({ length: 10 }, () => 'sip.auth_failed'),
      'sip.auth_locked',
    ]);
    rig.clock.advance(10 * 60_000);
    expect(rig.judge(authorization({ nonce: rig.nonce() }))).toMatchObject({ verdict: 'admitted' });
  });

  it('forgets the failures of a source that proves itself', () => {
    const rig = new Rig();
    for (let attempt = 0; attempt < 30; attempt++) {
      const isWrong = attempt % 5 > 0;
      rig.judge(authorization({ nonce: rig.nonce(), ...(isWrong ? { password: 'typo' } : {}) }));
    }
    expect(rig.judge()).toMatchObject({ verdict: 'challenged' });
  });

  it('takes new users and passwords over', () => {
    const rig = new Rig();
    rig.auth.configure({ realm: REALM, algorithms: ['SHA-256'], users: [{ user: 'alice', password: 'new' }] });
    expect(rig.judge(authorization({ nonce: rig.nonce() }))).toMatchObject({ verdict: 'challenged' });
    expect(rig.judge(authorization({ nonce: rig.nonce(), password: 'new' }))).toMatchObject({ verdict: 'admitted' });
  });
});

describe('Nonces', () => {
  it('forgets the oldest use when there are too many, and then takes nothing that may have been used', () => {
    const clock = new FakeClock();
    const nonces = new Nonces(clock, 3);
    const made = Array.from({ length: 5 }, () => {
      clock.advance(1);
      return nonces.issue();
    });
    for (const nonce of made) expect(nonces.use(nonce, 1)).toBe(true);
    expect(nonces.remembered).toBe(3);
    // Forgotten, so they may not be used at all any more; the others go on.
    for (const nonce of made.slice(0, 2)) expect(nonces.use(nonce, 2)).toBe(false);
    for (const nonce of made.slice(2)) expect(nonces.use(nonce, 2)).toBe(true);
  });

  it('forgets what is too old to be used anyway', () => {
    const clock = new FakeClock();
    const nonces = new Nonces(clock);
    for (let use = 0; use < 500; use++) {
      expect(nonces.use(nonces.issue(), 1)).toBe(true);
      clock.advance(10_000);
    }
    expect(nonces.remembered).toBeLessThanOrEqual(32);
  });

  it('takes no nonce with one bit changed, nor in another spelling', () => {
    const nonces = new Nonces(new FakeClock());
    const bytes = Buffer.from(nonces.issue(), 'base64url');
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const changed = Buffer.from(bytes);
      const at = bit >> 3;
      changed[at] = (changed[at] ?? 0) ^ (1 << (bit & 7));
      expect(nonces.use(changed.toString('base64url'), 1)).toBe(false);
    }
    const nonce = bytes.toString('base64url');
    expect(nonces.use(`${nonce} `, 1)).toBe(false);
    expect(nonces.use(nonce, 0)).toBe(false);
    expect(nonces.use(nonce, 1)).toBe(true);
  });
});

describe('Lockout', () => {
  it('remembers so many sources and no more', () => {
    const lockout = new Lockout(new FakeClock());
    for (let source = 0; source < 20_000; source++) lockout.failed(`10.0.${source >> 8}.${source & 255}`);
    expect(lockout.size).toBe(10_000);
  });
});
