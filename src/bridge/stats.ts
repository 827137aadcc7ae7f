import type { RtcpSessionStats } from '../rtp/rtcp-session.js';
import type { TransportAddress } from '../rtp/source-latch.js';

export type { TransportAddress } from '../rtp/source-latch.js';

/** The figures of a call's media, as they cross from the media bridge to the control plane and into records: plain data. */

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
