//  RTCP, RFC 3550 section 6.4.1: a sender report. A receiver report is the same without the sender information.
//
//         0                   1                   2                   3
//         0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//         +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//  header |V=2|P|   RC    |   PT=SR=200   |  length in words, minus one   |
//         +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//         |                         SSRC of sender                        |
//         +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
//  sender |              NTP timestamp, most significant word             |
//  info   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//         |             NTP timestamp, least significant word             |
//         +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//         |                         RTP timestamp                         |
//         +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//         |                     sender's packet count                     |
//         +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//         |                      sender's octet count                     |
//         +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
//  report |                 SSRC of the source reported on                |
//  block  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//  (RC    | fraction lost |       cumulative number of packets lost       |
//  times) +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//         |           extended highest sequence number received           |
//         +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//         |                      interarrival jitter                      |
//         +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//         |                         last SR (LSR)                         |
//         +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//         |                   delay since last SR (DLSR)                  |
//         +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+

const SENDER_REPORT = 200;
const RECEIVER_REPORT = 201;
const SOURCE_DESCRIPTION = 202;
const BYE = 203;
/** XR, RFC 3611. */
const LAST_KNOWN_TYPE = 207;
const CNAME = 1;

const VERSION_2 = 0x80;
const PADDING = 0x20;
const COUNT = 0x1f;

/** The header and the SSRC of whoever reports. */
const REPORT_HEAD_BYTES = 8;
const SENDER_INFO_BYTES = 20;
const REPORT_BLOCK_BYTES = 24;
const BYE_BYTES = 8;

/** No compound packet of a telephone is longer; RFC 3550 section 6.2 wants them within the path's MTU. */
const MAX_COMPOUND_BYTES = 1_500;

export interface SenderInfo {
  /** Seconds since 1900, and 2⁻³² of a second: both 32 bits. */
  readonly ntpSeconds: number;
  readonly ntpFraction: number;
  readonly rtpTimestamp: number;
  /** Of RTP, and of its payloads, both modulo 2³². */
  readonly packets: number;
  readonly octets: number;
}

export interface ReportBlock {
  /** The source reported on. */
  readonly ssrc: number;
  /** Since the last report, in 1/256: 0–255. */
  readonly fractionLost: number;
  /** 24 bits, signed: duplicates may make it negative. */
  readonly cumulativeLost: number;
  readonly highestSequence: number;
  /** In RTP timestamp units. */
  readonly jitter: number;
  /** The middle 32 bits of the NTP timestamp in the last sender report from `ssrc`; 0 when there was none. */
  readonly lastSenderReport: number;
  /** In 1/65536 s. */
  readonly delaySinceLastSenderReport: number;
}

/** One compound packet of ours. */
export interface RtcpToSend {
  readonly ssrc: number;
  /** Makes it a sender report. */
  readonly sender?: SenderInfo | undefined;
  readonly report?: ReportBlock | undefined;
  /** At most 255 bytes of UTF-8. */
  readonly cname: string;
  readonly bye?: boolean;
}

/** What a compound packet of the other side's says. */
export interface ReceivedRtcp {
  /** Who reports. */
  readonly ssrc: number;
  readonly sender: SenderInfo | undefined;
  readonly reports: readonly ReportBlock[];
  /** Some source says that it leaves. */
  readonly bye: boolean;
}

/**
 * Whether a datagram on a port that RTP and RTCP share is RTCP. RFC 5761 section 4: packet types 192–223, which as RTP
 * would be the payload types 64–95 with the marker, and those are not used.
 */
export function isRtcp(bytes: Uint8Array): boolean {
  const first = bytes[0] ?? 0;
  const packetType = bytes[1] ?? 0;
  return first >> 6 === 2 && packetType >= 192 && packetType <= 223;
}

/** A compound packet: SR or RR first, then SDES with the CNAME, then BYE (RFC 3550 section 6.1). */
export function writeRtcp({ ssrc, sender, report, cname, bye = false }: RtcpToSend): Buffer {
  const reportBytes = REPORT_HEAD_BYTES + (sender ? SENDER_INFO_BYTES : 0) + (report ? REPORT_BLOCK_BYTES : 0);
  const name = Buffer.from(cname, 'utf8');
  // Header, SSRC, type and length of the item, the item, and at least one zero up to the next word.
  const descriptionBytes = 4 * Math.ceil((REPORT_HEAD_BYTES + 2 + name.length + 1) / 4);
  const bytes = Buffer.alloc(reportBytes + descriptionBytes + (bye ? BYE_BYTES : 0));

  writeHead(bytes, 0, {
    type: sender ? SENDER_REPORT : RECEIVER_REPORT,
    count: report ? 1 : 0,
    ssrc,
    bytes: reportBytes,
  });
  if (sender) writeSenderInfo(bytes, REPORT_HEAD_BYTES, sender);
  if (report) writeReportBlock(bytes, reportBytes - REPORT_BLOCK_BYTES, report);

  writeHead(bytes, reportBytes, { type: SOURCE_DESCRIPTION, count: 1, ssrc, bytes: descriptionBytes });
  bytes[reportBytes + REPORT_HEAD_BYTES] = CNAME;
  bytes[reportBytes + REPORT_HEAD_BYTES + 1] = name.length;
  name.copy(bytes, reportBytes + REPORT_HEAD_BYTES + 2);

  if (bye) {
    writeHead(bytes, reportBytes + descriptionBytes, { type: BYE, count: 1, ssrc, bytes: BYE_BYTES });
  }
  return bytes;
}

