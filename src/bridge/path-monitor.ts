import { randomBytes } from 'node:crypto';
import type { RtpEndpointStats } from '../rtp/endpoint.js';
import type { RtpPacket } from '../rtp/packet.js';
import { RtcpSession } from '../rtp/rtcp-session.js';
import { DelayHistogram } from './delay-histogram.js';
import type { BridgeMedia } from './messages.js';
import type { PathStats } from './stats.js';
import type { Carried } from './payload-types.js';
import type { Uplink } from './uplink/uplink.js';

/** RFC 7022 4.2: 96 random bits, in base64. */
const CNAME_BYTES = 12;

/** Arrivals remembered until their packet has left the reorder buffer, which never holds as many. A power of two. */
const ARRIVALS = 128;
const ARRIVAL_MASK = ARRIVALS - 1;

export interface PathMonitorOptions {
  readonly nowMs: number;
  /** The time of day at `nowMs`, in milliseconds since 1970. */
  readonly wallMs: number;
  /** Of the stream we send. */
  readonly ssrc: number;
  readonly random?: () => number;
}

/**
 * What can be seen of one call's way: is told of everything that comes and goes, and from it makes RTCP reports and the
 * figures for the call's record. It changes nothing of what it watches.
 */
export class PathMonitor {
  readonly rtcp: RtcpSession;
  readonly #arrivedMs = new Float64Array(ARRIVALS);
  readonly #uplinkDelay = new DelayHistogram();
  readonly #downlinkDelay = new DelayHistogram();
  #media: BridgeMedia | undefined;
  #startedAtMs: number | undefined;
  /** Up to when the times of sending and receiving have been counted. */
  #countedToMs = 0;
  #sendingMs = 0;
  #receivingMs = 0;
  #lastRtpAtMs: number | undefined;
  #mediaSetAtMs = 0;
  #foreignPayloads = 0;
  #foreignPayloadType: number | undefined;
  /** Arrival of the packet whose end waits for the frame it is in to be filled. */
  #unsentSinceMs: number | undefined;
  /** Since when speech is waiting that came after a silence. */
  #onsetAtMs: number | undefined;

  constructor({ nowMs, wallMs, ssrc, random = Math.random }: PathMonitorOptions) {
    const cname = randomBytes(CNAME_BYTES).toString('base64');
    this.rtcp = new RtcpSession({ nowMs, wallMs, cname, ssrc, clockRateHz: 8_000, random });
  }

  /** `clockRateHz`: RTP timestamp units in a second. */
  setMedia(media: BridgeMedia, clockRateHz: number, nowMs: number): void {
    this.#countTo(nowMs);
    this.#media = media;
    this.#mediaSetAtMs = nowMs;
    this.rtcp.clockRateHz = clockRateHz;
  }

  start(nowMs: number): void {
    this.#startedAtMs = this.#countedToMs = nowMs;
    this.rtcp.start(nowMs);
  }

  /** A packet of the caller's, as it arrives; `carried` is undefined when its payload type was not agreed on. */
  arrived(packet: RtpPacket, carried: Carried | undefined, nowMs: number): void {
    const isAudio = carried !== undefined && carried !== 'telephone-event' && carried !== 'comfort-noise';
    this.#lastRtpAtMs = nowMs;
    this.#arrivedMs[packet.sequenceNumber & ARRIVAL_MASK] = nowMs;
    this.rtcp.onRtpReceived(packet, nowMs, isAudio);
    if (carried !== undefined) return;
    this.#foreignPayloads += 1;
    this.#foreignPayloadType = packet.payloadType;
  }

  /** The packet has been put into the uplink's frames; `isSent`: to its last sample. `clockRateHz` is its sender's. */
  taken(packet: RtpPacket, { isSent, clockRateHz }: Pick<Uplink, 'isSent' | 'clockRateHz'>, nowMs: number): void {
    this.rtcp.senderClockRateHz = clockRateHz;
    const arrivedMs = this.#arrivedMs[packet.sequenceNumber & ARRIVAL_MASK] ?? nowMs;
    if (isSent) this.#uplinkDelay.record(nowMs - arrivedMs);
    else this.#unsentSinceMs = arrivedMs;
  }

  /** A frame is full, and goes to the WebSocket at the end of the turn. */
  frameMade(nowMs: number): void {
    if (this.#unsentSinceMs === undefined) return;
    this.#uplinkDelay.record(nowMs - this.#unsentSinceMs);
    this.#unsentSinceMs = undefined;
  }

  /** Speech has come from the agent, while nothing of it was waiting. */
  speechBegan(nowMs: number): void {
    if (this.#startedAtMs !== undefined) this.#onsetAtMs ??= nowMs;
  }

  /** What the agent said is not going to be heard. */
  speechDiscarded(): void {
    this.#onsetAtMs = undefined;
  }

  /** A packet has been handed to the socket. */
  sent(packet: Buffer, carriesSpeech: boolean, nowMs: number): void {
    this.rtcp.onRtpSent(packet, nowMs);
    if (!carriesSpeech || this.#onsetAtMs === undefined) return;
    this.#downlinkDelay.record(nowMs - this.#onsetAtMs);
    this.#onsetAtMs = undefined;
  }

  stats(rtp: RtpEndpointStats | undefined, nowMs: number): PathStats {
    this.#countTo(nowMs);
    const { expected, lost, jitterMs, packetMs } = this.rtcp.reception;
    const { remote } = this.#media ?? {};
    const [uplink, downlink] = [this.#uplinkDelay.summary, this.#downlinkDelay.summary];
    return {
      activeMs: this.#startedAtMs === undefined ? 0 : Math.round(nowMs - this.#startedAtMs),
      sendingMs: Math.round(this.#sendingMs),
      receivingMs: Math.round(this.#receivingMs),
      ...(remote ? { described: remote } : {}),
      ...this.#silence(nowMs),
      foreignPayloads: this.#foreignPayloads,
      ...(this.#foreignPayloadType === undefined ? {} : { foreignPayloadType: this.#foreignPayloadType }),
      ...(rtp?.ignored ? { refused: rtp.ignored } : {}),
      ...(rtp?.sendError === undefined ? {} : { sendError: rtp.sendError }),
      unaddressed: rtp?.unaddressed ?? 0,
      expectedPackets: expected,
      lostPackets: lost,
      jitterMs: roundMs(jitterMs),
      packetMs: roundMs(packetMs),
      rtcp: { ...this.rtcp.stats, foreign: rtp?.ignoredRtcp ?? 0 },
      addedDelay: { ...(uplink ? { uplink } : {}), ...(downlink ? { downlink } : {}) },
    };
  }

  /** Only counts while there should be RTP. */
  #silence(nowMs: number): Pick<PathStats, 'silentMs'> {
    if (this.#lastRtpAtMs === undefined || !this.#media?.receiving) return {};
    return { silentMs: Math.round(nowMs - Math.max(this.#lastRtpAtMs, this.#mediaSetAtMs)) };
  }

  #countTo(nowMs: number): void {
    if (this.#startedAtMs === undefined) return;
    const passedMs = nowMs - this.#countedToMs;
    this.#countedToMs = nowMs;
    if (this.#media?.sending) this.#sendingMs += passedMs;
    if (this.#media?.receiving) this.#receivingMs += passedMs;
  }
}

const roundMs = (ms: number): number => Math.round(ms * 10) / 10;
