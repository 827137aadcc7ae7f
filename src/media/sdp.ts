import { isIP } from 'node:net';
import * as sdpTransform from 'sdp-transform';
import type { StreamEncoding } from '../audio/encodings.js';
import type { AcceptedPayload, BridgeMedia, TransportAddress } from '../bridge/messages.js';
import { SdpError, tidySdp } from './sdp-text.js';

export { SdpError } from './sdp-text.js';

/** What `a=rtpmap` calls a codec (RFC 3551 6), and the payload type that means it without one. */
interface Codec {
  readonly name: string;
  /** Of the RTP timestamp: for G.722 it is 8000 whatever it samples at (RFC 3551 4.5.2). */
  readonly clockRateHz: number;
  readonly channels: number;
  readonly staticPayloadType?: number;
  /** What some write for the clock rate all the same. */
  readonly mistakenClockRateHz?: number;
}

const CODECS = {
  PCMU: { name: 'PCMU', clockRateHz: 8_000, channels: 1, staticPayloadType: 0 },
  PCMA: { name: 'PCMA', clockRateHz: 8_000, channels: 1, staticPayloadType: 8 },
  G722: { name: 'G722', clockRateHz: 8_000, channels: 1, staticPayloadType: 9, mistakenClockRateHz: 16_000 },
  OPUS: { name: 'opus', clockRateHz: 48_000, channels: 2 },
  L16: { name: 'L16', clockRateHz: 16_000, channels: 1 },
} as const satisfies Record<string, Codec>;

export type CodecName = keyof typeof CODECS;

/** Whose order of preference decides between codecs that both sides have: the offer's, or ours. */
export type CodecOrder = 'offer' | 'ours';

export type IpFamily = 4 | 6;

const codecOf = (name: CodecName): Codec => CODECS[name];

const TELEPHONE_EVENT: Codec = { name: 'telephone-event', clockRateHz: 8_000, channels: 1 };

const PTIME_MS = 20;
const RTCP_MUX = 'a=rtcp-mux';
/** Offered when the offer is ours; 101 is what the field uses (RFC 4733 leaves it dynamic). */
const TELEPHONE_EVENT_PAYLOAD_TYPE = 101;
/** Dynamic: what an offer of ours calls L16 of 16 kHz. */
const L16_PAYLOAD_TYPE = 96;

/** `a=` direction attributes, RFC 3264 5.1. */
type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';
const ANSWER_DIRECTION: Record<Direction, Direction> = {
  sendrecv: 'sendrecv',
  sendonly: 'recvonly',
  recvonly: 'sendonly',
  inactive: 'inactive',
};

/** What we are in an SDP: `o=` identity, and where our RTP port is. */
export interface LocalDescription {
  readonly sessionId: number;
  readonly version: number;
  readonly rtp: TransportAddress;
  /** RTP and RTCP may share the port (RFC 5761); without it RTCP is on the next one. */
  readonly rtcpMux?: boolean;
}

/** The one audio stream both sides agree on, seen from us; every field is checked. */
export interface NegotiatedStream extends Omit<BridgeMedia, 'encoding'> {
  readonly codec: CodecName;
}

/** An offer read and matched with our codecs. */
export interface NegotiatedOffer {
  readonly stream: NegotiatedStream;
  /** The 200's SDP, RFC 3264 6: every media line answered, all but ours refused with port 0. */
  answer(local: LocalDescription): string;
  /** The peer's own description reduced to the agreed stream: what a media server is shown in its place. */
  onlyStream(): string;
}

interface MediaLine {
  readonly type: string;
  readonly protocol: string;
  readonly port: number;
  readonly formats: string;
}

interface Stream extends MediaLine {
  readonly index: number;
  readonly codec: CodecName;
  readonly payloadType: number;
  readonly telephoneEvent: number | undefined;
  readonly accepted: readonly AcceptedPayload[];
  readonly direction: Direction;
  readonly address: string;
  /** As in BridgeMedia. */
  readonly rtcp: BridgeMedia['rtcp'];
}

