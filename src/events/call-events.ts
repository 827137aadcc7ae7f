import type { BridgeStats, Interruption } from '../bridge/stats.js';
import type { CallFacts, CallRecord, RecordedEnd } from './call-record.js';

/**
 * Everything that happens to calls, as plain data. An event that the log has too has the name and the fields
 * of its line. Times and delays are in milliseconds, with fractions; the log rounds them.
 */
export type CallEvent = CallOccurrence & EventStamp;

/** What every event carries. */
export interface EventStamp {
  /** The call as it was at that moment. */
  readonly call: CallFacts;
  /** On a monotonic origin: for the time between two events. */
  readonly atMs: number;
  /** Time of day, since 1970. */
  readonly wallMs: number;
}

/** What happened, without the stamp. */
export type CallOccurrence =
  | SetupEvent
  | AgentEvent
  | ConversationEvent
  | TransferEvent
  | ReplacementEvent
  | MediaChangeEvent
  | FaultEvent
  | EndEvent;

type SetupEvent =
  /** An INVITE came: the first event of every call. `registration` names ours that it came over. */
  | { readonly event: 'call.received'; readonly source: SignallingSource; readonly registration?: string }
  /** `call.route` takes the call. */
  | { readonly event: 'call.routed' }
  /** Our 200 has been sent. `setupMs` is the time since the INVITE. */
  | { readonly event: 'call.answered'; readonly setupMs: number };

/** Where the INVITE came from. */
export interface SignallingSource {
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
}

/** The agent is the one named in `call`. */
type AgentEvent =
  | { readonly event: 'agent.connecting' }
  /** It can hear the caller. `connectMs` to the open WebSocket, `startMs` from there to its start message. */
  | { readonly event: 'agent.connected'; readonly connectMs: number; readonly startMs: number }
  /** It did not take the call, or is lost for good: the route's next target is tried. */
  | ({ readonly event: 'agent.failed' } & AgentLoss)
  /** The connection is lost; attempt number `attempt` to replace it comes in `delayMs`. */
  | ({ readonly event: 'agent.reconnecting'; readonly attempt: number; readonly delayMs: number } & AgentLoss)
  | { readonly event: 'agent.reconnected'; readonly outageMs: number }
  /** It has ended the conversation. What it has said is still played. */
  | ({ readonly event: 'agent.ended' } & AgentLoss);

/** Why an agent's connection ended. */
export interface AgentLoss {
  /** One of the kinds of `pranthora/endings.ts`, such as `unreachable`. */
  readonly kind: string;
  /** One line for a human. */
  readonly detail: string;
  /** Of the WebSocket, where it was open. */
  readonly closeCode?: number;
}

type ConversationEvent =
  /** The caller spoke over the agent: its speech was stopped. */
  | ({ readonly event: 'agent.interrupted' } & Interruption)
  /** The agent says more than can be queued; what it says on top is lost. */
  | { readonly event: 'agent.queue_full'; readonly queuedMs: number }
  /** A key was pressed. `digit` only with `log.dtmfDigits`: callers type card numbers and PINs. */
  | { readonly event: 'call.dtmf'; readonly path: 'telephone-event' | 'info'; readonly digit?: string }
  | { readonly event: 'call.max_duration_near'; readonly leftMs: number }
  /** `leftMs` of the agent's last words were not played, for want of time. */
  | { readonly event: 'call.farewell_cut'; readonly leftMs: number };

/** By REFER (RFC 3515). */
type TransferEvent =
  | { readonly event: 'call.transferring'; readonly referTo: string }
  | { readonly event: 'call.transfer_progress'; readonly status: number }
  | { readonly event: 'call.transfer_failed'; readonly detail: string };

/** By an INVITE with Replaces (RFC 3891). */
type ReplacementEvent =
  | ({ readonly event: 'call.replaced' } & ReplacingInvite)
  | ({ readonly event: 'call.replace_failed'; readonly detail: string } & ReplacingInvite);

export interface ReplacingInvite {
  /** Its Call-ID, its caller, and where it came from. */
  readonly replacedBy: string;
  readonly from: string;
  readonly source: SignallingSource;
}

type MediaChangeEvent =
  /** A re-INVITE or UPDATE was answered. `sending` is false while the caller has put us on hold. */
  | { readonly event: 'call.renegotiated'; readonly sending: boolean | undefined }
  /** The media server is gone, and the caller is moved to another one. */
  | { readonly event: 'call.media_lost'; readonly detail: string }
  | { readonly event: 'call.media_replaced' }
  /** Every few seconds. */
  | { readonly event: 'call.stats'; readonly stats: BridgeStats };

type FaultEvent =
  /** A fault of the bridge's own. `err` is what was thrown: the one value that is no plain data. */
  | { readonly event: 'call.error'; readonly err: unknown }
  /** Something happened that the call's state has no row for: it came too late. */
  | { readonly event: 'call.input_ignored'; readonly state: string; readonly input: string };

type EndEvent =
  /** Everything has been released: the last event from the call itself. `records/` makes its record from it. */
  | ({ readonly event: 'call.closed' } & CallClosed)
  /** Before `call.ended`, for a call that was refused. */
  | { readonly event: 'call.rejected'; readonly record: CallRecord }
  /** The last event of every call. */
  | { readonly event: 'call.ended'; readonly record: CallRecord };

export interface CallClosed {
  readonly end: RecordedEnd;
  /** Since the INVITE. */
  readonly durationMs: number;
  /** The address the caller's signalling came from. */
  readonly sipSource: string;
  /** The last figures of the media; absent for a call that had none. */
  readonly stats?: BridgeStats;
}

/** One kind of event. */
export type CallEventOf<E extends CallEvent['event']> = Extract<CallEvent, { readonly event: E }>;
