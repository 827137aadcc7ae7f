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

/** The users that may call, and how they are challenged. */
export interface InboundAuthSettings {
  readonly realm: string;
  readonly users: readonly InboundUser[];
  /** Offered in this order. */
  readonly algorithms: readonly DigestAlgorithm[];
}

/** An HA1 stands for the password, in one realm and with the one algorithm it was made with. */
type InboundUser = { readonly user: string } & ({ readonly password: string } | { readonly ha1: string });

/** The decision on an INVITE: admitted, a 401 with these challenges, or a 403 because its source guesses passwords. */
export type AuthVerdict =
  | { readonly verdict: 'admitted'; readonly user: string }
  | { readonly verdict: 'challenged'; readonly challenges: readonly string[] }
  | { readonly verdict: 'refused'; readonly retryAfterSec: number };

/**
 * Digest authentication of INVITEs (RFC 3261 section 22.1, RFC 7616, RFC 8760). A source address can be forged, so only a
 * wrong answer to a nonce that was sent to that address counts against it, and a right answer is always accepted.
 */
export class InboundAuth {
  readonly #logger: Logger;
  readonly #nonces: Nonces;
  readonly #backOff: GuessBackOff;
  /** HA1 for unknown users: they cost the same time as known ones. */
  readonly #unknownUserHa1 = randomBytes(16).toString('hex');
  #settings: InboundAuthSettings | undefined;
  /** By user, then by algorithm. */
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

  /** Undefined when INVITEs are not challenged. */
  judge(invite: IncomingInvite): AuthVerdict | undefined {
    const settings = this.#settings;
    if (!settings) return undefined;
    const holder = { realm: settings.realm, address: sourceHost(invite.source.address) };
    const header = invite.header('Authorization');
    const answer = header === undefined ? undefined : parseAnswer(header, settings.realm);
    if (!answer || !settings.algorithms.includes(answer.algorithm)) return this.#challenge(settings, holder, false);
    // An invented nonce, or an answer from another address of a proxy farm, is not counted as a guess.
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

  /** The digest-uri is not compared with the Request-URI, which proxies change; a nonce is good for one request anyway. */
  #isRight({ user, algorithm, nonce, uri, count, response }: DigestAnswer): boolean {
    const known = this.#ha1s.get(user)?.get(algorithm);
    const ha1 = known ?? this.#unknownUserHa1;
    const expected = digestResponse({ algorithm, ha1, method: 'INVITE', uri, nonce, count });
    return isSameText(response, expected) && known !== undefined;
  }

  /** Undefined: the source may try again at once. Logs no line for guesses during a wait. */
  #onGuess({ callId, source: { address } }: IncomingInvite, answer: DigestAnswer): AuthVerdict | undefined {
    const { guesses: attempts, state, waitMs } = this.#backOff.guessed(address);
    if (state === 'waits') return { verdict: 'refused', retryAfterSec: Math.ceil(waitMs / 1_000) };
    const user = answer.user.slice(0, 64);
    this.#logger.warn({ event: 'sip.auth_failed', callId, address, user }, 'user or password is wrong');
    if (state === 'begins') {
      const message = 'wrong passwords from this address get 403 for lockMs; a right one is accepted';
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

/** Constant-time comparison, also of texts of different lengths. */
function isSameText(one: string, other: string): boolean {
  const [a, b] = [one, other].map((text) => createHash('sha256').update(text).digest());
  return a !== undefined && b !== undefined && timingSafeEqual(a, b);
}