export interface NegotiationOptions {
  readonly order?: CodecOrder | undefined;
  readonly family?: IpFamily | undefined;
}

/**
 * Reads an offer and chooses one of `codecs` (ours, in order of preference): the one the offer has first, which is the one
 * the other side prefers (RFC 3264 section 5.1), or by `order` the first of ours that it has. With a `family`, only a stream
 * whose address is of it will do: an answer has the offer's (RFC 6157 section 4.2). Throws SdpError.
 */
export function negotiateOffer(
  sdp: string,
  codecs: readonly CodecName[],
  { order = 'offer', family }: NegotiationOptions = {},
): NegotiatedOffer {
  const description = parse(sdp);
  const lines = description.media.map(mediaLine);
  const stream = chooseStream(description, lines, { codecs, order, family });
  const direction = ANSWER_DIRECTION[stream.direction];
  return {
    stream: negotiated(stream),
    answer: (local) => write(local, lines, { stream, direction }),
    onlyStream: () =>
      joinLines([
        ...sessionLines(originOf(stream)),
        ...streamLines(stream, stream.direction, stream.port),
        ...rtcpLines(stream),
      ]),
  };
}

/** Our own offer, for an INVITE that came without one (RFC 3264 5, RFC 3261 13.2.1). */
export function writeOffer(local: LocalDescription, codecs: readonly StreamEncoding[]): string {
  const payloadTypes = codecs.map(offeredPayloadType);
  return joinLines([
    ...sessionLines(local),
    `m=audio ${local.rtp.port} RTP/AVP ${[...payloadTypes, TELEPHONE_EVENT_PAYLOAD_TYPE].join(' ')}`,
    ...codecs.map((codec) => rtpmap(offeredPayloadType(codec), codecOf(codec))),
    ...telephoneEventLines(TELEPHONE_EVENT_PAYLOAD_TYPE),
    `a=ptime:${PTIME_MS}`,
    'a=sendrecv',
    ...(local.rtcpMux ? [RTCP_MUX] : []),
  ]);
}

/**
 * What the peer's answer to `writeOffer` agreed to: of several codecs, the first (RFC 3264 section 6.1). Whatever was offered
 * may come (section 5.1), under the number it was offered with or the answer's. Throws SdpError.
 */
export function readAnswer(sdp: string, codecs: readonly CodecName[], family?: IpFamily): NegotiatedStream {
  const description = parse(sdp);
  const lines = description.media.map(mediaLine);
  const stream = negotiated(chooseStream(description, lines, { codecs, order: 'offer', family }));
  const { payloadType, telephoneEventPayloadType, accepted = [] } = stream;
  const known = [payloadType, telephoneEventPayloadType, ...accepted.map((payload) => payload.payloadType)];
  const offered = offeredPayloads(codecs).filter((payload) => !known.includes(payload.payloadType));
  return offered.length === 0 ? stream : { ...stream, accepted: [...accepted, ...offered] };
}

function offeredPayloads(codecs: readonly CodecName[]): AcceptedPayload[] {
  return [
    ...codecs.flatMap((codec) =>
      codec === 'OPUS' ? [] : [{ payloadType: offeredPayloadType(codec), carries: codec }],
    ),
    { payloadType: TELEPHONE_EVENT_PAYLOAD_TYPE, carries: 'telephone-event' },
  ];
}

/** An offer of one stream with one codec: the bridge's own RTP, as a media server is told of it. */
export function writeStream(local: LocalDescription, codec: StreamEncoding): string {
  const payloadType = offeredPayloadType(codec);
  return joinLines([
    ...sessionLines(local),
    `m=audio ${local.rtp.port} RTP/AVP ${payloadType} ${TELEPHONE_EVENT_PAYLOAD_TYPE}`,
    rtpmap(payloadType, codecOf(codec)),
    ...telephoneEventLines(TELEPHONE_EVENT_PAYLOAD_TYPE),
    `a=ptime:${PTIME_MS}`,
    'a=sendrecv',
  ]);
}

export function offeredPayloadType(codec: StreamEncoding): number {
  return codecOf(codec).staticPayloadType ?? L16_PAYLOAD_TYPE;
}

