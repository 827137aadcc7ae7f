//  RTP fixed header, RFC 3550 section 5.1:
//
//   0                   1                   2                   3
//   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//  |V=2|P|X|  CC   |M|     PT      |       sequence number         |
//  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//  |                           timestamp                           |
//  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//  |           synchronization source (SSRC) identifier            |
//  +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
//  |            contributing source (CSRC) identifiers             |
//  |                             ....                              |
//  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
//  with X, before the payload (section 5.3.1): 16 bits defined by profile, 16 bits length in 32-bit words, the words.
//  with P, the last byte of the packet is the number of padding bytes at its end, itself included.

/** Length of the header this side writes: no CSRC, no extension. */
export const RTP_HEADER_BYTES = 12;

/**
 * Static (RFC 3389 section 4). Sent by some without having been agreed, and by a caller perhaps alone for a while; it is
 * neither audio nor a fault.
 */
export const COMFORT_NOISE_PAYLOAD_TYPE = 13;

const VERSION_2 = 0x80;
const PADDING = 0x20;
const EXTENSION = 0x10;
const CSRC_COUNT = 0x0f;
const MARKER = 0x80;
const PAYLOAD_TYPE = 0x7f;

/** RTCP packet types 200–204 read as RTP with the marker set: RFC 3551 section 6 keeps these payload types free. */
const FIRST_RTCP_PAYLOAD_TYPE = 72;
const LAST_RTCP_PAYLOAD_TYPE = 76;

/** What the writer of a header chooses. */
export interface RtpHeader {
  /** 0–127. */
  readonly payloadType: number;
  readonly marker: boolean;
  /** 16 bits. */
  readonly sequenceNumber: number;
  /** 32 bits, in units of the payload's clock. */
  readonly timestamp: number;
  /** 32 bits. */
  readonly ssrc: number;
}

/** A packet as received: the payload is `bytes[payloadOffset … payloadOffset + payloadLength)`, padding excluded. */
export interface RtpPacket extends RtpHeader {
  readonly bytes: Uint8Array;
  readonly payloadOffset: number;
  readonly payloadLength: number;
}

/** An RtpPacket to be overwritten by the next one. */
export type MutableRtpPacket = { -readonly [Field in keyof RtpPacket]: RtpPacket[Field] };

const NO_BYTES = new Uint8Array(0);

export function newRtpPacket(): MutableRtpPacket {
  return {
    payloadType: 0,
    marker: false,
    sequenceNumber: 0,
    timestamp: 0,
    ssrc: 0,
    bytes: NO_BYTES,
    payloadOffset: 0,
    payloadLength: 0,
  };
}

/** Copies the view; the bytes stay shared. */
export function copyRtpPacket(from: RtpPacket, into: MutableRtpPacket): void {
  into.payloadType = from.payloadType;
  into.marker = from.marker;
  into.sequenceNumber = from.sequenceNumber;
  into.timestamp = from.timestamp;
  into.ssrc = from.ssrc;
  into.bytes = from.bytes;
  into.payloadOffset = from.payloadOffset;
  into.payloadLength = from.payloadLength;
}

/** Lets go of the bytes a view that is kept for later still refers to. */
export function clearRtpPacket(packet: MutableRtpPacket): void {
  packet.bytes = NO_BYTES;
  packet.payloadOffset = packet.payloadLength = 0;
}

function readUint16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
}

function readUint32(bytes: Uint8Array, offset: number): number {
  return ((readUint16(bytes, offset) << 16) | readUint16(bytes, offset + 2)) >>> 0;
}

/**
 * Reads a datagram into `into`, which then refers to `bytes`.
 * @returns false if it is not RTP: RTCP, STUN, another version, or lengths that do not add up. `into` is then unchanged.
 */
export function parseRtp(bytes: Uint8Array, into: MutableRtpPacket): boolean {
  if (bytes.length < RTP_HEADER_BYTES) return false;
  const flags = bytes[0] ?? 0;
  const second = bytes[1] ?? 0;
  const payloadType = second & PAYLOAD_TYPE;
  if (flags >> 6 !== 2) return false;
  if (payloadType >= FIRST_RTCP_PAYLOAD_TYPE && payloadType <= LAST_RTCP_PAYLOAD_TYPE) return false;

  const payloadOffset = findPayload(bytes, flags);
  const payloadEnd = findPayloadEnd(bytes, flags);
  if (payloadOffset > payloadEnd) return false;

  into.payloadType = payloadType;
  into.marker = (second & MARKER) !== 0;
  into.sequenceNumber = readUint16(bytes, 2);
  into.timestamp = readUint32(bytes, 4);
  into.ssrc = readUint32(bytes, 8);
  into.bytes = bytes;
  into.payloadOffset = payloadOffset;
  into.payloadLength = payloadEnd - payloadOffset;
  return true;
}

/** Where the payload begins. Beyond the packet's end if CSRC list or extension are cut short. */
function findPayload(bytes: Uint8Array, flags: number): number {
  const afterCsrc = RTP_HEADER_BYTES + 4 * (flags & CSRC_COUNT);
  if ((flags & EXTENSION) === 0) return afterCsrc;
  return afterCsrc + 4 + 4 * readUint16(bytes, afterCsrc + 2);
}

/** Where the padding, if any, begins; −1 if its length is not a possible one. */
function findPayloadEnd(bytes: Uint8Array, flags: number): number {
  if ((flags & PADDING) === 0) return bytes.length;
  const paddingBytes = bytes[bytes.length - 1] ?? 0;
  return paddingBytes === 0 ? -1 : bytes.length - paddingBytes;
}

/** Writes the 12 bytes of a header without CSRC list, extension or padding at the beginning of `bytes`. */
export function writeRtpHeader(bytes: Uint8Array, header: RtpHeader): void {
  bytes[0] = VERSION_2;
  bytes[1] = (header.marker ? MARKER : 0) | header.payloadType;
  bytes[2] = header.sequenceNumber >>> 8;
  bytes[3] = header.sequenceNumber;
  writeUint32(bytes, 4, header.timestamp);
  writeUint32(bytes, 8, header.ssrc);
}

function writeUint32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = value >>> 16;
  bytes[offset + 2] = value >>> 8;
  bytes[offset + 3] = value;
}
