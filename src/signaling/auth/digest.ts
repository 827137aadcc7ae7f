import { createHash } from 'node:crypto';
import { parseAuthElements, quoted, type AuthElement } from './auth-params.js';

/** Digest authentication (RFC 3261 section 22, RFC 7616, RFC 8760) as pure functions; RFC 2617's is the part with MD5. */

/** From the weakest to the strongest. SHA-512-256 and the `-sess` variants are not used in the field. */
const DIGEST_ALGORITHMS = ['MD5', 'SHA-256'] as const;
export type DigestAlgorithm = (typeof DIGEST_ALGORITHMS)[number];

const HASHES: Readonly<Record<DigestAlgorithm, string>> = {
  MD5: 'md5',
  'SHA-256': 'sha256',
};

export interface DigestChallenge {
  readonly realm: string;
  readonly nonce: string;
  readonly opaque?: string;
  readonly algorithm: DigestAlgorithm;
  /** Whether `qop=auth` is offered; without it the response is that of RFC 2069. */
  readonly qop: boolean;
  /** The credentials were right, but their nonce was too old. */
  readonly stale: boolean;
}

/** The content of an Authorization or Proxy-Authorization header. */
export interface DigestAnswer {
  readonly user: string;
  readonly realm: string;
  readonly nonce: string;
  /** The digest-uri as the client wrote it; a proxy may have changed the Request-URI since. */
  readonly uri: string;
  readonly opaque?: string;
  readonly algorithm: DigestAlgorithm;
  /** Lower-case hexadecimal. */
  readonly response: string;
  /** Present with `qop=auth`. */
  readonly count?: NonceCount;
}

interface NonceCount {
  /** Eight hexadecimal digits: how often this nonce has been used, this time included. */
  readonly nc: string;
  readonly cnonce: string;
}

/** The input of the response computation. */
export interface DigestInput {
  readonly algorithm: DigestAlgorithm;
  /** See `digestHa1`. */
  readonly ha1: string;
  readonly method: string;
  readonly uri: string;
  readonly nonce: string;
  readonly count?: NonceCount | undefined;
}

/** H(A1) in lower-case hexadecimal: the hash that stands for a password in one realm. */
export function digestHa1(algorithm: DigestAlgorithm, user: string, realm: string, password: string): string {
  return hash(algorithm, `${user}:${realm}:${password}`);
}

/** The value of `response` (RFC 7616 section 3.4.1). */
export function digestResponse({ algorithm, ha1, method, uri, nonce, count }: DigestInput): string {
  const ha2 = hash(algorithm, `${method}:${uri}`);
  const middle = count ? `${nonce}:${count.nc}:${count.cnonce}:auth` : nonce;
  return hash(algorithm, `${ha1}:${middle}:${ha2}`);
}

/** The challenges of a WWW-Authenticate or Proxy-Authenticate header that can be answered, in its order. */
export function parseChallenges(header: string): DigestChallenge[] {
  return parseAuthElements(header).flatMap((element) => {
    const challenge = challengeOf(element);
    return challenge ? [challenge] : [];
  });
}

/** The strength of a challenge: algorithm and quality of protection. */
export interface DigestStrength {
  readonly algorithm: DigestAlgorithm;
  readonly qop: boolean;
}

/** Whether a challenge is at least as strong as another, in algorithm and in qop. */
export function isAsStrong(one: DigestStrength, least: DigestStrength): boolean {
  return rank(one.algorithm) >= rank(least.algorithm) && (one.qop || !least.qop);
}

/** The stronger algorithm, and qop if either has it. */
export function strongerOf(one: DigestStrength, other: DigestStrength): DigestStrength {
  const { algorithm } = rank(one.algorithm) >= rank(other.algorithm) ? one : other;
  return { algorithm, qop: one.qop || other.qop };
}

/**
 * The first challenge with the strongest algorithm, preferring one with qop: servers add weaker ones for older clients.
 */