function parse(sdp: string): sdpTransform.SessionDescription {
  const text = tidySdp(sdp);
  try {
    return sdpTransform.parse(text);
  } catch (error) {
    throw new SdpError('SDP cannot be parsed', { cause: error });
  }
}

/**
 * A media section as sdp-transform really gives it, whatever its types say: text that looks like a number is one
 * (`payloads` of `RTP/AVP 0`, an encoding name of `5`), and what it could not read is missing.
 */
interface ParsedMedia {
  readonly type?: string | number;
  readonly protocol?: string | number;
  readonly port?: string | number;
  readonly payloads?: string | number;
  readonly rtp: readonly ParsedRtpmap[];
  readonly connection?: ParsedConnection;
  readonly direction?: string;
  readonly rtcp?: { readonly port?: string | number; readonly address?: string | number };
  readonly rtcpMux?: string;
  /** The longest packet that can be taken, in milliseconds. */
  readonly maxptime?: string | number;
}

interface ParsedConnection {
  readonly ip?: string | number;
  /** 4 of `IP4`, 6 of `IP6`. */
  readonly version?: string | number;
}

interface ParsedRtpmap {
  readonly payload: string | number;
  readonly codec: string | number;
  readonly rate?: string | number;
  readonly encoding?: string | number;
}

function mediaLine(media: ParsedMedia): MediaLine {
  const { type, protocol, port, payloads = '' } = media;
  if (type === undefined || protocol === undefined || port === undefined) throw new SdpError('malformed m= line');
  return { type: String(type), protocol: String(protocol), port: Number(port), formats: String(payloads).trim() };
}

/** Our codecs, whose order decides between them, and what addresses we can send to; any where it is undefined. */
interface Preference {
  readonly codecs: readonly CodecName[];
  readonly order: CodecOrder;
  readonly family: IpFamily | undefined;
}

function chooseStream(
  description: sdpTransform.SessionDescription,
  lines: readonly MediaLine[],
  preference: Preference,
): Stream {
  const why: string[] = [];
  for (const [index, media] of description.media.entries()) {
    const line = lines[index];
    if (!line) continue;
    const unusable = whyUnusable(line);
    if (unusable) {
      why.push(`m=${line.type}: ${unusable}`);
      continue;
    }
    if (isTooShort(media.maxptime)) {
      why.push(`m=audio: maxptime:${media.maxptime ?? ''}, and packets of ${PTIME_MS} ms are sent`);
      continue;
    }
    const common = commonCodecs(media, line.formats, preference);
    const [match] = common;
    if (!match) {
      why.push(`m=audio ${line.formats}: none of ${preference.codecs.join(', ')}`);
      continue;
    }
    const connection = media.connection ?? description.connection;
    if (connection?.ip === undefined) throw new SdpError('no c= line');
    const unreachable = whyUnreachable(connection, preference.family);
    if (unreachable) {
      why.push(`c= of m=audio: ${unreachable}`);
      continue;
    }
    const address = addressOf(connection);
    const direction = directionOf(media) ?? directionOf(description) ?? 'sendrecv';
    const [telephoneEvent, ...otherEvents] = telephoneEventsOf(media, line.formats);
    const accepted = acceptedOf(common.slice(1), otherEvents);
    const rtcp = rtcpOf(media, { address, port: line.port });
    return { ...line, ...match, index, address, direction, telephoneEvent, accepted, rtcp };
  }
  throw new SdpError(why.length > 0 ? why.join('; ') : 'no media line');
}

function whyUnusable(line: MediaLine): string | undefined {
  if (line.type !== 'audio') return 'not audio';
  if (line.port === 0) return 'port 0';
  if (!Number.isInteger(line.port) || line.port < 1 || line.port > 65_535) return 'bad port';
  if (line.protocol !== 'RTP/AVP' && line.protocol !== 'RTP/AVPF') return `${line.protocol} is not supported`;
  return undefined;
}

