import type { RtpPacket } from './packet.js';
import { Reception, type ReceptionStats } from './reception.js';
import { readRtcp, writeRtcp, type ReceivedRtcp, type ReportBlock, type SenderInfo } from './rtcp-packet.js';

/**
 * RFC 3550 section 6.2: the minimum, which it also is in a session of two: 5 % of a telephone's bandwidth would carry far
 * more than a report of a hundred bytes every five seconds.
 */
const INTERVAL_MS = 5_000;

/** From 1900, where NTP's seconds begin, to 1970 (RFC 3550 section 4). */
const NTP_EPOCH_OFFSET_S = 2_208_988_800;

/** Sender reports of ours whose echo may still tell a round trip. */
const REMEMBERED_REPORTS = 4;
/** A round trip longer than this is a clock gone wrong. */
const MAX_ROUND_TRIP_MS = 30_000;

export interface RtcpSessionOptions {
  readonly nowMs: number;
  /** The time of day at `nowMs`, in milliseconds since 1970. The session's NTP time goes on from there evenly. */
  readonly wallMs: number;
  /** RFC 7022: random, of this call alone. */
  readonly cname: string;
  /** Ours, should a report be due before the first RTP packet. */
  readonly ssrc: number;
  /** RTP timestamp units in a second. */
  readonly clockRateHz: number;
  /** In [0, 1). */
  readonly random: () => number;
}

export interface RtcpSessionStats {
  /** Compound packets. */
  readonly sent: number;
  readonly received: number;
  readonly malformed: number;
  /** What the other side last said of our stream. */
  readonly reported?: { readonly lost: number; readonly fractionLost: number; readonly jitterMs: number };
  readonly roundTripMs?: number;
  /** The other side has said that it leaves. Anybody can say so in its name: nothing is done about it. */
  readonly byeReceived: boolean;
}

interface SentReport {
  readonly stamp: number;
  readonly atMs: number;
}

/** What has been sent under one SSRC. */
interface SentStream {
  ssrc: number;
  packets: number;
  octets: number;
  lastTimestamp: number;
  lastSentMs: number;
}

/**
 * RTCP of a call between two (RFC 3550 section 6): is told of every RTP packet, says when a report is due, and reads what
 * the other side reports. No timer and no socket of its own.
 */
export class RtcpSession {
  readonly #options: RtcpSessionOptions;
  readonly #reception: Reception;
  #clockRateHz: number;
  readonly #stream: SentStream;
  #packets = 0;
  /** `#packets` at the last report and the one before. */
  #packetsAtReport: readonly [number, number] = [0, 0];
  #dueAtMs = Infinity;
  readonly #sentReports: SentReport[] = [];
  #lastSenderReport: { readonly ssrc: number; readonly stamp: number; readonly atMs: number } | undefined;
  #sent = 0;
  #received = 0;
  #malformed = 0;
  #reported: RtcpSessionStats['reported'];
  #roundTripMs: number | undefined;
  #byeReceived = false;

  constructor(options: RtcpSessionOptions) {
    this.#options = options;
    this.#clockRateHz = options.clockRateHz;
    this.#reception = new Reception(options.clockRateHz);
    this.#stream = { ssrc: options.ssrc, packets: 0, octets: 0, lastTimestamp: 0, lastSentMs: 0 };
  }

  set clockRateHz(rateHz: number) {
    this.#clockRateHz = rateHz;
    this.#reception.clockRateHz = rateHz;
  }

  /** Of the other side's timestamps, where it turns out to be another. */
  set senderClockRateHz(rateHz: number) {
    this.#reception.clockRateHz = rateHz;
  }

  get reception(): ReceptionStats {
    return this.#reception.stats;
  }

