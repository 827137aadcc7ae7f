/**
 * Every way an agent connection can end. What each means for the call:
 *
 * - `session-timeout`: Pranthora's own limit on a session's length; the call is fine, connect again at once.
 * - `agent-hangup`: the agent is done with the call; play out what it said, then hang up.
 * - `configuration`: the key, the agent or the address is wrong; the same target will fail the same way again.
 * - `session-not-found`: Pranthora lost the session behind the connection; a new one may work.
 * - `unreachable`: network, timeouts, overload, restarts, broken protocol; worth another try after a pause.
 */
export type AgentEndingKind =
  'session-timeout' | 'agent-hangup' | 'configuration' | 'session-not-found' | 'unreachable';

export interface AgentEnding {
  readonly kind: AgentEndingKind;
  /** One line for a human. Never holds the API key or the URL. */
  readonly detail: string;
  /** The WebSocket close code, when the connection was open. 1006 when it broke without a close frame. */
  readonly closeCode?: number;
  /** The HTTP status, when the upgrade was refused. */
  readonly httpStatus?: number;
  /** Pranthora does not take the key shown; another one may do. */
  readonly isKeyRefused?: true;
  /** Pranthora's own word on when to come again, 1 to 3600. */
  readonly retryAfterSec?: number;
}

const KEY_REFUSED = 4001;

/** The API key is refused, the agent is unknown, or a parameter is missing (guide, "WebSocket Close Codes"). */
const CONFIGURATION_CLOSE_CODES = new Map([
  [1008, 'Pranthora misses a required parameter'],
  [KEY_REFUSED, 'Pranthora refused the API key'],
  [4002, 'Pranthora misses the agent or workflow id'],
  [4003, 'Pranthora does not know the agent or workflow'],
]);

const UNREACHABLE_CLOSE_CODES = new Map([
  [1001, 'Pranthora is going away'],
  [1005, 'Pranthora closed the connection without saying why'],
  [1006, 'the connection to Pranthora broke'],
  [1011, 'Pranthora had an internal error'],
  [1012, 'Pranthora is restarting'],
  [1013, 'Pranthora is overloaded'],
  [1014, 'a gateway in front of Pranthora had an error'],
]);

const MAX_REASON_CHARS = 100;
const MAX_FAULTS = 4;

/**
 * What the end of an open WebSocket means.
 * @param reason the close frame's text; hostile, so only a bounded and printable part of it is repeated.
 */
export function classifyClose(code: number, reason: string): AgentEnding {
  if (code === 1000) return closedNormally(reason);
  if (code === 1011 && /session[\s_-]*not[\s_-]*found/i.test(reason)) {
    return closed('session-not-found', 'Pranthora does not know the session any more', code, reason);
  }
  const fault = CONFIGURATION_CLOSE_CODES.get(code);
  if (fault) return closed('configuration', fault, code, reason);
  const trouble = UNREACHABLE_CLOSE_CODES.get(code) ?? 'Pranthora closed the connection';
  return closed('unreachable', trouble, code, reason);
}

/** Only the reason tells the session's time limit from the agent's own end, and servers spell it in many ways. */
function closedNormally(reason: string): AgentEnding {
  return /tim(?:e|ed|ing)[\s_-]*out/i.test(reason)
    ? closed('session-timeout', 'Pranthora ended the session at its time limit', 1000, reason)
    : closed('agent-hangup', 'the agent ended the call', 1000, reason);
}

function closed(kind: AgentEndingKind, what: string, closeCode: number, reason: string): AgentEnding {
  const said = printable(reason);
  const detail = `${what} (close ${closeCode}${said && `, "${said}"`})`;
  return { kind, detail, closeCode, ...(closeCode === KEY_REFUSED && { isKeyRefused: true }) };
}

/** The agent said so in a message, `spelling`; its close frame may follow or not. */
export function callEnded(spelling: string): AgentEnding {
  return { kind: 'agent-hangup', detail: `the agent ended the call (${spelling})` };
}

/**
 * What an HTTP answer other than 101 means. Redirects and successes are answers of the wrong server, and a request
 * refused as wrong stays wrong; asked to wait (408, 425, 429) or told of trouble (5xx) we may come again.
 * @param retryAfterSec what the answer says of that.
 */
export function classifyUpgradeStatus(status: number, retryAfterSec?: number): AgentEnding {
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    const detail = `Pranthora answered HTTP ${status}`;
    return { kind: 'unreachable', detail, httpStatus: status, ...(retryAfterSec !== undefined && { retryAfterSec }) };
  }
  const detail = upgradeFault(status);
  return { kind: 'configuration', detail, httpStatus: status, ...(isRefusalOfKey(status) && { isKeyRefused: true }) };
}

const isRefusalOfKey = (status: number): boolean => status === 401 || status === 403;

function upgradeFault(status: number): string {
  if (isRefusalOfKey(status)) return `Pranthora refused the API key (HTTP ${status})`;
  if (status === 404) return 'no such agent or no Pranthora at this address (HTTP 404)';
  if (status === 422) return 'Pranthora refused the parameters (HTTP 422)';
  if (status >= 300 && status < 400)
    return `the address redirects elsewhere (HTTP ${status}); redirects are not followed`;
  if (status < 300) return `the address does not speak WebSocket (HTTP ${status})`;
  return `Pranthora refused the request (HTTP ${status})`;
}

