import { describe, expect, it } from 'vitest';
import {
  digestHa1,
  digestResponse,
  formatAnswer,
  parseChallenges,
  type DigestAlgorithm,
} from '../../../src/signaling/auth/digest.js';
import { GuessBackOff } from '../../../src/signaling/auth/guess-back-off.js';
import { InboundAuth, type AuthVerdict, type InboundAuthSettings } from '../../../src/signaling/auth/inbound-auth.js';
import { Nonces } from '../../../src/signaling/auth/nonces.js';
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

  nonce(address?: string): string {
    const challenges = challengesOf(this.judge(undefined, address));
    return challenges[0]?.nonce ?? '';
  }

  guess(address?: string): AuthVerdict | undefined {
    return this.judge(authorization({ nonce: this.nonce(address), password: 'guess' }), address);
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

  it.each([10, 100, 1_000])('holds nothing against an address for %s answers to a nonce it was not sent', (forged) => {
    const rig = new Rig();
    const elsewhere = rig.nonce('192.0.2.66');
    for (let count = 0; count < forged; count++) {
      const nonce = ['0', '', 'AAAA', elsewhere, `${elsewhere}x`][count % 5] ?? '';
      const verdict = rig.judge(authorization({ nonce, user: 'x', password: 'guess' }));
      expect(challengesOf(verdict)).toMatchObject([{ stale: true }, { stale: true }]);
    }
    expect(rig.judge(authorization({ nonce: rig.nonce() }))).toMatchObject({ verdict: 'admitted' });
    expect(rig.guess()).toMatchObject({ verdict: 'challenged' });
    expect(rig.logger.lines.map(({ event }) => event)).toEqual(['sip.auth_failed']);
  });

  it('takes a nonce from the address alone that it was sent to, whatever its port and spelling', () => {
    const rig = new Rig();
    const answers = (issuedTo: string, from: string) =>
      rig.judge(authorization({ nonce: rig.nonce(issuedTo) }), from)?.verdict;
    expect(answers('192.0.2.7', '::ffff:192.0.2.7')).toBe('admitted');
    expect(answers('::ffff:c000:207', '192.0.2.7')).toBe('admitted');
    expect(answers('2001:db8::7', '2001:DB8:0:0::7')).toBe('admitted');
    expect(answers('fe80::7%eth0', 'fe80::7')).toBe('admitted');
    expect(answers('192.0.2.7', '192.0.2.8')).toBe('challenged');
    expect(answers('2001:db8::7', '2001:db8::8')).toBe('challenged');
    expect(rig.logger.lines).toEqual([]);
  });

  it('takes a nonce for the realm alone that it was made for', () => {
    const rig = new Rig();
    const nonce = rig.nonce();
    rig.auth.configure({ realm: 'another', users: USERS, algorithms: ['SHA-256'] });
    const header = authorization({ nonce, password: 'guess' }).replace('realm="bridge"', 'realm="another"');
    expect(challengesOf(rig.judge(header))).toMatchObject([{ realm: 'another', stale: true }]);
    expect(rig.logger.lines).toEqual([]);
  });

  it.each([10, 100, 1_000])('takes the right answer at once after %s guesses from the very address', (guesses) => {
    const rig = new Rig();
    for (let count = 0; count < guesses; count++) rig.guess();
    expect(rig.judge(authorization({ nonce: rig.nonce() }))).toEqual({ verdict: 'admitted', user: 'alice' });
    // Whoever shares the address goes on waiting.
    if (guesses > 10) expect(rig.guess()).toMatchObject({ verdict: 'refused' });
  });

  it('lets who guesses wait, longer each time, and says so in a line for each wait', () => {
    const rig = new Rig();
    for (let guess = 1; guess <= 10; guess++) expect(rig.guess()).toMatchObject({ verdict: 'challenged' });
    for (let guess = 1; guess <= 100; guess++) expect(rig.guess()).toEqual({ verdict: 'refused', retryAfterSec: 1 });
    expect(rig.guess('192.0.2.8')).toMatchObject({ verdict: 'challenged' });
    const waits: number[] = [];
    for (let wait = 1; wait <= 13; wait++) {
      const verdict = rig.guess();
      const waitSec = verdict?.verdict === 'refused' ? verdict.retryAfterSec : 0;
      waits.push(waitSec);
      rig.clock.advance(waitSec * 1_000);
      expect(rig.guess()).toMatchObject({ verdict: 'challenged' });
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]);
    const locked = rig.logger.lines.filter(({ event }) => event === 'sip.auth_locked');
    expect(locked).toHaveLength(14);
    expect(locked[0]).toMatchObject({
      level: 'warn',
      address: '192.0.2.7',
      user: 'alice',
      attempts: 10,
      lockMs: 1_000,
    });
    expect(locked[1]).toMatchObject({ attempts: 112, lockMs: 2_000 });
    expect(rig.logger.lines).toHaveLength(14 + 10 + 1 + 13);
  });

  it('forgets who has not guessed for a while', () => {
    const rig = new Rig();
    for (let guess = 1; guess <= 11; guess++) rig.guess();
    rig.clock.advance(1_000 + 10 * 60_000);
    for (let guess = 1; guess <= 10; guess++) expect(rig.guess()).toMatchObject({ verdict: 'challenged' });
  });

  it('counts the guesses of an IPv6 network as those of one source', () => {
    const rig = new Rig();
    for (let guess = 1; guess <= 10; guess++) rig.guess(`2001:db8::${guess}`);
    expect(rig.guess('2001:db8::99')).toMatchObject({ verdict: 'refused' });
    expect(rig.guess('2001:db8:0:1::1')).toMatchObject({ verdict: 'challenged' });
  });

  it('does not tell a user who is known from one who is not', () => {
    const outcomes = ['alice', 'mallory'].map((user) => {
      const rig = new Rig();
      return Array.from({ length: 30 }, () => {
        const verdict = rig.judge(authorization({ user, password: 'guess', nonce: rig.nonce() }));
        return JSON.stringify(verdict).replace(/nonce=\\"[^"]*"/g, '');
      });
    });
    expect(outcomes[0]).toEqual(outcomes[1]);
  });

  it('counts no answer of an observed call as a guess', () => {
    const rig = new Rig();
    const answer = authorization({ nonce: rig.nonce() });
    for (let replay = 0; replay < 100; replay++) rig.judge(answer);
    expect(rig.logger.lines).toEqual([]);
    expect(rig.guess()).toMatchObject({ verdict: 'challenged' });
  });

  it('logs no more of a user than names have', () => {
    const rig = new Rig();
    rig.judge(authorization({ user: 'x'.repeat(500), nonce: rig.nonce() }));
    expect(rig.logger.lines).toMatchObject([{ user: 'x'.repeat(64) }]);
  });

  it('takes new users and passwords over', () => {
    const rig = new Rig();
    rig.auth.configure({ realm: REALM, algorithms: ['SHA-256'], users: [{ user: 'alice', password: 'new' }] });
    expect(rig.judge(authorization({ nonce: rig.nonce() }))).toMatchObject({ verdict: 'challenged' });
    expect(rig.judge(authorization({ nonce: rig.nonce(), password: 'new' }))).toMatchObject({ verdict: 'admitted' });
  });
});

