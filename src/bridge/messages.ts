import type { StreamEncoding } from '../audio/encodings.js';
import type { AgentEnding } from '../pranthora/endings.js';
import type { AgentAddress } from '../pranthora/agent-session.js';
import type { RtcpRemote } from '../rtp/rtcp-route.js';
import type { LatchMode, TransportAddress } from '../rtp/source-latch.js';
import type { BridgeStats, Interruption } from './stats.js';

export type { AgentAddress } from '../pranthora/agent-session.js';
export type { TransportAddress } from '../rtp/source-latch.js';

/**
 * What crosses between the control plane and a media bridge: plain values only, so that a bridge can live on
 * another thread. Audio never crosses; it stays between the bridge's RTP socket and its WebSocket.
 */

/** One call's media bridge, unique within the process. */
export type BridgeId = number;

/** A payload type that may come besides the one agreed on. */
export interface AcceptedPayload {
  readonly payloadType: number;
  readonly carries: StreamEncoding | 'telephone-event';
}

/** The RTP stream agreed with whoever is on the other side of the bridge's port (RFC 3264 result, seen from us). */
export interface BridgeMedia {
  readonly encoding: StreamEncoding;
  /** The payload type we send, and the one we expect. */
  readonly payloadType: number;
  readonly telephoneEventPayloadType?: number;
  /** What else was offered and we understand: it may come at any time, without notice (RFC 3264 section 5.1). */
  readonly accepted?: readonly AcceptedPayload[];
  /** Where the other side wants its RTP; absent while unknown (hold with 0.0.0.0, a host name, or no answer yet). */
  readonly remote?: TransportAddress;
  /** It may be an address that nobody can be reached at from here: the other side is behind NAT, it seems. */
  readonly remoteIsDoubtful?: boolean;
  /** Where it wants its RTCP; absent when that is the port after the RTP's. */
  readonly rtcp?: RtcpRemote;
  /** Another party than before: what was known of where its RTP comes from is void. */
  readonly newParty?: true;
  /** The address its SIP comes from: RTP from there is as good as its own. */
  readonly peer?: string;
  /** Who else's RTP may be taken for it; absent for `any`. */
  readonly latch?: LatchMode;
  /** False while the other side does not want our packets (hold): time goes on without them. */
  readonly sending: boolean;
  /** False while the other side has said that it sends nothing: no RTP is then no fault. */
  readonly receiving: boolean;
}

export type BridgeCommand =
  /** Take an RTP port. Answered by `opened` or `open-failed`. */
  | { readonly kind: 'open'; readonly bridge: BridgeId }
  /** Connect (or replace) the agent. Answered by `agent-ready` or `agent-ended`. */
  | { readonly kind: 'connect-agent'; readonly bridge: BridgeId; readonly address: AgentAddress }
  /** The negotiated stream, first or changed: what comes is taken from now on. */
  | { readonly kind: 'set-media'; readonly bridge: BridgeId; readonly media: BridgeMedia }
  /** The call is answered: what the agent says is played, and RTP is expected. */
  | { readonly kind: 'start'; readonly bridge: BridgeId }
  /** The caller has acknowledged our answer (ACK): until it has, only little is sent. */
  | { readonly kind: 'confirm'; readonly bridge: BridgeId }
  /** The keys to show to the agent from its next connection on. */
  | { readonly kind: 'renew-keys'; readonly bridge: BridgeId; readonly apiKeys: readonly string[] }
  /** The caller has pressed a key, for agents that are told of it. */
  | { readonly kind: 'send-digit'; readonly bridge: BridgeId; readonly digit: string }
  /** The agent is gone: play what it has said, within `farewellMs` of now or of the start. Answered by `played-out`. */
  | { readonly kind: 'play-out'; readonly bridge: BridgeId }
  /** Release everything. Answered by `closed`, once, whatever happened before. */
  | { readonly kind: 'close'; readonly bridge: BridgeId };

export type BridgeEvent =
  | { readonly kind: 'opened'; readonly bridge: BridgeId; readonly rtpPort: number }
  | { readonly kind: 'open-failed'; readonly bridge: BridgeId; readonly detail: string }
  | { readonly kind: 'agent-ready'; readonly bridge: BridgeId; readonly connectMs: number; readonly startMs: number }
  | { readonly kind: 'interrupted'; readonly bridge: BridgeId; readonly interruption: Interruption }
  | {
      readonly kind: 'agent-reconnecting';
      readonly bridge: BridgeId;
      readonly ending: AgentEnding;
      readonly attempt: number;
      readonly delayMs: number;
    }
  | { readonly kind: 'agent-reconnected'; readonly bridge: BridgeId; readonly outageMs: number }
  /** The agent is gone for good. What it has said is still played. */
  | { readonly kind: 'agent-ended'; readonly bridge: BridgeId; readonly ending: AgentEnding }
  /** Nothing is left to be heard but `leftMs`, for which there was no time. */
  | { readonly kind: 'played-out'; readonly bridge: BridgeId; readonly leftMs: number }
  /** A telephone-event (RFC 4733) has begun. */
  | { readonly kind: 'dtmf'; readonly bridge: BridgeId; readonly digit: string }
  /** The thread the bridge was on is gone, and all of it; only `close` is answered any more. */
  | { readonly kind: 'lost'; readonly bridge: BridgeId; readonly detail: string }
  /** The agent says more than can be queued: the rest is lost. Told once. */
  | { readonly kind: 'queue-full'; readonly bridge: BridgeId; readonly queuedMs: number }
  | { readonly kind: 'rtp-timeout'; readonly bridge: BridgeId; readonly silentMs: number }
  /** Every few seconds, for `/calls`. */
  | { readonly kind: 'stats'; readonly bridge: BridgeId; readonly stats: BridgeStats }
  | { readonly kind: 'closed'; readonly bridge: BridgeId; readonly stats: BridgeStats };

/** Where bridges live: on this thread or on workers. */
export interface BridgePool {
  /** Starts a bridge; its events, and only its, go to `onEvent` until `closed` has been delivered. */
  open(onEvent: (event: BridgeEvent) => void): BridgeHandle;
  /** Ends when every bridge has been closed. */
  stop(): Promise<void>;
  readonly active: number;
}

/** One bridge as the control plane holds it. */
export interface BridgeHandle {
  readonly id: BridgeId;
  connectAgent(address: AgentAddress): void;
  setMedia(media: BridgeMedia): void;
  start(): void;
  confirm(): void;
  renewKeys(apiKeys: readonly string[]): void;
  sendDigit(digit: string): void;
  playOut(): void;
  close(): void;
}