const NETWORK_ERRORS = new Map([
  ['ENOTFOUND', 'the host name does not exist (DNS)'],
  ['EAI_AGAIN', 'the host name could not be looked up (DNS)'],
  ['ECONNREFUSED', 'connection refused'],
  ['ECONNRESET', 'connection reset'],
  ['EPIPE', 'connection reset'],
  ['ETIMEDOUT', 'connection timed out'],
  ['EHOSTUNREACH', 'no route to the host'],
  ['ENETUNREACH', 'no route to the network'],
  ['EMFILE', 'this process has too many open files'],
  ['ENFILE', 'this machine has too many open files'],
  ['EPROTO', 'TLS failed'],
  ['WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', 'Pranthora sent a message beyond the size limit'],
  ['WS_ERR_INVALID_UTF8', 'Pranthora sent text that is not UTF-8'],
]);

/** What an error of the socket, of TLS, of HTTP or of WebSocket framing means. */
export function classifyNetworkError(error: Error): AgentEnding {
  return { kind: 'unreachable', detail: networkFault(error) };
}

function networkFault(error: Error): string {
  // A host name with several addresses, all of which were tried (RFC 8305): one error for each.
  const errors: unknown = error instanceof AggregateError ? error.errors : [];
  const faults = Array.isArray(errors) ? errors.filter((one) => one instanceof Error).map(singleFault) : [];
  if (faults.length === 0) return singleFault(error);
  return `none of ${faults.length} addresses could be reached: ${[...new Set(faults)].slice(0, MAX_FAULTS).join(', ')}`;
}

function singleFault(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? printable(error.code) : '';
  const known = NETWORK_ERRORS.get(code);
  if (known) return `${known} [${code}]`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `the TLS certificate is for another host [${code}]`;
  if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code)) return `the TLS certificate is not acceptable [${code}]`;
  if (/^ERR_(SSL|TLS)/.test(code)) return `TLS failed [${code}]`;
  if (code.startsWith('WS_ERR_')) return `Pranthora broke the WebSocket protocol [${code}]`;
  if (code.startsWith('HPE_')) return `the address does not speak HTTP [${code}]`;
  return `connection failed: ${printable(error.message)}`;
}

/**
 * What it means that a request cannot even be formed: the bridge's own configuration is wrong.
 * @param error as thrown; its own words may repeat the URL or the key.
 */
export function classifyRequestError(error: unknown): AgentEnding {
  const isHeader = error instanceof TypeError && 'code' in error && error.code === 'ERR_INVALID_CHAR';
  const detail = isHeader
    ? 'the API key holds characters no HTTP header may carry'
    : 'the agent URL is not a valid ws: or wss: URL';
  return { kind: 'configuration', detail };
}

/** Where the handshake led is nowhere this bridge may or can go. */
export function handshakeRefused(detail: string): AgentEnding {
  return { kind: 'configuration', detail: `the handshake's websocket_url ${detail}` };
}

/** What came back on the handshake is not what the guide says. */
export function handshakeBroken(detail: string, httpStatus: number): AgentEnding {
  return { kind: 'unreachable', detail: `Pranthora answered the handshake with ${detail}`, httpStatus };
}

/** The proxy did not make the tunnel. Of its own accord, it is a matter of its rules or of our credentials. */
export function proxyRefused(status: number): AgentEnding {
  const kind = status >= 500 || !(status >= 100) ? 'unreachable' : 'configuration';
  const why = status === 407 ? 'the proxy wants other credentials' : 'the proxy refused the connection';
  return { kind, detail: `${why} (HTTP ${status})`, httpStatus: status };
}

export function proxyFailed(error: Error): AgentEnding {
  return { kind: 'unreachable', detail: `the proxy cannot be used: ${networkFault(error)}` };
}

export function handshakeTimeout(timeoutMs: number): AgentEnding {
  return { kind: 'unreachable', detail: `no answer to the handshake within ${timeoutMs} ms (connect timeout)` };
}

export function connectTimeout(timeoutMs: number): AgentEnding {
  return { kind: 'unreachable', detail: `no WebSocket within ${timeoutMs} ms (connect timeout)` };
}

/** @param awaited what did not come. */
export function startTimeout(awaited: string, timeoutMs: number): AgentEnding {
  return { kind: 'unreachable', detail: `no ${awaited} within ${timeoutMs} ms (start timeout)` };
}

export function pingTimeout(timeoutMs: number): AgentEnding {
  return { kind: 'unreachable', detail: `no pong and no data for ${timeoutMs} ms (ping timeout)` };
}

/** Cut to a bound, control characters out: it goes into logs, metrics' labels and SIP `Reason` texts. */
export function printable(text: string): string {
  return text.slice(0, MAX_REASON_CHARS).replace(/[^\x20-\x7e]|["\\]/g, '?');
}
