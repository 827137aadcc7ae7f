import { describe, expect, it } from 'vitest';
import { isRtcp, readRtcp, writeRtcp, type ReportBlock, type SenderInfo } from '../../../src/rtp/rtcp-packet.js';
import { seededRandom } from '../../support/signal.js';

const SENDER: SenderInfo = {
  ntpSeconds: 0xe9a1_b2c3,
  ntpFraction: 0x8000_0001,
  rtpTimestamp: 0xffff_fff0,
  packets: 250,
  octets: 40_000,
};
const REPORT: ReportBlock = {
  ssrc: 0xdead_beef,
  fractionLost: 64,
  cumulativeLost: -3,
  highestSequence: 0x0001_ffff,
  jitter: 17,
  lastSenderReport: 0xb2c3_8000,
  delaySinceLastSenderReport: 65_536,
};
const SSRC = 0x8765_4321;

/** Two packets in one datagram. */
const compound = (...packets: number[][]): Buffer => Buffer.from(packets.flat());
const EMPTY_RR = [0x80, 201, 0, 1, 1, 2, 3, 4];

describe('a compound packet', () => {
  it('is written as RFC 3550 draws it', () => {
    const bytes = writeRtcp({ ssrc: SSRC, sender: SENDER, report: REPORT, cname: 'abc', bye: true });
    expect(bytes.toString('hex').match(/.{8}/g)).toEqual([
      ...['81c8000c', '87654321', 'e9a1b2c3', '80000001', 'fffffff0', '000000fa', '00009c40'],
      ...['deadbeef', '40fffffd', '0001ffff', '00000011', 'b2c38000', '00010000'],
      ...['81ca0003', '87654321', '01036162', '63000000'],
      ...['81cb0001', '87654321'],
    ]);
  });

  it('without sender information is a receiver report', () => {
    const bytes = writeRtcp({ ssrc: SSRC, cname: 'ab' });
    // The list of items ends with a zero, even where the name ends with a word.
    expect(bytes.toString('hex').match(/.{8}/g)).toEqual([
      ...['80c90001', '87654321'],
      ...['81ca0003', '87654321', '01026162', '00000000'],
    ]);
  });

  it.each([
    ['everything', { sender: SENDER, report: REPORT, bye: true }],
    ['a sender report alone', { sender: SENDER }],
    ['a receiver report', { report: REPORT }],
    ['nothing to report', {}],
  ])('is read back: %s', (_, what) => {
    const bytes = writeRtcp({ ssrc: SSRC, cname: 'x'.repeat(255), ...what });
    expect(isRtcp(bytes)).toBe(true);
    const { sender, report, bye = false } = what as { sender?: SenderInfo; report?: ReportBlock; bye?: boolean };
    expect(readRtcp(bytes)).toEqual({ ssrc: SSRC, sender, reports: report ? [report] : [], bye });
  });

  it('may hold more than we write', () => {
    const extended = [0x80, 201, 0, 2, 1, 2, 3, 4, 0, 0, 0, 9]; // RFC 3550 6.4.3: a profile's extension
    const app = [0x80, 204, 0, 2, 0, 0, 0, 1, 0x6e, 0x61, 0x6d, 0x65];
    const bye = [0x82, 203, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 3, 0x62, 0x79, 0x65];
    const padded = [0xa0, 204, 0, 3, 0, 0, 0, 1, 0x6e, 0x61, 0x6d, 0x65, 0, 0, 0, 4];
    expect(readRtcp(compound(extended, app, bye))).toMatchObject({ ssrc: 0x0102_0304, reports: [], bye: true });
    expect(readRtcp(compound(EMPTY_RR, padded))).toMatchObject({ bye: false });
    // RFC 5506: of reduced size, without a report.
    expect(readRtcp(compound(app))).toEqual({ ssrc: 1, sender: undefined, reports: [], bye: false });
  });

  it.each([
    ['nothing', []],
    ['a header alone', [0x80, 201, 0, 0]],
    ['half a word', [...EMPTY_RR, 0]],
    ['another version', [0x40, 201, 0, 1, 1, 2, 3, 4]],
    ['an unknown type first', [0x80, 208, 0, 1, 1, 2, 3, 4]],
    ['no type of RTCP', [0x80, 199, 0, 1, 1, 2, 3, 4]],
    ['a length beyond the end', [0x80, 201, 0, 2, 1, 2, 3, 4]],
    ['a report block that is not there', [0x81, 201, 0, 1, 1, 2, 3, 4]],
    ['a report block cut short', [0x81, 201, 0, 2, 1, 2, 3, 4, 1, 2, 3, 4]],
    ['no room for sender information', [0x80, 200, 0, 1, 1, 2, 3, 4]],
    ['padding in the first', [0xa0, 201, 0, 2, 1, 2, 3, 4, 0, 0, 0, 4]],
    ['padding before the last', [...EMPTY_RR, 0xa0, 204, 0, 1, 0, 0, 0, 4, ...EMPTY_RR]],
    ['padding of nothing', [...EMPTY_RR, 0xa0, 204, 0, 1, 0, 0, 0, 0]],
    ['padding of more than there is', [...EMPTY_RR, 0xa0, 204, 0, 1, 0, 0, 0, 8]],
    ['padding of no whole word', [...EMPTY_RR, 0xa0, 204, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3]],
    ['a BYE of more sources than fit', [...EMPTY_RR, 0x82, 203, 0, 1, 0, 0, 0, 1]],
    ['a second packet of another version', [...EMPTY_RR, 0x00, 203, 0, 1, 0, 0, 0, 1]],
    ['more than fits a path', Array.from({ length: 200 }, () => EMPTY_RR).flat()],
  ])('is refused whole: %s', (_, bytes) => expect(readRtcp(Buffer.from(bytes))).toBeUndefined());

  it('is never read beyond its end: 100,000 mutations', () => {
    const random = seededRandom(3);
    const whole = writeRtcp({ ssrc: SSRC, sender: SENDER, report: REPORT, cname: 'someone', bye: true });
    let taken = 0;
    for (let i = 0; i < 100_000; i++) {
      const bytes = Buffer.from(whole.subarray(0, 4 * Math.ceil((random() * whole.length) / 4)));
      for (let n = 0; n < 3 && bytes.length > 0; n++) bytes[Math.floor(random() * bytes.length)] = random() * 256;
      if (readRtcp(bytes)) taken += 1;
    }
    expect(taken).toBeGreaterThan(1_000);
    expect(taken).toBeLessThan(99_000);
  });
});

describe('isRtcp', () => {
  it('tells RTCP from RTP and everything else on a shared port (RFC 5761 section 4)', () => {
    for (const packetType of [192, 200, 201, 207, 223]) expect(isRtcp(Buffer.from([0x80, packetType]))).toBe(true);
    // Payload types of RTP, with and without the marker; another version; STUN; nothing.
    for (const second of [0, 8, 101, 127, 128, 136, 191, 224, 229]) {
      expect(isRtcp(Buffer.from([0x80, second]))).toBe(false);
    }
    for (const bytes of [[0x00, 200], [0x40, 200], [0x80], []]) expect(isRtcp(Buffer.from(bytes))).toBe(false);
  });
});