export function strongestChallenge(challenges: readonly DigestChallenge[]): DigestChallenge | undefined {
  const strength = ({ algorithm, qop }: DigestChallenge): number => 2 * rank(algorithm) + (qop ? 1 : 0);
  const most = Math.max(...challenges.map(strength));
  return challenges.find((challenge) => strength(challenge) === most);
}

function rank(algorithm: DigestAlgorithm): number {
  return DIGEST_ALGORITHMS.indexOf(algorithm);
}

/** The credentials of an Authorization or Proxy-Authorization header that are for `realm`. */
export function parseAnswer(header: string, realm: string): DigestAnswer | undefined {
  const element = parseAuthElements(header).find(
    ({ scheme, params }) => scheme === 'digest' && params.get('realm') === realm,
  );
  return element && answerOf(element, realm);
}

export function formatChallenge(challenge: DigestChallenge): string {
  const { realm, nonce, opaque, algorithm, qop, stale } = challenge;
  return [
    `Digest realm=${quoted(realm)}`,
    `nonce=${quoted(nonce)}`,
    ...(opaque === undefined ? [] : [`opaque=${quoted(opaque)}`]),
    ...(stale ? ['stale=true'] : []),
    `algorithm=${algorithm}`,
    ...(qop ? ['qop="auth"'] : []),
  ].join(', ');
}

export function formatAnswer(answer: DigestAnswer): string {
  const { user, realm, nonce, uri, response, algorithm, opaque, count } = answer;
  return [
    `Digest username=${quoted(user)}`,
    `realm=${quoted(realm)}`,
    `nonce=${quoted(nonce)}`,
    `uri=${quoted(uri)}`,
    `response="${response}"`,
    `algorithm=${algorithm}`,
    ...(opaque === undefined ? [] : [`opaque=${quoted(opaque)}`]),
    ...(count ? ['qop=auth', `nc=${count.nc}`, `cnonce=${quoted(count.cnonce)}`] : []),
  ].join(', ');
}

function challengeOf({ scheme, params }: AuthElement): DigestChallenge | undefined {
  const realm = params.get('realm');
  const nonce = params.get('nonce');
  const algorithm = algorithmOf(params);
  const offered = params
    .get('qop')
    ?.toLowerCase()
    .split(/[\s,]+/);
  // With `auth-int` alone the body would have to be hashed, which proxies may change.
  const answerable = offered?.includes('auth') ?? true;
  if (scheme !== 'digest' || realm === undefined || nonce === undefined || !algorithm || !answerable) return undefined;
  const opaque = params.get('opaque');
  const stale = params.get('stale')?.toLowerCase() === 'true';
  return { realm, nonce, algorithm, qop: offered !== undefined, stale, ...(opaque === undefined ? {} : { opaque }) };
}

function answerOf({ params }: AuthElement, realm: string): DigestAnswer | undefined {
  const [user, nonce, uri] = [params.get('username'), params.get('nonce'), params.get('uri')];
  const response = params.get('response')?.toLowerCase();
  const algorithm = algorithmOf(params);
  if (user === undefined || nonce === undefined || uri === undefined || response === undefined) return undefined;
  const qop = params.get('qop')?.toLowerCase();
  const [nc, cnonce] = [params.get('nc')?.toLowerCase() ?? '', params.get('cnonce')];
  if (!algorithm || (qop !== undefined && (qop !== 'auth' || !isCount(nc) || cnonce === undefined))) return undefined;
  const base = { user, realm, nonce, uri, response, algorithm };
  return qop === undefined || cnonce === undefined ? base : { ...base, count: { nc, cnonce } };
}

/** Undefined for an unknown algorithm; a missing one means MD5. */
function algorithmOf(params: ReadonlyMap<string, string>): DigestAlgorithm | undefined {
  const name = (params.get('algorithm') ?? 'MD5').toUpperCase();
  return DIGEST_ALGORITHMS.find((algorithm) => algorithm === name);
}

function isCount(nc: string): boolean {
  return /^[\da-f]{8}$/.test(nc);
}

function hash(algorithm: DigestAlgorithm, text: string): string {
  return createHash(HASHES[algorithm]).update(text).digest('hex');
}