/** RFC 8866 section 6.4: a bound, unlike ptime, which is a wish. What is no number bounds nothing. */
function isTooShort(maxptime: string | number | undefined): boolean {
  const longestMs = Number(maxptime);
  return longestMs > 0 && longestMs < PTIME_MS;
}

function payloadTypesOf(formats: string): number[] {
  return (formats.match(/\S+/g) ?? [])
    .filter((format) => /^\d{1,3}$/.test(format))
    .map(Number)
    .filter((payloadType) => payloadType <= 127);
}

/** Payload types below 96 mean their static codec unless an rtpmap says otherwise (RFC 3551 6). */
function isOfType(media: ParsedMedia, payloadType: number, codec: CodecName): boolean {
  const map = media.rtp.find((rtp) => rtp.payload === payloadType);
  return map ? isCodec(map, codecOf(codec)) : payloadType === codecOf(codec).staticPayloadType;
}

/** Encoding names are compared in any case (RFC 8866 6.6); absent channels are one. */
function isCodec({ codec, rate, encoding: channels = 1 }: ParsedRtpmap, is: Codec): boolean {
  const sameName = String(codec).toLowerCase() === is.name.toLowerCase();
  const sameRate = Number(rate) === is.clockRateHz || Number(rate) === is.mistakenClockRateHz;
  return sameName && sameRate && Number(channels) === is.channels;
}

interface CommonCodec {
  readonly codec: CodecName;
  readonly payloadType: number;
}

/** What both sides speak, the one to speak first. */
function commonCodecs(media: ParsedMedia, formats: string, { codecs, order }: Preference): CommonCodec[] {
  const common = payloadTypesOf(formats).flatMap((payloadType) => {
    const codec = codecs.find((each) => isOfType(media, payloadType, each));
    return codec === undefined ? [] : [{ codec, payloadType }];
  });
  if (order === 'offer') return common;
  return codecs.flatMap((codec) => common.filter((each) => each.codec === codec));
}

function telephoneEventsOf(media: ParsedMedia, formats: string): number[] {
  return payloadTypesOf(formats).filter((payloadType) =>
    media.rtp.some((rtp) => rtp.payload === payloadType && isCodec(rtp, TELEPHONE_EVENT)),
  );
}

/** Whoever offers several may send any of them, whichever one the answer has. */
function acceptedOf(codecs: readonly CommonCodec[], telephoneEvents: readonly number[]): AcceptedPayload[] {
  return [
    ...codecs.flatMap(({ codec, payloadType }) => (codec === 'OPUS' ? [] : [{ payloadType, carries: codec }])),
    ...telephoneEvents.map((payloadType) => ({ payloadType, carries: 'telephone-event' as const })),
  ];
}

function whyUnreachable(connection: ParsedConnection, family: IpFamily | undefined): string | undefined {
  const address = addressOf(connection);
  if (isUnspecified(address)) return undefined; // on hold, and nothing is sent
  const theirs = isIP(address) === 0 ? Number(connection.version) : isIP(address);
  return family !== undefined && theirs !== family ? `IP${theirs}, and our RTP is IP${family}` : undefined;
}

/** Without the TTL and the count that a multicast address may have (RFC 8866 section 5.7). */
function addressOf({ ip }: ParsedConnection): string {
  return String(ip).split('/', 1)[0] ?? '';
}

/** RFC 5761 5.1.1, else RFC 3605, unless that only says the default or is no address. */
function rtcpOf({ rtcp, rtcpMux }: ParsedMedia, rtp: TransportAddress): BridgeMedia['rtcp'] {
  if (rtcpMux !== undefined) return 'mux';
  const port = Number(rtcp?.port);
  const address = String(rtcp?.address ?? rtp.address);
  if (address === rtp.address && port === rtp.port + 1) return undefined;
  // `a=rtcp:9 IN IP4 0.0.0.0` says that it is not known yet (RFC 8829 5.2.1).
  const isPlace = isIP(address) !== 0 && !isUnspecified(address);
  const usable = Number.isInteger(port) && port >= 1 && port <= 65_535 && isPlace;
  return usable ? { address, port } : undefined;
}

