import { parseDecimal } from '../syntax/grammar.js';
import { parseParams } from '../syntax/headers.js';
import { LIMITS } from '../syntax/limits.js';
import type { SipMessage, SipRequest, SipResponse } from '../syntax/message.js';
import { addOptionTag, hasOptionTag, TIMER } from '../syntax/option-tags.js';

/** RFC 4028 section 4: no session interval is shorter. */
export const SHORTEST_SESSION_S = 90;

/** The roles of one session refresh request and its response: not of the dialog, where they can be the other way round. */
export type Refresher = 'uac' | 'uas';

/** What the agent asks of session timers. */
export interface SessionPolicy {
  /** The shortest session interval to agree to, in seconds. */
  readonly minimumS: number;
  /** The session interval to ask for where the peer asks for none; absent: none. In seconds. */
  readonly wantedS: number | undefined;
}

/** What a 2xx to a session refresh request has settled. */
export interface SessionTerms {
  readonly intervalS: number;
  readonly refresher: Refresher;
}

/** A Session-Expires value (RFC 4028 section 4). */
export interface SessionExpires {
  readonly intervalS: number;
  readonly refresher?: Refresher;
}

/** The Session-Expires of a message; undefined when it has none that makes sense. */
export function sessionExpiresOf(message: SipMessage): SessionExpires | undefined {
  const value = message.get('session-expires');
  return value === undefined ? undefined : parseSessionExpires(value);
}

/** The Min-SE of a message in seconds; 0 when it has none that makes sense. */
export function minSeOf(message: SipMessage): number {
  const value = message.get('min-se');
  return value === undefined ? 0 : (parseDeltaSeconds(value) ?? 0);
}

/** Whether the session interval of a request is one to refuse with a 422: its sender understands that (RFC 4028 section 9). */
export function isSessionTooShort(request: SipRequest, { minimumS }: SessionPolicy): boolean {
  const asked = sessionExpiresOf(request);
  return asked !== undefined && asked.intervalS < minimumS && hasOptionTag(request, 'supported', TIMER);
}

/**
 * What our 2xx to a session refresh request says of the session (RFC 4028 section 9); undefined when it is to have no
 * timer. `current` is the side that refreshes so far: without a wish of the peer's it stays.
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

/** What a client wrote into its 2xx, for the agent to keep to. */
export function termsGiven(given: SipResponse, policy: SessionPolicy): SessionTerms | undefined {
  const { intervalS, refresher = 'uac' } = sessionExpiresOf(given) ?? {};
  return intervalS === undefined ? undefined : { intervalS: Math.max(intervalS, policy.minimumS), refresher };
}

/**
 * What the 2xx to a session refresh request of ours has settled (RFC 4028 section 7.2). A peer that knows nothing of
 * session timers does not mention them; the one we asked for is then ours to keep.
 */
export function termsOfResponse(
  request: SipRequest,
  response: SipResponse,
  policy: SessionPolicy,
): SessionTerms | undefined {
  const given = sessionExpiresOf(response);
  const settled = given ?? sessionExpiresOf(request);
  if (!settled) return undefined;
  // A shorter interval than that would have us refresh as often as the peer pleases.
  return { intervalS: Math.max(settled.intervalS, policy.minimumS), refresher: given?.refresher ?? 'uac' };
}

/** Writes into a session refresh request of ours what it asks for, and the shortest interval we would agree to, in seconds. */
export function askForSession(request: SipRequest, { intervalS, refresher }: SessionExpires, minSeS: number): void {
  request.set('session-expires', formatSessionExpires(intervalS, refresher));
  if (minSeS > SHORTEST_SESSION_S) request.set('min-se', String(minSeS));
}

/** Writes the terms into our 2xx. The peer has to look at them if it knows how to (RFC 4028 section 9). */
export function settleSession(response: SipResponse, request: SipRequest, terms: SessionTerms): void {
  response.set('session-expires', formatSessionExpires(terms.intervalS, terms.refresher));
  if (terms.refresher === 'uac' || hasOptionTag(request, 'supported', TIMER)) addOptionTag(response, 'require', TIMER);
}

/** RFC 4028 table 2: a UAC that knows nothing of session timers cannot refresh. */
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

/** More than the longest interval a timer can hold means that. */
function parseDeltaSeconds(text: string): number | undefined {
  const seconds = parseDecimal(text.trim(), LIMITS.deltaSeconds);
  return seconds === undefined ? undefined : Math.min(seconds, LIMITS.sessionIntervalS);
}

function formatSessionExpires(intervalS: number, refresher: Refresher | undefined): string {
  return refresher === undefined ? String(intervalS) : `${intervalS};refresher=${refresher}`;
}
