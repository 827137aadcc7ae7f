import type { StreamEncoding } from '../audio/encodings.js';
import type { AgentEnding } from '../pranthora/endings.js';
import type { AgentAddress } from '../pranthora/agent-session.js';
import type { RtcpRemote } from '../rtp/rtcp-route.js';
import type { RtcpSessionStats } from '../rtp/rtcp-session.js';
import type { LatchMode, TransportAddress } from '../rtp/source-latch.js';

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

/** Caller → agent, as counted on the wire. */
export interface UplinkStats {
  /** RTP packets accepted. */
  readonly packets: number;
  readonly lost: number;
  /** Packets that came after their place in time had been filled with silence. */
  readonly late: number;
  readonly duplicates: number;
  readonly reordered: number;
  /** Packets refused because they came from somebody else, or were not RTP of this stream. */
  readonly foreign: number;
  readonly malformed: number;
  /** 20 ms frames handed to the WebSocket, and how much of them was silence put in for packets that did not come. */
  readonly frames: number;
  readonly filledMs: number;
  /** Of `filledMs`, what was made up from the voice before it; the rest is silence. */
  readonly concealedMs: number;
  /** Frames taken out and put in because the caller's clock is not ours. */
  readonly joinedFrames: number;
  readonly stretchedFrames: number;
  /** Frames Pranthora could not take in time. */
  readonly droppedFrames: number;
}

/** Agent → caller. */
export interface DownlinkStats {
  readonly packets: number;
  readonly sendErrors: number;
  /** Speech received from Pranthora, and how much of it was played, discarded by interruptions, or refused (queue full). */
  readonly receivedMs: number;
  readonly playedMs: number;
  readonly discardedMs: number;
  readonly overflowedMs: number;
  readonly queuedMs: number;
  /** How often the agent's speech did not come in time to be continued, and for how long the caller heard nothing then. */
  readonly underruns: number;
  readonly underrunMs: number;
}

/** Where a given share of the delays was at most: 50, 95 and 100 %. */
export interface DelaySummary {
  readonly count: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly maxMs: number;
}

/** The way between the caller and the bridge's port, as far as it can be seen from there. */
export interface PathStats {
  /** Since `start`; 0 before. Of it, for how long the SDP wanted our packets, and promised the other side's. */
  readonly activeMs: number;
  readonly sendingMs: number;
  readonly receivingMs: number;
  /** Where the SDP says the other side is; absent while it does not. */
  readonly described?: TransportAddress;
  /** Since the last RTP packet of the call's, or the hold that ended after it; absent before the first, and on hold. */
  readonly silentMs?: number;
  /** Packets whose payload type was none of the negotiated ones, and the last such. */
  readonly foreignPayloads: number;
  readonly foreignPayloadType?: number;
  /** The last source that was refused, and the payload type if that was why. */
  readonly refused?: { readonly source: TransportAddress; readonly payloadType?: number };
  /** The system's code for the last packet it would not send, such as `EHOSTUNREACH`. */
  readonly sendError?: string;
  /** Packets not sent for want of an address. */
  readonly unaddressed: number;
  /** Of the caller's stream (RFC 3550 6.4.1, A.3): what the network did, before the reorder buffer. */
  readonly expectedPackets: number;
  readonly lostPackets: number;
  readonly jitterMs: number;
  /** How much audio one packet of the caller's holds; 0 while not known. */
  readonly packetMs: number;
  readonly rtcp: RtcpSessionStats & { readonly foreign: number };
  /**
   * What the bridge itself adds. Uplink: from the arrival of a packet to handing the frame with its last sample to the
   * WebSocket. Downlink: from the first speech after a silence to handing the packet with it to the socket.
   */
  readonly addedDelay: { readonly uplink?: DelaySummary; readonly downlink?: DelaySummary };
}

export interface Interruption {
  /** From reading the interruption to handing the first RTP packet without old speech to the socket. */
  readonly reactionMs: number;
  readonly discardedMs: number;
}

export interface BridgeStats {
  readonly uplink: UplinkStats;
  readonly downlink: DownlinkStats;
  /** From `start` to handing the first packet with speech to the socket. */
  readonly firstAudioMs?: number;
  readonly interruptions: readonly Interruption[];
  readonly reconnects: number;
  /** Where the caller's RTP really comes from, once something came. */
  readonly remote?: TransportAddress;
  readonly path?: PathStats;
}

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
