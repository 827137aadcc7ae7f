import type { BridgeStats, DownlinkStats, Interruption, UplinkStats } from '../bridge/messages.js';
import type { CallState } from './call-state.js';
import type { EndReason, Outcome } from './call-end.js';

/** What is known of a call from its INVITE on. */
export interface CallFacts {
  readonly callId: string;
  readonly from: string;
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

/** `GET /calls`: a call in progress. */
export interface CallSnapshot extends CallFacts {
  readonly state: CallState;
  readonly durationMs: number;
  /** A few seconds old at most; absent until the first figures came. */
  readonly media?: BridgeStats;
}

/** The `call.ended` line: the call's record. */
export interface CallRecord extends CallFacts {
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
