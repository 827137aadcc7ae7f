import { isAsStrong, strongerOf, type DigestChallenge, type DigestStrength } from './digest.js';

/** Realms remembered: a registrar and the proxies before it have one each. */
const MAX_REALMS = 16;

/**
 * Protection against downgrade attacks (RFC 7616 section 5.5): keeps the strongest algorithm and qop that one peer has asked
 * for, by status (401, 407) and by realm; nothing weaker is answered from then on. The first challenge is not protected.
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
