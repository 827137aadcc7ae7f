import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../clock.js';
import type { Logger } from '../../logger.js';
import {
  digestHa1,
  digestResponse,
  formatChallenge,
  parseAnswer,
  type DigestAlgorithm,
  type DigestAnswer,
} from './digest.js';
import { GuessBackOff } from './guess-back-off.js';
import { Nonces, type NonceHolder } from './nonces.js';
import type { IncomingInvite } from '../sip-endpoint.js';
import { sourceHost } from '../source-address.js';

/** Who may call, and how they prove it. */
export interface InboundAuthSettings {
  readonly realm: string;
  readonly users: readonly InboundUser[];
  /** Offered in this order. */
  readonly algorithms: readonly DigestAlgorithm[];
}

/** An HA1 is worth the password in this realm, with the one algorithm it was made with. */
export type InboundUser = { readonly user: string } & ({ readonly password: string } | { readonly ha1: string });

/** What becomes of an INVITE: it goes on, gets a 401 with these challenges, or a 403 because its source guesses. */
export type AuthVerdict =
  | { readonly verdict: 'admitted'; readonly user: string }
  | { readonly verdict: 'challenged'; readonly challenges: readonly string[] }
  | { readonly verdict: 'refused'; readonly retryAfterSec: number };

/**
 * Challenges INVITEs and checks the answers (RFC 3261 section 22.1, RFC 7616, RFC 8760). A source address can be forged, so
 * nothing is held against it but wrong answers to a nonce that was sent there, and nothing keeps a right answer out.
 */
export class InboundAuth {
  readonly #logger: Logger;
  readonly #nonces: Nonces;
  readonly #backOff: GuessBackOff;
  /** Nobody's password: an unknown user costs the same time as a known one. */
  readonly #nobody = randomBytes(16).toString('hex');
  #settings: InboundAuthSettings | undefined;
  /** By user, and then by algorithm. */
  #ha1s = new Map<string, ReadonlyMap<DigestAlgorithm, string>>();

  constructor({ clock, logger }: { readonly clock: Clock; readonly logger: Logger }) {
    this.#logger = logger;
    this.#nonces = new Nonces(clock);
    this.#backOff = new GuessBackOff(clock);
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
    const holder = { realm: settings.realm, address: sourceHost(invite.source.address) };
    const header = invite.header('Authorization');
    const answer = header === undefined ? undefined : parseAnswer(header, settings.realm);
    if (!answer || !settings.algorithms.includes(answer.algorithm)) return this.#challenge(settings, holder, false);
    // Anybody can make a nonce up, and a proxy farm may answer from another address: neither is a guess.
    const nonce = this.#nonces.read(answer.nonce, holder);
    if (!nonce) return this.#challenge(settings, holder, true);
    if (!this.#isRight(answer)) return this.#onGuess(invite, answer) ?? this.#challenge(settings, holder, false);
    const count = answer.count && Number.parseInt(answer.count.nc, 16);
    if (!this.#nonces.use(nonce, count)) return this.#challenge(settings, holder, true);
    return { verdict: 'admitted', user: answer.user };
  }

  #challenge({ realm, algorithms }: InboundAuthSettings, holder: NonceHolder, stale: boolean): AuthVerdict {
    const nonce = this.#nonces.issue(holder);
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

  /** Undefined: it may try again at once. Says in the log what is new, which is never a line for each guess. */
  #onGuess({ callId, source: { address } }: IncomingInvite, answer: DigestAnswer): AuthVerdict | undefined {
    const { guesses: attempts, state, waitMs } = this.#backOff.guessed(address);
    if (state === 'waits') return { verdict: 'refused', retryAfterSec: Math.ceil(waitMs / 1_000) };
    const user = answer.user.slice(0, 64);
    this.#logger.warn({ event: 'sip.auth_failed', callId, address, user }, 'user or password is wrong');
    if (state === 'begins') {
      const message = 'wrong answers from there get 403 for lockMs, a right one is taken';
      this.#logger.warn({ event: 'sip.auth_locked', address, user, attempts, lockMs: waitMs }, message);
    }
    return undefined;
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
