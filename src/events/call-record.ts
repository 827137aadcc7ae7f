import type { DelaySummary, DownlinkStats, Interruption, UplinkStats } from '../bridge/stats.js';

/** What is known of a call from its INVITE on. Every event carries it as it was at that moment. */
export interface CallFacts {
  /** Call-ID of the INVITE (RFC 3261 section 20.8). */
  readonly callId: string;
  /** The bridge's own id of the call, a UUID; Pranthora gets it too unless `pranthora.sendCallId` is off. */
  readonly agentCallId: string;
  /** Call-IDs of the INVITEs that replaced the caller one after the other (RFC 3891); absent without any. */
  readonly replacedBy?: readonly string[];
  readonly from: string;
  /** Display name of the caller, and the identity the trunk vouches for; see `callerIdentity`. */
  readonly fromName?: string;
  readonly assertedIdentity?: string;
  readonly to: string;
  readonly did: string;
  /** Name of the route; absent where none takes the call, and so are the next three. */
  readonly route?: string;
  /** Of the target being tried or talking. */
  readonly agentId?: string;
  readonly workflowId?: string;
  readonly mode?: string;
  readonly sipEngine: string;
  readonly mediaEngine: string;
  /** Absent until one is negotiated. */
  readonly codec?: string;
  /** ISO 8601. */
  readonly receivedAt: string;
  readonly answeredAt?: string;
}

export type CallOutcome = 'completed' | 'client_error' | 'server_error' | 'upstream_error';

/** Stable words for records, metrics and searches. What each is answered with: `control/call-end.ts`. */
export type EndReason =
  | 'caller_hangup'
  | 'caller_cancel'
  | 'agent_hangup'
  | 'dtmf_hangup'
  | 'transferred'
  | 'transfer_failed'
  | 'forbidden'
  | 'no_route'
  | 'replaces_refused'
  | 'at_capacity'
  | 'source_at_capacity'
  | 'draining'
  | 'not_acceptable'
  | 'agent_configuration'
  | 'agent_unreachable'
  | 'rtp_timeout'
  | 'max_duration'
  | 'no_ack'
  | 'no_media_port'
  | 'media_unavailable'
  | 'shutdown'
  | 'internal_error';

/** How a call ended. */
export interface RecordedEnd {
  readonly endedBy: 'caller' | 'agent' | 'bridge';
  readonly reason: EndReason;
  /** One line for a human. */
  readonly detail: string;
  readonly outcome: CallOutcome;
  /** Final status of the INVITE. */
  readonly sipStatus: number;
  /** Of Pranthora's WebSocket, where its close ended the call. */
  readonly closeCode?: number;
}

/** How good a call's audio was, each way. Percentages of packets; times in milliseconds. */
export interface Quality {
  /** Caller to agent. */
  readonly uplink: {
    /** Estimated mean opinion score, 1 to 4.5; absent when nothing came. */
    readonly mos?: number;
    readonly lossPercent: number;
    readonly jitterMs: number;
    /** What the agent was sent of the caller's audio, and what it was sent in place of audio that did not come in time. */
    readonly receivedMs: number;
    readonly concealedMs: number;
    /** Came too late to be of use. */
    readonly lateMs: number;
    readonly addedDelayMs?: DelaySummary;
  };
  /** Agent to caller: loss and jitter as the caller's RTCP reports them, and with them the score; absent without RTCP. */
  readonly downlink: {
    readonly mos?: number;
    readonly lossPercent?: number;
    readonly jitterMs?: number;
    readonly agentUnderruns?: number;
    readonly addedDelayMs?: DelaySummary;
  };
  /** Between the bridge and the caller, by RTCP. */
  readonly roundTripMs?: number;
}

/** What became of the audio; both absent before the answer. */
export interface AudioReport {
  /** In words: "two-way audio", or what was missing. */
  readonly verdict?: string;
  readonly quality?: Quality;
}

/** The `call.ended` event: the call's record. */
export interface CallRecord extends CallFacts, RecordedEnd, AudioReport {
  readonly endedAt: string;
  /** From the INVITE to the end. */
  readonly durationMs: number;
  readonly interruptions: readonly Interruption[];
  readonly reconnects: number;
  readonly uplink?: UplinkStats;
  readonly downlink?: DownlinkStats;
  readonly firstAudioMs?: number;
}
