import { parseDecimal } from '../syntax/grammar.js';
import { parseParams } from '../syntax/headers.js';
import { LIMITS } from '../syntax/limits.js';
import type { SipMessage, SipRequest, SipResponse } from '../syntax/message.js';
import { addOptionTag, hasOptionTag, TIMER } from '../syntax/option-tags.js';

/** The shortest session interval (RFC 4028 section 4). */
export const SHORTEST_SESSION_S = 90;

/** The roles in one session refresh request; those of the dialog can be the other way round. */
export type Refresher = 'uac' | 'uas';

/** The agent's policy for session timers. */
export interface SessionPolicy {
  /** The shortest accepted session interval, in seconds. */
  readonly minimumS: number;
  /** The session interval, in seconds, to ask for when the peer asks for none; undefined: none. */
  readonly wantedS: number | undefined;
}

/** The session timer agreed by a 2xx to a session refresh request. */
export interface SessionTerms {
  readonly intervalS: number;
  readonly refresher: Refresher;
}

/** A Session-Expires value (RFC 4028 section 4). */
export interface SessionExpires {
  readonly intervalS: number;
  readonly refresher?: Refresher;
}

/** The Session-Expires of a message; undefined when it is missing or malformed. */
export function sessionExpiresOf(message: SipMessage): SessionExpires | undefined {
  const value = message.get('session-expires');
  return value === undefined ? undefined : parseSessionExpires(value);
}

/** The Min-SE of a message in seconds; 0 when it is missing or malformed. */
export function minSeOf(message: SipMessage): number {
  const value = message.get('min-se');
  return value === undefined ? 0 : (parseDeltaSeconds(value) ?? 0);
}

/**
 * Whether a request is to be refused with a 422: its interval is too short and its sender supports timers (RFC 4028
 * section 9).
 */
export function isSessionTooShort(request: SipRequest, { minimumS }: SessionPolicy): boolean {
  const asked = sessionExpiresOf(request);
  return asked !== undefined && asked.intervalS < minimumS && hasOptionTag(request, 'supported', TIMER);
}

/**
 * The session timer for our 2xx to a session refresh request (RFC 4028 section 9); undefined for none. `current` is the
 * present refresher, which stays unless the peer asks for a change.
 */
export function termsForRequest(
  request: SipRequest,
  policy: SessionPolicy,
  current: 'local' | 'remote' | undefined,
): SessionTerms | undefined {
  const asked = sessionExpiresOf(request);
  const wantedS = policy.wantedS ?? asked?.intervalS;
  if (wantedS === undefined) return undefined;
  const intervalS = Math.min(asked?.intervalS ?? wantedS, wantedS);
  const refresher = asked?.refresher ?? defaultRefresher(request, current);
  return { intervalS: Math.max(intervalS, policy.minimumS, minSeOf(request)), refresher };
}

/** The session timer that a client wrote into its 2xx. */
export function termsGiven(given: SipResponse, policy: SessionPolicy): SessionTerms | undefined {
  const { intervalS, refresher = 'uac' } = sessionExpiresOf(given) ?? {};
  return intervalS === undefined ? undefined : { intervalS: Math.max(intervalS, policy.minimumS), refresher };
}

/**
 * The session timer agreed by the 2xx to our session refresh request (RFC 4028 section 7.2). A peer without support for
 * session timers sends none; then we refresh at the interval we asked for.
 */
export function termsOfResponse(
  request: SipRequest,
  response: SipResponse,
  policy: SessionPolicy,
): SessionTerms | undefined {
  const given = sessionExpiresOf(response);
  const settled = given ?? sessionExpiresOf(request);
  if (!settled) return undefined;
  // The minimum limits how often a peer can make us refresh.
  return { intervalS: Math.max(settled.intervalS, policy.minimumS), refresher: given?.refresher ?? 'uac' };
}

/** Writes Session-Expires and, when above the RFC's minimum, Min-SE (in seconds) into our session refresh request. */
export function askForSession(request: SipRequest, { intervalS, refresher }: SessionExpires, minSeS: number): void {
  request.set('session-expires', formatSessionExpires(intervalS, refresher));
  if (minSeS > SHORTEST_SESSION_S) request.set('min-se', String(minSeS));
}

/** Writes the terms into our 2xx, with a Require for a peer that supports session timers (RFC 4028 section 9). */
export function settleSession(response: SipResponse, request: SipRequest, terms: SessionTerms): void {
  response.set('session-expires', formatSessionExpires(terms.intervalS, terms.refresher));
  if (terms.refresher === 'uac' || hasOptionTag(request, 'supported', TIMER)) addOptionTag(response, 'require', TIMER);
}

/** RFC 4028 table 2: a UAC without support for session timers cannot refresh. */
function defaultRefresher(request: SipRequest, current: 'local' | 'remote' | undefined): Refresher {
  return current === 'local' || !hasOptionTag(request, 'supported', TIMER) ? 'uas' : 'uac';
}

function parseSessionExpires(value: string): SessionExpires | undefined {
  const semicolon = value.indexOf(';');
  const intervalS = parseDeltaSeconds(semicolon < 0 ? value : value.slice(0, semicolon));
  const params = semicolon < 0 ? undefined : parseParams(value.slice(semicolon));
  if (intervalS === undefined) return undefined;
  const refresher = params?.get('refresher')?.toLowerCase();
  return refresher === 'uac' || refresher === 'uas' ? { intervalS, refresher } : { intervalS };
}

/** Values above the longest possible timer are cut to it. */
function parseDeltaSeconds(text: string): number | undefined {
  const seconds = parseDecimal(text.trim(), LIMITS.deltaSeconds);
  return seconds === undefined ? undefined : Math.min(seconds, LIMITS.sessionIntervalS);
}

function formatSessionExpires(intervalS: number, refresher: Refresher | undefined): string {
  return refresher === undefined ? String(intervalS) : `${intervalS};refresher=${refresher}`;
}