const isUnspecified = (address: string): boolean => /^[0.:]+$/.test(address);

function directionOf(section: { direction?: string }): Direction | undefined {
  const { direction } = section;
  return direction !== undefined && direction in ANSWER_DIRECTION ? (direction as Direction) : undefined;
}

function negotiated(stream: Stream): NegotiatedStream {
  // An address of zeros is RFC 2543's way to hold; a name we do not look up: the caller's own RTP will show its source.
  const held = isIP(stream.address) !== 0 && isUnspecified(stream.address);
  const known = isIP(stream.address) !== 0 && !held;
  return {
    codec: stream.codec,
    payloadType: stream.payloadType,
    ...(stream.telephoneEvent === undefined ? {} : { telephoneEventPayloadType: stream.telephoneEvent }),
    ...(stream.accepted.length === 0 ? {} : { accepted: stream.accepted }),
    ...(known ? { remote: { address: stream.address, port: stream.port } } : {}),
    ...(stream.rtcp ? { rtcp: stream.rtcp } : {}),
    sending: !held && (stream.direction === 'sendrecv' || stream.direction === 'recvonly'),
    receiving: !held && (stream.direction === 'sendrecv' || stream.direction === 'sendonly'),
  };
}

function write(
  local: LocalDescription,
  lines: readonly MediaLine[],
  ours: { stream: Stream; direction: Direction },
): string {
  const media = lines.flatMap((line, index) =>
    index === ours.stream.index
      ? [
          ...streamLines(ours.stream, ours.direction, local.rtp.port),
          // RFC 5761 5.1.1: only in answer to an offer that has it.
          ...(local.rtcpMux && ours.stream.rtcp === 'mux' ? [RTCP_MUX] : []),
        ]
      : [`m=${line.type} 0 ${line.protocol} ${line.formats}`],
  );
  return joinLines([...sessionLines(local), ...media]);
}

function streamLines(stream: Stream, direction: Direction, port: number): string[] {
  const { telephoneEvent } = stream;
  const formats = telephoneEvent === undefined ? [stream.payloadType] : [stream.payloadType, telephoneEvent];
  return [
    `m=audio ${port} ${stream.protocol} ${formats.join(' ')}`,
    rtpmap(stream.payloadType, codecOf(stream.codec)),
    ...(telephoneEvent === undefined ? [] : telephoneEventLines(telephoneEvent)),
    `a=ptime:${PTIME_MS}`,
    `a=${direction}`,
  ];
}

/** Where the peer's RTCP is. That it could share the port is not passed on: whoever is shown this has not agreed to it. */
function rtcpLines({ rtcp }: Stream): string[] {
  if (rtcp === undefined || rtcp === 'mux') return [];
  return [`a=rtcp:${rtcp.port} IN ${isIP(rtcp.address) === 6 ? 'IP6' : 'IP4'} ${rtcp.address}`];
}

function sessionLines(local: LocalDescription): string[] {
  const family = isIP(local.rtp.address) === 6 ? 'IP6' : 'IP4';
  return [
    'v=0',
    `o=- ${local.sessionId} ${local.version} IN ${family} ${local.rtp.address}`,
    's=pranthora-sip-bridge',
    `c=IN ${family} ${local.rtp.address}`,
    't=0 0',
  ];
}

function rtpmap(payloadType: number, { name, clockRateHz, channels }: Codec): string {
  return `a=rtpmap:${payloadType} ${name}/${clockRateHz}${channels === 1 ? '' : `/${channels}`}`;
}

const telephoneEventLines = (payloadType: number): string[] => [
  rtpmap(payloadType, TELEPHONE_EVENT),
  `a=fmtp:${payloadType} 0-15`,
];

/** The peer as the origin of its description: an address that is not one stays unspecified. */
function originOf({ address, port }: Stream): LocalDescription {
  return { sessionId: 1, version: 1, rtp: { address: isIP(address) === 0 ? '0.0.0.0' : address, port } };
}

const joinLines = (lines: readonly string[]): string => lines.map((line) => `${line}\r\n`).join('');
