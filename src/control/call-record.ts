import type { BridgeStats, DownlinkStats, Interruption, UplinkStats } from '../bridge/messages.js';
import type { CallState } from './call-state.js';
import type { EndReason, Outcome } from './call-end.js';
import { qualityOf, type Quality } from './quality.js';
import { verdictOf } from './verdict.js';

/** What is known of a call from its INVITE on. */
export interface CallFacts {
  readonly callId: string;
  /** The bridge's own name for the call, a UUID; Pranthora knows it too unless `pranthora.sendCallId` is off. */
  readonly agentCallId: string;
  /** Call-IDs of those who took the caller's place one after the other (RFC 3891); absent if nobody did. */
  readonly replacedBy?: readonly string[];
  readonly from: string;
  /** Display name of the caller, and what the trunk vouches for; see `callerIdentity`. */
  readonly fromName?: string;
  readonly assertedIdentity?: string;
  readonly to: string;
  readonly did: string;
  readonly route?: string;
  readonly agentId?: string;
  readonly workflowId?: string;
  readonly mode?: string;
  readonly sipEngine: string;
  readonly mediaEngine: string;
  readonly codec?: string;
  /** ISO 8601. */
  readonly receivedAt: string;
  readonly answeredAt?: string;
}

/** What became of the audio; both absent before the answer. */
export interface AudioReport {
  /** In words: "two-way audio", or what was missing. */
  readonly verdict?: string;
  readonly quality?: Quality;
}

/** `sipSource` is the address the caller's signalling came from. */
export function audioReport(stats: BridgeStats | undefined, sipSource: string): AudioReport {
  const verdict = stats && verdictOf(stats, sipSource);
  const quality = stats && qualityOf(stats);
  return { ...(verdict === undefined ? {} : { verdict }), ...(quality ? { quality } : {}) };
}

/** `GET /calls`: a call in progress. */
export interface CallSnapshot extends CallFacts, AudioReport {
  readonly state: CallState;
  readonly durationMs: number;
  /** A few seconds old at most; absent until the first figures came. */
  readonly media?: BridgeStats;
}

/** The `call.ended` line: the call's record. */
export interface CallRecord extends CallFacts, AudioReport {
  readonly endedAt: string;
  /** From the INVITE to the end. */
  readonly durationMs: number;
  readonly endedBy: 'caller' | 'agent' | 'bridge';
  readonly reason: EndReason;
  readonly detail: string;
  readonly outcome: Outcome;
  /** Final status of the INVITE. */
  readonly sipStatus: number;
  readonly closeCode?: number;
  readonly interruptions: readonly Interruption[];
  readonly reconnects: number;
  readonly uplink?: UplinkStats;
  readonly downlink?: DownlinkStats;
  readonly firstAudioMs?: number;
}
