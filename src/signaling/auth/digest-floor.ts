import { isAsStrong, strongerOf, type DigestChallenge, type DigestStrength } from './digest.js';

/** Realms remembered: a registrar and the proxies before it have one each. */
const MAX_REALMS = 16;

/**
 * The strongest that one peer has asked for, by 401 and by 407 and in each realm: nothing weaker is answered from then on, so
 * that nobody on the way can talk us down (RFC 7616 section 5.5). It holds from the first challenge on, not before.
 */
export class DigestFloor {
  readonly #byStatus = new Map<number, DigestStrength>();
  readonly #byRealm = new Map<string, DigestStrength>();

  allows(status: number, challenge: DigestChallenge): boolean {
    return [this.#byStatus.get(status), this.#byRealm.get(challenge.realm)].every(
      (least) => least === undefined || isAsStrong(challenge, least),
    );
  }

  raise(status: number, challenge: DigestChallenge): void {
    raise(this.#byStatus, status, challenge);
    raise(this.#byRealm, challenge.realm, challenge);
    const [oldest] = this.#byRealm.keys();
    if (this.#byRealm.size > MAX_REALMS && oldest !== undefined) this.#byRealm.delete(oldest);
  }
}

function raise<K>(floors: Map<K, DigestStrength>, key: K, { algorithm, qop }: DigestStrength): void {
  const before = floors.get(key);
  floors.set(key, before ? strongerOf(before, { algorithm, qop }) : { algorithm, qop });
}
