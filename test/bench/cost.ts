import { createRequire } from 'node:module';
import alawmulaw from 'alawmulaw';
import waveResampler from 'wave-resampler';
import { Concealment } from '../../src/audio/concealment.js';
import { decodeG711, encodeG711 } from '../../src/audio/g711.js';
import { G722Decoder, G722Encoder } from '../../src/audio/g722.js';
import { Downsampler2x, Upsampler2x } from '../../src/audio/resampler.js';
import { Downlink } from '../../src/bridge/downlink/downlink.js';
import { Uplink } from '../../src/bridge/uplink/uplink.js';
import type { AudioFormat } from '../../src/pranthora/protocols/protocol.js';
import { newRtpPacket, parseRtp, RTP_HEADER_BYTES, writeRtpHeader } from '../../src/rtp/packet.js';
import { parseDatagram } from '../../src/sip-agent/syntax/parse.js';
import { speechLikeNoise } from '../support/wire-audio.js';
import { percentile, type Row } from './figures.js';

const RUNS = 9;
const RUN_MS = 60;

/** Microseconds a call of `work` takes: the median of several runs, after one to warm up. */
function costUs(work: () => unknown): number {
  run(work);
  return percentile(
    Array.from({ length: RUNS }, () => run(work)),
    50,
  );
}

function run(work: () => unknown): number {
  const startMs = performance.now();
  let calls = 0;
  let elapsedMs = 0;
  while (elapsedMs < RUN_MS) {
    for (let n = 0; n < 100; n++) work();
    calls += 100;
    elapsedMs = performance.now() - startMs;
  }
  return (1_000 * elapsedMs) / calls;
}

/** What 20 ms of audio cost, next to the libraries' own functions. In microseconds. */
export function measureAudioCost(): Row[] {
  const pcm16k = speechLikeNoise(20, 1);
  const pcm8k = pcm16k.filter((_, n) => n % 2 === 0);
  const coded = alawmulaw.mulaw.encode(pcm8k);
  const out8k = new Int16Array(160);
  const out16k = new Int16Array(320);
  const outCoded = new Uint8Array(160);
  const up = new Upsampler2x();
  const down = new Downsampler2x();
  const compare = (name: string, ours: () => unknown, theirs: () => unknown): Row => ({
    name,
    values: { ours: costUs(ours), library: costUs(theirs) },
  });
  return [
    compare(
      'G.711 decode, 160 samples (alawmulaw)',
      () => decodeG711('mulaw', coded, 0, 160, out8k, 0),
      () => alawmulaw.mulaw.decode(coded),
    ),
    compare(
      'G.711 encode, 160 samples (alawmulaw)',
      () => encodeG711('mulaw', pcm8k, 0, 160, outCoded, 0),
      () => alawmulaw.mulaw.encode(pcm8k),
    ),
    compare(
      '8 → 16 kHz, 160 samples (wave-resampler)',
      () => up.process(pcm8k, 0, 160, out16k, 0),
      () => waveResampler.resample(pcm8k, 8_000, 16_000),
    ),
    compare(
      '16 → 8 kHz, 320 samples (wave-resampler)',
      () => down.process(pcm16k, 0, 320, out8k, 0),
      () => waveResampler.resample(pcm16k, 16_000, 8_000),
    ),
    ...measureG722Cost(),
  ];
}

/** Of speech that goes on, for the codec's state and the branches of the processor follow it. */
function measureG722Cost(): Row[] {
  const frames = 50;
  const pcm = speechLikeNoise(20 * frames, 2);
  const encoder = new G722Encoder();
  const decoder = new G722Decoder();
  const octets = new Uint8Array(160 * frames);
  encoder.encode(pcm, 0, octets.length, octets, 0);
  const out = new Int16Array(320);
  const outCoded = new Uint8Array(160);
  let frame = 0;
  const nextFrame = (): number => (frame = (frame + 1) % frames);
  return [
    {
      name: 'G.722 decode, 160 octets',
      values: {
        ours: costUs(() => decoder.decode(octets, 160 * nextFrame(), 160, out, 0)),
      },
    },
    {
      name: 'G.722 encode, 320 samples',
      values: {
        ours: costUs(() => encoder.encode(pcm, 320 * nextFrame(), 160, outCoded, 0)),
      },
    },
  ];
}

