import { errorText } from '../error-text.js';
import type { CallOutcome, EndReason } from '../events/call-record.js';
import { MediaUnavailable } from '../media/engine.js';
import { SdpError } from '../media/sdp.js';
import type { AgentEnding } from '../pranthora/endings.js';
import type { SipRejection } from '../signaling/sip-endpoint.js';

/** How a call ends: the one list of all ends, each with what the caller, the log and the record get of it. */
export interface CallEnd {
  /** Stable word for records and searches. */
  readonly reason: EndReason;
  readonly endedBy: 'caller' | 'agent' | 'bridge';
  readonly outcome: CallOutcome;
  /** One line for a human. */
  readonly detail: string;
  /** What an INVITE without a final response gets. Absent: it has got one already (487). */
  readonly rejection?: SipRejection;
  /** SIP status of the record when nothing is sent for it: 487 of a CANCEL. */
  readonly sipStatus?: number;
  /** `Reason` of our BYE, RFC 3326, ITU-T Q.850 cause. */
  readonly byeReason?: { readonly cause: number; readonly text: string };
  readonly closeCode?: number;
}

/** Seconds after which a caller may try again what failed for a passing reason. */
const RETRY_AFTER_SEC = 5;

/** ITU-T Q.850 causes. */
const NORMAL_CLEARING = 16;
const NORMAL_UNSPECIFIED = 31;
const TEMPORARY_FAILURE = 41;
const RECOVERY_ON_TIMER_EXPIRY = 102;

const rejectWith = (status: number, warning: string): SipRejection => ({ status, warning });
const tryLater = (warning: string, retryAfterSec = RETRY_AFTER_SEC): SipRejection => ({
  status: 503,
  warning,
  retryAfterSec,
});

export const callEnd = {
  callerHangup: (): CallEnd => ({
    reason: 'caller_hangup',
    endedBy: 'caller',
    outcome: 'completed',
    detail: 'the caller hung up',
  }),
  /** By a key the route has given this meaning. The detail does not say which one. */
  dtmfHangup: (): CallEnd => ({
    reason: 'dtmf_hangup',
    endedBy: 'caller',
    outcome: 'completed',
    detail: 'the caller hung up by a digit',
    byeReason: { cause: NORMAL_CLEARING, text: 'hung up by a digit' },
  }),
  /** `withoutAgent`: the end the call would have had, where the caller was transferred because no agent was left. */
  transferred: (detail: string, withoutAgent?: CallEnd): CallEnd => ({
    reason: 'transferred',
    endedBy: withoutAgent?.endedBy ?? 'caller',
    outcome: 'completed',
    detail: withoutAgent ? `${withoutAgent.detail}; ${detail}` : detail,
    byeReason: { cause: NORMAL_CLEARING, text: 'transferred' },
    ...codeOf(withoutAgent),
  }),
  /** There is no agent to go back to. */
  transferFailed: (detail: string, withoutAgent: CallEnd): CallEnd => ({
    reason: 'transfer_failed',
    endedBy: 'bridge',
    outcome: withoutAgent.outcome === 'completed' ? 'client_error' : withoutAgent.outcome,
    detail: `${withoutAgent.detail}; ${detail}`,
    byeReason: { cause: NORMAL_UNSPECIFIED, text: detail },
    ...codeOf(withoutAgent),
  }),
  callerCancel: (): CallEnd => ({
    reason: 'caller_cancel',
    endedBy: 'caller',
    outcome: 'client_error',
    detail: 'the caller gave up before the call was answered',
    sipStatus: 487,
  }),
  forbidden: (address: string): CallEnd => ({
    reason: 'forbidden',
    endedBy: 'bridge',
    outcome: 'client_error',
    detail: `${address} is not in sip.allow`,
    rejection: rejectWith(403, `${address} is not in sip.allow`),
  }),
  noRoute: (number: string): CallEnd => ({
    reason: 'no_route',
    endedBy: 'bridge',
    outcome: 'client_error',
    detail: `no route for ${number}`,
    rejection: rejectWith(404, 'no route for this number'),
  }),
  /** The dialog that an INVITE with Replaces names cannot be replaced (RFC 3891). */
  replacesRefused: (status: number, detail: string): CallEnd => ({
    reason: 'replaces_refused',
    endedBy: 'bridge',
    outcome: 'client_error',
    detail,
    rejection: rejectWith(status, detail),
  }),
  atCapacity: (detail: string): CallEnd => ({
    reason: 'at_capacity',
    endedBy: 'bridge',
    outcome: 'server_error',
    detail,
    rejection: tryLater(detail),
  }),
  sourceAtCapacity: (address: string, most: number): CallEnd => ({
    reason: 'source_at_capacity',
    endedBy: 'bridge',
    outcome: 'client_error',
    detail: `sip.maxCallsPerSource (${most}) reached by ${address}`,
    rejection: tryLater(`sip.maxCallsPerSource (${most}) reached`),
  }),
  draining: (): CallEnd => ({
    reason: 'draining',
    endedBy: 'bridge',
    outcome: 'server_error',
    detail: 'the bridge is shutting down',
    rejection: tryLater('shutting down'),
  }),
  /** `rejection`: of a body that is no offer at all, 415 with what would be. */
  notAcceptable: (why: string, rejection = rejectWith(488, why)): CallEnd => ({
    reason: 'not_acceptable',
    endedBy: 'bridge',
    outcome: 'client_error',
    detail: why,
    rejection,
    byeReason: { cause: NORMAL_UNSPECIFIED, text: why },
  }),
  noMediaPort: (why: string): CallEnd => ({
    reason: 'no_media_port',
    endedBy: 'bridge',
    outcome: 'server_error',
    detail: why,
    rejection: tryLater('no media port free'),
  }),
  /** No media server takes the call, or the one that had it is gone and none replaces it. */
  mediaUnavailable: (why: string): CallEnd => ({
    reason: 'media_unavailable',
    endedBy: 'bridge',
    outcome: 'server_error',
    detail: why,
    rejection: tryLater('no media server'),
    byeReason: { cause: TEMPORARY_FAILURE, text: 'media server lost' },
  }),
  rtpTimeout: (silentMs: number): CallEnd => ({
    reason: 'rtp_timeout',
    endedBy: 'bridge',
    outcome: 'client_error',
    detail: `no RTP from the caller for ${Math.round(silentMs)} ms`,
    byeReason: { cause: RECOVERY_ON_TIMER_EXPIRY, text: 'no RTP' },
  }),
  maxDuration: (maxDurationMs: number): CallEnd => ({
    reason: 'max_duration',
    endedBy: 'bridge',
    outcome: 'completed',
    detail: `call.maxDurationMs (${maxDurationMs}) reached`,
    byeReason: { cause: NORMAL_UNSPECIFIED, text: 'maximum call duration' },
  }),
  /** The SIP agent ended the dialog by itself: our 200 was never acknowledged, or a session timer ran out. */
  noAck: (detail: string): CallEnd => ({ reason: 'no_ack', endedBy: 'bridge', outcome: 'client_error', detail }),
  shutdown: (): CallEnd => ({
    reason: 'shutdown',
    endedBy: 'bridge',
    outcome: 'server_error',
    detail: 'the bridge was shut down',
    rejection: tryLater('shutting down'),
    byeReason: { cause: TEMPORARY_FAILURE, text: 'shutting down' },
  }),
  internalError: (detail: string): CallEnd => ({
    reason: 'internal_error',
    endedBy: 'bridge',
    outcome: 'server_error',
    detail,
    rejection: { status: 500 },
    byeReason: { cause: TEMPORARY_FAILURE, text: 'internal error' },
  }),
  agentEnded,
} as const;

