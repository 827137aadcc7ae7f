import { randomBytes } from 'node:crypto';
import {
  digestHa1,
  digestResponse,
  formatAnswer,
  parseChallenges,
  strongestChallenge,
  type DigestChallenge,
} from './digest.js';
import { DigestFloor } from './digest-floor.js';

export interface DigestCredentials {
  readonly user: string;
  readonly password: string;
}

/** The part of a response that digest authentication needs. */
export interface ChallengingResponse {
  readonly status: number;
  get(name: string): string | undefined;
}

/**
 * Why a 401 or 407 was not answered (again). `credentials`: they were sent and are wrong. `challenge`: none of the challenges
 * is supported. `weaker`: it asks for a weaker algorithm or qop than the same peer has asked for before.
 */
export type DigestRefusal = 'credentials' | 'challenge' | 'weaker';

/** How an authenticated request ended. */
export interface AuthenticatedResponse<R> {
  readonly response: R;
  readonly refused?: DigestRefusal;
}

/** RFC 3261 sections 22.2 and 22.3: by status, the header of the challenge and that of the answer. */
const CHALLENGERS = new Map([
  [401, { challenge: 'WWW-Authenticate', answer: 'Authorization' }],
  [407, { challenge: 'Proxy-Authenticate', answer: 'Proxy-Authorization' }],
]);

/** A proxy and the server behind it may each challenge, and each may find the earlier nonce stale. */
const MAX_ATTEMPTS = 5;

interface Known {
  readonly challenge: DigestChallenge;
  readonly ha1: string;
  uses: number;
}

interface DigestClientOptions {
  readonly newCnonce?: () => string;
  /** The only realms answered; absent: all. */
  readonly realms?: ReadonlySet<string>;
  /** The strength asked for by the registrar: nothing weaker is answered, and this client does not raise it. */
  readonly floor?: DigestFloor;
}

/**
 * Digest client (RFC 3261 section 22): one user's credentials towards one peer. Remembers the last challenges, so that later
 * requests carry credentials at once, and the strongest challenge: from the answer to a weaker one the challenger could guess
 * the password (RFC 7616 section 5.5). It serves every method; the caller sends the requests.
 */
export class DigestClient {
  readonly #credentials: DigestCredentials;
  readonly #newCnonce: () => string;
  readonly #realms: ReadonlySet<string> | undefined;
  readonly #floor: DigestFloor;
  readonly #raisesFloor: boolean;
  /** By status. */
  readonly #known = new Map<number, Known>();

  constructor(credentials: DigestCredentials, options: DigestClientOptions = {}) {
    this.#credentials = credentials;
    this.#newCnonce = options.newCnonce ?? (() => randomBytes(8).toString('hex'));
    this.#realms = options.realms;
    this.#raisesFloor = options.floor === undefined;
    this.#floor = options.floor ?? new DigestFloor();
  }

  /**
   * The same credentials for a dialog, whose other end is not authenticated: only the realms that challenged here are
   * answered, and no challenge weaker than theirs. Undefined when no challenge was received yet.
   */
  forDialog(): DigestClient | undefined {
    const realms = new Set([...this.#known.values()].map(({ challenge }) => challenge.realm));
    if (realms.size === 0) return undefined;
    return new DigestClient(this.#credentials, { newCnonce: this.#newCnonce, realms, floor: this.#floor });
  }

  /**
   * Sends a request and, when it is challenged, sends it again with credentials. `send` is given the headers to add and
   * resolves to the final response; each call sends a new request with its own CSeq number. Rejects as `send` does.
   */
  async request<R extends ChallengingResponse>(
    request: { readonly method: string; readonly uri: string },
    send: (headers: Record<string, string>) => Promise<R>,
  ): Promise<AuthenticatedResponse<R>> {
    // Nonces of this exchange: a peer that refuses the answer to one of them refuses the password.
    const fresh = new Set<string>();
    for (let attempt = 1; ; attempt++) {
      const response = await send(this.#answers(request.method, request.uri));
      if (!CHALLENGERS.has(response.status)) return { response };
      const refused = this.#learn(response, fresh);
      if (refused) return { response, refused };
      if (attempt === MAX_ATTEMPTS) return { response, refused: 'credentials' };
    }
  }

  /** Remembers the challenge, or returns why it is not answered. */
  #learn(response: ChallengingResponse, fresh: Set<string>): DigestRefusal | undefined {
    const { status } = response;
    const header = response.get(CHALLENGERS.get(status)?.challenge ?? '') ?? '';
    const offered = parseChallenges(header).filter(({ realm }) => this.#realms?.has(realm) ?? true);
    const challenge = strongestChallenge(offered.filter((each) => this.#floor.allows(status, each)));
    const before = this.#known.get(status);
    this.#known.delete(status);
    if (!challenge) return offered.length > 0 ? 'weaker' : 'challenge';
    if (this.#raisesFloor) this.#floor.raise(status, challenge);
    if (before && fresh.has(before.challenge.nonce) && !challenge.stale) return 'credentials';
    const { user, password } = this.#credentials;
    const ha1 = digestHa1(challenge.algorithm, user, challenge.realm, password);
    this.#known.set(status, { challenge, ha1, uses: 0 });
    fresh.add(challenge.nonce);
    return undefined;
  }

  #answers(method: string, uri: string): Record<string, string> {
    const headers: Record<string, string> = {};
    for (const [status, { answer }] of CHALLENGERS) {
      const known = this.#known.get(status);
      if (known) headers[answer] = this.#answer(known, method, uri);
    }
    return headers;
  }

  #answer(known: Known, method: string, uri: string): string {
    const { challenge, ha1 } = known;
    const { realm, nonce, algorithm, opaque } = challenge;
    known.uses += 1;
    const nc = known.uses.toString(16).padStart(8, '0');
    const count = challenge.qop ? { nc, cnonce: this.#newCnonce() } : undefined;
    const response = digestResponse({ algorithm, ha1, method, uri, nonce, count });
    return formatAnswer({
      ...{ user: this.#credentials.user, realm, nonce, uri, response, algorithm },
      ...(opaque === undefined ? {} : { opaque }),
      ...(count ? { count } : {}),
    });
  }
}