const HOLDER = { realm: REALM, address: '192.0.2.7' };

function use(nonces: Nonces, nonce: string, count: number | undefined): boolean {
  const issued = nonces.read(nonce, HOLDER);
  return issued !== undefined && nonces.use(issued, count);
}

describe('Nonces', () => {
  it('forgets the oldest use when there are too many, and then takes nothing that may have been used', () => {
    const clock = new FakeClock();
    const nonces = new Nonces(clock, 3);
    const made = Array.from({ length: 5 }, () => {
      clock.advance(1);
      return nonces.issue(HOLDER);
    });
    for (const nonce of made) expect(use(nonces, nonce, 1)).toBe(true);
    expect(nonces.remembered).toBe(3);
    // Forgotten, so they may not be used at all any more; the others go on.
    for (const nonce of made.slice(0, 2)) expect(use(nonces, nonce, 2)).toBe(false);
    for (const nonce of made.slice(2)) expect(use(nonces, nonce, 2)).toBe(true);
  });

  it('forgets what is too old to be used anyway', () => {
    const clock = new FakeClock();
    const nonces = new Nonces(clock);
    for (let count = 0; count < 500; count++) {
      expect(use(nonces, nonces.issue(HOLDER), 1)).toBe(true);
      clock.advance(10_000);
    }
    expect(nonces.remembered).toBeLessThanOrEqual(32);
  });

  it('takes no nonce with one bit changed, nor in another spelling', () => {
    const nonces = new Nonces(new FakeClock());
    const bytes = Buffer.from(nonces.issue(HOLDER), 'base64url');
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const changed = Buffer.from(bytes);
      const at = bit >> 3;
      changed[at] = (changed[at] ?? 0) ^ (1 << (bit & 7));
      expect(use(nonces, changed.toString('base64url'), 1)).toBe(false);
    }
    const nonce = bytes.toString('base64url');
    expect(use(nonces, `${nonce} `, 1)).toBe(false);
    expect(use(nonces, nonce, 0)).toBe(false);
    expect(use(nonces, nonce, 1)).toBe(true);
  });
});

describe('GuessBackOff', () =>
  it('remembers so many sources and no more', () => {
    const backOff = new GuessBackOff(new FakeClock());
    for (let source = 0; source < 20_000; source++) backOff.guessed(`10.0.${source >> 8}.${source & 255}`);
    expect(backOff.size).toBe(10_000);
  }));