function codeOf(end: { closeCode?: number } | undefined): { closeCode?: number } {
  return end?.closeCode === undefined ? {} : { closeCode: end.closeCode };
}

/** The agent has ended the call, or no target of the route takes it. */
function agentEnded(ending: AgentEnding): CallEnd {
  const code = codeOf(ending);
  switch (ending.kind) {
    case 'agent-hangup':
      return {
        reason: 'agent_hangup',
        endedBy: 'agent',
        outcome: 'completed',
        detail: ending.detail,
        // Before the answer: the agent declines this call, and would do so again.
        rejection: rejectWith(480, ending.detail),
        byeReason: { cause: NORMAL_CLEARING, text: 'agent ended the call' },
        ...code,
      };
    case 'configuration':
      return {
        reason: 'agent_configuration',
        endedBy: 'bridge',
        outcome: 'upstream_error',
        detail: ending.detail,
        rejection: rejectWith(500, ending.detail),
        byeReason: { cause: TEMPORARY_FAILURE, text: ending.detail },
        ...code,
      };
    case 'session-timeout':
    case 'session-not-found':
    case 'unreachable':
      return {
        reason: 'agent_unreachable',
        endedBy: 'bridge',
        outcome: 'upstream_error',
        detail: ending.detail,
        rejection: tryLater(ending.detail, ending.retryAfterSec),
        byeReason: { cause: TEMPORARY_FAILURE, text: ending.detail },
        ...code,
      };
  }
}

/**
 * The end with the route's `fallback` in place of the refusal; the record keeps the reason. Unknown sources get their 403
 * and do not learn where calls go instead. An INVITE with Replaces gets the status RFC 3891 has for it.
 */
export function withFallback(end: CallEnd, fallback: { redirect: string } | { reject: number } | undefined): CallEnd {
  if (!fallback || end.endedBy === 'caller' || !end.rejection) return end;
  if (end.reason === 'forbidden' || end.reason === 'replaces_refused') return end;
  const rejection: SipRejection =
    'redirect' in fallback
      ? { status: 302, contact: fallback.redirect }
      : { ...waitOf(end, fallback.reject), status: fallback.reject, warning: end.detail };
  return { ...end, rejection };
}

/** Of the statuses a fallback may have, Retry-After goes with 503 alone. */
function waitOf({ rejection }: CallEnd, status: number): Pick<SipRejection, 'retryAfterSec'> {
  const { retryAfterSec } = rejection ?? {};
  return status === 503 && retryAfterSec !== undefined ? { retryAfterSec } : {};
}

/** The end of a call for an error that was thrown in it. */
export function endOfFault(error: unknown): CallEnd {
  if (error instanceof SdpError) return callEnd.notAcceptable(error.message);
  if (error instanceof MediaUnavailable) return callEnd.mediaUnavailable(error.message);
  return callEnd.internalError(errorText(error));
}