  get stats(): RtcpSessionStats {
    return {
      sent: this.#sent,
      received: this.#received,
      malformed: this.#malformed,
      ...(this.#reported ? { reported: this.#reported } : {}),
      ...(this.#roundTripMs === undefined ? {} : { roundTripMs: this.#roundTripMs }),
      byeReceived: this.#byeReceived,
    };
  }

  /** From now on reports fall due. */
  start(nowMs: number): void {
    // Section 6.2: the first one after half the interval.
    if (this.#dueAtMs === Infinity) this.#dueAtMs = nowMs + this.#randomised(INTERVAL_MS / 2);
  }

  /** A packet of ours goes out, its header written. */
  onRtpSent(packet: Buffer, nowMs: number): void {
    const stream = this.#stream;
    const ssrc = packet.readUInt32BE(8);
    if (ssrc !== stream.ssrc) {
      // Section 6.4.1: another SSRC counts anew.
      stream.ssrc = ssrc;
      stream.packets = stream.octets = 0;
    }
    stream.packets += 1;
    stream.octets += packet.length - 12;
    stream.lastTimestamp = packet.readUInt32BE(4);
    stream.lastSentMs = nowMs;
    this.#packets += 1;
  }

  /** A packet of the other side's has come; see `Reception.receive`. */
  onRtpReceived(packet: RtpPacket, nowMs: number, isAudio: boolean): void {
    this.#reception.receive(packet, nowMs, isAudio);
  }

  /** The compound packet to send now, if one is due. To be asked at every tick. */
  due(nowMs: number): Buffer | undefined {
    if (nowMs < this.#dueAtMs) return undefined;
    this.#dueAtMs = nowMs + this.#randomised(INTERVAL_MS);
    return this.#write(nowMs, false);
  }

  /** The last packet, with BYE. Section 6.3.7: undefined for one who has sent nothing, and so has nothing to leave. */
  end(nowMs: number): Buffer | undefined {
    this.#dueAtMs = Infinity;
    return this.#packets + this.#sent === 0 ? undefined : this.#write(nowMs, true);
  }

  /** A datagram from the other side that may be RTCP. */
  onRtcp(bytes: Buffer, nowMs: number): void {
    const rtcp = readRtcp(bytes);
    if (!rtcp) {
      this.#malformed += 1;
      return;
    }
    this.#received += 1;
    this.#byeReceived ||= rtcp.bye;
    this.#noteSenderReport(rtcp, nowMs);
    for (const report of rtcp.reports) if (report.ssrc === this.#stream.ssrc) this.#noteReport(report, nowMs);
  }

  /**
   * Section 6.3.1: half to one and a half times the interval. The division by e − 3/2 there makes up for reconsidering the
   * timer, which is for sessions whose size changes; this one is of two from its beginning to its end.
   */
  #randomised(intervalMs: number): number {
    return intervalMs * (0.5 + this.#options.random());
  }

  #write(nowMs: number, bye: boolean): Buffer {
    // Section 6.4: a sender is who has sent RTP since the report before the last.
    const sender = this.#packets > this.#packetsAtReport[1] ? this.#senderInfo(nowMs) : undefined;
    this.#packetsAtReport = [this.#packets, this.#packetsAtReport[0]];
    this.#sent += 1;
    const { ssrc } = this.#stream;
    return writeRtcp({ ssrc, sender, report: this.#reportBlock(nowMs), cname: this.#options.cname, bye });
  }

  #senderInfo(nowMs: number): SenderInfo {
    const wallMs = this.#options.wallMs + nowMs - this.#options.nowMs;
    const ntpSeconds = (Math.floor(wallMs / 1_000) + NTP_EPOCH_OFFSET_S) >>> 0;
    const ntpFraction = Math.floor(((wallMs % 1_000) / 1_000) * 2 ** 32) >>> 0;
    this.#sentReports.push({ stamp: middleOf(ntpSeconds, ntpFraction), atMs: nowMs });
    if (this.#sentReports.length > REMEMBERED_REPORTS) this.#sentReports.shift();
    const { packets, octets, lastTimestamp, lastSentMs } = this.#stream;
    const sinceLast = Math.round(((nowMs - lastSentMs) * this.#clockRateHz) / 1_000);
    return {
      ntpSeconds,
      ntpFraction,
      // Section 6.4.1: the RTP time of the same instant, not of the last packet.
      rtpTimestamp: (lastTimestamp + sinceLast) >>> 0,
      packets: packets >>> 0,
      octets: octets >>> 0,
    };
  }

  #reportBlock(nowMs: number): ReportBlock | undefined {
    const reception = this.#reception.report();
    if (!reception) return undefined;
    const last = this.#lastSenderReport;
    const known = last?.ssrc === reception.ssrc ? last : undefined;
    const sinceMs = known ? nowMs - known.atMs : 0;
    return {
      ...reception,
      lastSenderReport: known?.stamp ?? 0,
      delaySinceLastSenderReport: Math.min(0xffff_ffff, Math.round(sinceMs * 65.536)),
    };
  }

  #noteSenderReport({ ssrc, sender }: ReceivedRtcp, nowMs: number): void {
    if (!sender) return;
    this.#lastSenderReport = { ssrc, stamp: middleOf(sender.ntpSeconds, sender.ntpFraction), atMs: nowMs };
  }

  #noteReport(report: ReportBlock, nowMs: number): void {
    this.#reported = {
      // More than was sent cannot have been lost, whatever is claimed.
      lost: Math.max(0, Math.min(report.cumulativeLost, this.#stream.packets)),
      fractionLost: report.fractionLost / 256,
      jitterMs: (report.jitter * 1_000) / this.#clockRateHz,
    };
    // Section 6.4.1, figure 2. Only a stamp of ours is taken: another one would say whatever its sender likes.
    const echoed = this.#sentReports.find(({ stamp }) => stamp === report.lastSenderReport);
    if (!echoed) return;
    const roundTripMs = nowMs - echoed.atMs - report.delaySinceLastSenderReport / 65.536;
    if (roundTripMs > -1 && roundTripMs < MAX_ROUND_TRIP_MS) this.#roundTripMs = Math.max(0, roundTripMs);
  }
}

/** The middle 32 bits of an NTP timestamp. */
function middleOf(seconds: number, fraction: number): number {
  return ((seconds << 16) | (fraction >>> 16)) >>> 0;
}
