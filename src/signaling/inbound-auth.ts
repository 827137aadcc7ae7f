import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';
import {
  digestHa1,
  digestResponse,
  formatChallenge,
  parseAnswer,
  type DigestAlgorithm,
  type DigestAnswer,
} from './digest.js';
import { Lockout } from './lockout.js';
import { Nonces } from './nonces.js';
import type { IncomingInvite } from './sip-endpoint.js';

/** Who may call, and how they prove it. */
export interface InboundAuthSettings {
  readonly realm: string;
  readonly users: readonly InboundUser[];
  /** Offered in this order. */
  readonly algorithms: readonly DigestAlgorithm[];
}

/** An HA1 is worth the password in this realm, with the one algorithm it was made with. */
export type InboundUser = { readonly user: string } & ({ readonly password: string } | { readonly ha1: string });

/** What becomes of an INVITE: it goes on, gets a 401 with these challenges, or a 403. */
export type AuthVerdict =
  | { readonly verdict: 'admitted'; readonly user: string }
  | { readonly verdict: 'challenged'; readonly challenges: readonly string[] }
  | { readonly verdict: 'locked' };

/** Challenges INVITEs and checks the answers (RFC 3261 section 22.1, RFC 7616, RFC 8760). */
export class InboundAuth {
  readonly #logger: Logger;
  readonly #nonces: Nonces;
  readonly #lockout: Lockout;
  /** Nobody's password: an unknown user costs the same time as a known one. */
  readonly #nobody = randomBytes(16).toString('hex');
  #settings: InboundAuthSettings | undefined;
  /** By user, and then by algorithm. */
  #ha1s = new Map<string, ReadonlyMap<DigestAlgorithm, string>>();

  constructor({ clock, logger }: { readonly clock: Clock; readonly logger: Logger }) {
    this.#logger = logger;
    this.#nonces = new Nonces(clock);
    this.#lockout = new Lockout(clock);
  }

  /** Undefined: INVITEs are not challenged. */
  configure(settings: InboundAuthSettings | undefined): void {
    this.#settings = settings;
    this.#ha1s = new Map(settings?.users.map((user) => [user.user, ha1sOf(user, settings)]));
  }

  /** Undefined when nobody is asked. */
  judge(invite: IncomingInvite): AuthVerdict | undefined {
    const settings = this.#settings;
    if (!settings) return undefined;
    const { address } = invite.source;
    if (this.#lockout.isLocked(address)) return { verdict: 'locked' };
    const header = invite.header('Authorization');
    const answer = header === undefined ? undefined : parseAnswer(header, settings.realm);
    if (!answer || !settings.algorithms.includes(answer.algorithm)) return this.#challenge(settings, false);
    if (!this.#isRight(answer)) {
      this.#noteFailure(invite, answer);
      return this.#challenge(settings, false);
    }
    const count = answer.count && Number.parseInt(answer.count.nc, 16);
    if (!this.#nonces.use(answer.nonce, count)) return this.#challenge(settings, true);
    this.#lockout.succeeded(address);
    return { verdict: 'admitted', user: answer.user };
  }

  #challenge({ realm, algorithms }: InboundAuthSettings, stale: boolean): AuthVerdict {
    const nonce = this.#nonces.issue();
    const challenges = algorithms.map((algorithm) => formatChallenge({ realm, nonce, algorithm, qop: true, stale }));
    return { verdict: 'challenged', challenges };
  }

  /** The digest-uri is taken as it is: proxies change the Request-URI, and the nonce is good for one request anyway. */
  #isRight({ user, algorithm, nonce, uri, count, response }: DigestAnswer): boolean {
    const known = this.#ha1s.get(user)?.get(algorithm);
    const ha1 = known ?? this.#nobody;
    const expected = digestResponse({ algorithm, ha1, method: 'INVITE', uri, nonce, count });
    return isSameText(response, expected) && known !== undefined;
  }

  #noteFailure({ callId, source: { address } }: IncomingInvite, { user }: DigestAnswer): void {
    const shown = user.slice(0, 64);
    this.#logger.warn({ event: 'sip.auth_failed', callId, address, user: shown }, 'user or password is wrong');
    if (!this.#lockout.failed(address)) return;
    const { maxAttempts: attempts, lockMs } = Lockout;
    this.#logger.warn({ event: 'sip.auth_locked', address, attempts, lockMs }, 'its calls are refused for a while');
  }
}

function ha1sOf(user: InboundUser, { realm, algorithms }: InboundAuthSettings): ReadonlyMap<DigestAlgorithm, string> {
  if ('password' in user) {
    return new Map(algorithms.map((each) => [each, digestHa1(each, user.user, realm, user.password)]));
  }
  return new Map(algorithms.map((each) => [each, user.ha1.toLowerCase()]));
}

/** In the same time wherever they differ, and whatever their lengths. */
function isSameText(one: string, other: string): boolean {
  const [a, b] = [one, other].map((text) => createHash('sha256').update(text).digest());
  return a !== undefined && b !== undefined && timingSafeEqual(a, b);
}