interface Head {
  readonly type: number;
  readonly count: number;
  readonly ssrc: number;
  /** Of the whole packet. */
  readonly bytes: number;
}

function writeHead(into: Buffer, at: number, { type, count, ssrc, bytes }: Head): void {
  into[at] = VERSION_2 | count;
  into[at + 1] = type;
  into.writeUInt16BE(bytes / 4 - 1, at + 2);
  into.writeUInt32BE(ssrc, at + 4);
}

function writeSenderInfo(bytes: Buffer, at: number, sender: SenderInfo): void {
  bytes.writeUInt32BE(sender.ntpSeconds, at);
  bytes.writeUInt32BE(sender.ntpFraction, at + 4);
  bytes.writeUInt32BE(sender.rtpTimestamp, at + 8);
  bytes.writeUInt32BE(sender.packets, at + 12);
  bytes.writeUInt32BE(sender.octets, at + 16);
}

function writeReportBlock(bytes: Buffer, at: number, report: ReportBlock): void {
  bytes.writeUInt32BE(report.ssrc, at);
  bytes.writeUInt8(report.fractionLost, at + 4);
  bytes.writeIntBE(report.cumulativeLost, at + 5, 3);
  bytes.writeUInt32BE(report.highestSequence, at + 8);
  bytes.writeUInt32BE(report.jitter, at + 12);
  bytes.writeUInt32BE(report.lastSenderReport, at + 16);
  bytes.writeUInt32BE(report.delaySinceLastSenderReport, at + 20);
}

/**
 * Reads a compound packet after the validity checks of RFC 3550 appendix A.2. Packet types other than reports and BYE
 * are passed over.
 * @returns undefined when it is malformed in any part; nothing of it is then to be believed.
 */
export function readRtcp(bytes: Buffer): ReceivedRtcp | undefined {
  if (bytes.length < REPORT_HEAD_BYTES || bytes.length > MAX_COMPOUND_BYTES || bytes.length % 4 !== 0) return undefined;
  const firstType = bytes[1] ?? 0;
  // Appendix A.2 wants a report first. RFC 5506 section 3.4.2 does not, and telephones send an APP alone to open a NAT.
  if (firstType < SENDER_REPORT || firstType > LAST_KNOWN_TYPE) return undefined;

  let sender: SenderInfo | undefined;
  const reports: ReportBlock[] = [];
  let bye = false;
  for (let at = 0; at < bytes.length;) {
    const end = packetEnd(bytes, at);
    if (end === undefined) return undefined;
    const type = bytes[at + 1];
    if (type === SENDER_REPORT || type === RECEIVER_REPORT) {
      if (!readReports(bytes, at, end, reports)) return undefined;
      if (at === 0 && type === SENDER_REPORT) sender = readSenderInfo(bytes, REPORT_HEAD_BYTES);
    } else if (type === BYE) {
      if (at + 4 + 4 * countAt(bytes, at) > end) return undefined;
      bye = true;
    }
    at = end;
  }
  return { ssrc: bytes.readUInt32BE(4), sender, reports, bye };
}

const countAt = (bytes: Buffer, at: number): number => (bytes[at] ?? 0) & COUNT;

/**
 * Where the packet at `at` ends; undefined if it is not of version 2, or longer than what is there. Appendix A.2: the first
 * is not padded, and of the others only the last.
 */
function packetEnd(bytes: Buffer, at: number): number | undefined {
  const flags = bytes[at] ?? 0;
  const end = at + 4 * (bytes.readUInt16BE(at + 2) + 1);
  if (flags >> 6 !== 2 || end > bytes.length) return undefined;
  if ((flags & PADDING) === 0) return end;
  const padding = bytes[bytes.length - 1] ?? 0;
  const mayPad = at > 0 && end === bytes.length && padding > 0 && padding % 4 === 0 && padding <= end - at - 4;
  return mayPad ? end : undefined;
}

/** Adds the report blocks of an SR or RR; false if they are more than fit. What a profile has added behind is skipped. */
function readReports(bytes: Buffer, at: number, end: number, into: ReportBlock[]): boolean {
  const first = at + REPORT_HEAD_BYTES + (bytes[at + 1] === SENDER_REPORT ? SENDER_INFO_BYTES : 0);
  const count = countAt(bytes, at);
  if (first + count * REPORT_BLOCK_BYTES > end) return false;
  for (let i = 0; i < count; i++) into.push(readReportBlock(bytes, first + i * REPORT_BLOCK_BYTES));
  return true;
}

function readSenderInfo(bytes: Buffer, at: number): SenderInfo {
  return {
    ntpSeconds: bytes.readUInt32BE(at),
    ntpFraction: bytes.readUInt32BE(at + 4),
    rtpTimestamp: bytes.readUInt32BE(at + 8),
    packets: bytes.readUInt32BE(at + 12),
    octets: bytes.readUInt32BE(at + 16),
  };
}

function readReportBlock(bytes: Buffer, at: number): ReportBlock {
  return {
    ssrc: bytes.readUInt32BE(at),
    fractionLost: bytes.readUInt8(at + 4),
    cumulativeLost: bytes.readIntBE(at + 5, 3),
    highestSequence: bytes.readUInt32BE(at + 8),
    jitter: bytes.readUInt32BE(at + 12),
    lastSenderReport: bytes.readUInt32BE(at + 16),
    delaySinceLastSenderReport: bytes.readUInt32BE(at + 20),
  };
}