/** What a frame costs on its way through the bridge when nothing is lost, and when it has to be made up. */
export function measureImpairmentCost(): Row[] {
  const pcm8k = speechLikeNoise(20, 1).filter((_, n) => n % 2 === 0);
  const bytes = alawmulaw.mulaw.encode(pcm8k);
  const row = (name: string, work: () => unknown): Row => ({ name, values: { cost: costUs(work) } });
  const uplinkOf = (format: AudioFormat, isLost: (n: number) => boolean): (() => void) => {
    const uplink = new Uplink(0, () => undefined);
    uplink.format = format;
    const packet = Object.assign(newRtpPacket(), { ssrc: 1, bytes, payloadLength: bytes.length });
    let n = 0;
    return () => {
      n += 1;
      Object.assign(packet, { sequenceNumber: n & 0xffff, timestamp: (n * 160) >>> 0 });
      if (!isLost(n)) uplink.receive(packet, n * 20);
      uplink.tick(n * 20);
    };
  };
  const downlink = new Downlink();
  const chunk = new Uint8Array(speechLikeNoise(20, 1).slice().buffer);
  const payload = new Uint8Array(160);
  const concealment = new Concealment(8_000);
  const frame = new Int16Array(160);
  return [
    row(
      'uplink, PCMU → 16 kHz',
      uplinkOf('pcm16k', () => false),
    ),
    row(
      'uplink, PCMU → µ-law',
      uplinkOf('mulaw', () => false),
    ),
    row(
      'uplink, every 10th lost, PCMU → 16 kHz',
      uplinkOf('pcm16k', (n) => n % 10 === 0),
    ),
    row('concealment: a frame heard, a frame made up', () => {
      frame.set(pcm8k);
      concealment.heard(frame, 0, 160);
      concealment.conceal(frame, 0, 160);
    }),
    row('downlink, 16 kHz → PCMU', () => {
      downlink.push(chunk);
      downlink.nextPayload(payload, 0);
    }),
  ];
}

/** What the RTP around 20 ms of G.711 costs. In microseconds; no library that reads RTP is at hand. */
export function measurePacketCost(): Row[] {
  const bytes = new Uint8Array(RTP_HEADER_BYTES + 160);
  const header = { payloadType: 0, marker: false, sequenceNumber: 4_711, timestamp: 160_000, ssrc: 0x1234_5678 };
  const packet = newRtpPacket();
  const row = (name: string, work: () => unknown): Row => ({ name, values: { ours: costUs(work) } });
  return [
    row('write a header', () => {
      header.sequenceNumber = (header.sequenceNumber + 1) & 0xffff;
      writeRtpHeader(bytes, header);
    }),
    row('parse, 172 bytes', () => parseRtp(bytes, packet)),
  ];
}

/** As drachtio-srf reads what its server sends. It has no types, for it is the library's own. */
const SipMessage = createRequire(import.meta.url)('drachtio-srf/lib/sip-parser/message.js') as new (
  text: string,
) => unknown;

/** What reading a SIP message costs, next to drachtio-srf's own parser. In microseconds. */
export function measureParseCost(): Row[] {
  return Object.entries(MESSAGES).map(([name, text]) => {
    const bytes = Buffer.from(text);
    if (!parseDatagram(bytes).ok) throw new Error(`${name} does not parse`);
    return {
      name: `${name}, ${bytes.length} bytes (drachtio-srf)`,
      values: { ours: costUs(() => parseDatagram(bytes)), library: costUs(() => new SipMessage(text)) },
    };
  });
}

const SDP = [
  'v=0',
  'o=root 1821 1821 IN IP4 192.0.2.10',
  's=Asterisk PBX 20.5.0',
  'c=IN IP4 192.0.2.10',
  't=0 0',
  'm=audio 14208 RTP/AVP 0 8 101',
  'a=rtpmap:0 PCMU/8000',
  'a=rtpmap:8 PCMA/8000',
  'a=rtpmap:101 telephone-event/8000',
  'a=fmtp:101 0-16',
  'a=ptime:20',
  'a=sendrecv',
  '',
].join('\r\n');

const message = (startLine: string, cseq: string, headers: readonly string[], body = ''): string =>
  [
    startLine,
    'Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK4b0fd1a2;rport',
    'Max-Forwards: 70',
    'From: "Alice" <sip:+15550199@192.0.2.10>;tag=as58f4201b',
    `To: <sip:+15550100@198.51.100.1>${cseq.endsWith('BYE') ? ';tag=77ac10' : ''}`,
    'Call-ID: 6a1c9f3b2d7e4c05@192.0.2.10:5060',
    `CSeq: ${cseq}`,
    ...headers,
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');

const MESSAGES: Readonly<Record<string, string>> = {
  'INVITE with SDP': message(
    'INVITE sip:+15550100@198.51.100.1:5060 SIP/2.0',
    '102 INVITE',
    [
      'Contact: <sip:+15550199@192.0.2.10:5060>',
      'User-Agent: Asterisk PBX 20.5.0',
      'Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, PUBLISH, MESSAGE',
      'Supported: replaces, timer',
      'Content-Type: application/sdp',
    ],
    SDP,
  ),
  BYE: message('BYE sip:+15550100@198.51.100.1:5060 SIP/2.0', '103 BYE', ['User-Agent: Asterisk PBX 20.5.0']),
};
