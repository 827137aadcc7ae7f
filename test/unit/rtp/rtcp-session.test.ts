import { describe, expect, it } from 'vitest';
import { newRtpPacket, writeRtpHeader } from '../../../src/rtp/packet.js';
import { readRtcp, writeRtcp, type ReceivedRtcp } from '../../../src/rtp/rtcp-packet.js';
import { RtcpSession } from '../../../src/rtp/rtcp-session.js';
import { seededRandom } from '../../support/signal.js';

const STARTED_MS = 50_000;
/** 2026-01-02T03:04:05.250Z. */
const WALL_MS = 1_767_323_045_250;

interface SideOptions {
  ssrc?: number;
  random?: () => number;
  /** How far its clock is from the other's. */
  clockOffsetMs?: number;
}

/** One side of a call, in a time of its own. */
class Side {
  readonly session: RtcpSession;
  readonly ssrc: number;
  readonly #offsetMs: number;
  #sequenceNumber = 0;

  constructor({ ssrc = 1, random = () => 0.5, clockOffsetMs = 0 }: SideOptions = {}) {
    this.ssrc = ssrc;
    this.#offsetMs = clockOffsetMs;
    const nowMs = STARTED_MS + clockOffsetMs;
    this.session = new RtcpSession({ nowMs, wallMs: WALL_MS, cname: 'a', ssrc, clockRateHz: 8_000, random });
    this.session.start(nowMs);
  }

  /** Sends a packet of 20 ms. */
  speak(atMs: number): Buffer {
    const packet = Buffer.alloc(172);
    const sequenceNumber = this.#sequenceNumber++;
    writeRtpHeader(packet, { payloadType: 0, marker: false, sequenceNumber, timestamp: 8 * atMs, ssrc: this.ssrc });
    this.session.onRtpSent(packet, atMs + this.#offsetMs);
    return packet;
  }

  hear(packet: Buffer, atMs: number): void {
    const heard = { ...newRtpPacket(), ssrc: packet.readUInt32BE(8), sequenceNumber: packet.readUInt16BE(2) };
    this.session.onRtpReceived({ ...heard, timestamp: packet.readUInt32BE(4) }, atMs + this.#offsetMs, true);
  }

  due(atMs: number): Buffer | undefined {
    return this.session.due(atMs + this.#offsetMs);
  }

  take(bytes: Buffer, atMs: number): void {
    this.session.onRtcp(bytes, atMs + this.#offsetMs);
  }
}

function read(bytes: Buffer | undefined): ReceivedRtcp {
  const rtcp = bytes && readRtcp(bytes);
  if (!rtcp) throw new Error('no RTCP');
  return rtcp;
}

describe('RtcpSession', () => {
  it('reports within the bounds of RFC 3550 section 6.3.1, five seconds on average, the first time after half as long', () => {
    const side = new Side({ random: seededRandom(5) });
    const times: number[] = [];
    for (let atMs = STARTED_MS; times.length < 400; atMs += 20) if (side.due(atMs)) times.push(atMs);
    const [firstMs = 0] = times;
    expect(firstMs - STARTED_MS).toBeGreaterThanOrEqual(1_250);
    expect(firstMs - STARTED_MS).toBeLessThanOrEqual(3_770);
    const intervals = times.slice(1).map((atMs, i) => atMs - (times[i] ?? 0));
    expect(Math.min(...intervals)).toBeGreaterThanOrEqual(2_500);
    expect(Math.max(...intervals)).toBeLessThanOrEqual(7_520);
    expect(Math.abs(intervals.reduce((sum, each) => sum + each, 0) / intervals.length - 5_000)).toBeLessThan(250);
    expect(new Set(intervals).size).toBeGreaterThan(50);
  });

  it('says nothing before the start', () => {
    const options = { nowMs: 0, wallMs: WALL_MS, cname: 'a', ssrc: 1, clockRateHz: 8_000, random: () => 0 };
    const session = new RtcpSession(options);
    expect(session.due(1_000_000)).toBeUndefined();
    expect(session.end(1_000_000)).toBeUndefined();
  });

  it('sends what was sent, at the time of day and of the stream', () => {
    const side = new Side();
    for (let n = 0; n < 100; n++) side.speak(STARTED_MS + 20 * n);
    const atMs = STARTED_MS + 2_500;
    const { sender, reports } = read(side.due(atMs));
    expect(sender).toMatchObject({ packets: 100, octets: 16_000, rtpTimestamp: 8 * atMs });
    expect((sender?.ntpSeconds ?? 0) - 2_208_988_800).toBe(Math.floor((WALL_MS + 2_500) / 1_000));
    expect((sender?.ntpFraction ?? 0) / 2 ** 32).toBeCloseTo(0.75, 3);
    expect(reports).toEqual([]);
  });

  it('is a sender until two reports after its last packet (RFC 3550 section 6.4)', () => {
    const side = new Side();
    side.speak(STARTED_MS);
    const isSender = Array.from({ length: 4 }, (_, n) => read(side.due(STARTED_MS + 10_000 * (n + 1))).sender);
    expect(isSender.map((sender) => sender !== undefined)).toEqual([true, true, false, false]);
  });

  it('counts anew under another SSRC', () => {
    const side = new Side();
    side.speak(STARTED_MS);
    const packet = Buffer.alloc(652);
    writeRtpHeader(packet, { payloadType: 96, marker: false, sequenceNumber: 9, timestamp: 9, ssrc: 2 });
    side.session.onRtpSent(packet, STARTED_MS + 20);
    expect(read(side.due(STARTED_MS + 10_000))).toMatchObject({ ssrc: 2, sender: { packets: 1, octets: 640 } });
  });

  it('tells the round trip, whatever the clocks say, and the loss and jitter the other side has seen', () => {
    const here = new Side({ ssrc: 1 });
    const there = new Side({ ssrc: 2, clockOffsetMs: 123_456_789, random: () => 0.9 });
    for (let n = 0; n < 500; n++) {
      const atMs = STARTED_MS + 20 * n;
      const [mine, theirs] = [here.speak(atMs), there.speak(atMs)];
      if (n % 10 !== 3) there.hear(mine, atMs + 35 + (n % 2) * 8);
      here.hear(theirs, atMs + 35);
      const [report, answer] = [here.due(atMs), there.due(atMs)];
      if (report) there.take(report, atMs + 35);
      if (answer) here.take(answer, atMs + 45);
    }
    expect(here.session.stats.roundTripMs).toBeCloseTo(80, 0);
    expect(here.session.stats.reported?.fractionLost).toBeCloseTo(0.1, 1);
    expect(here.session.stats.reported?.lost).toBeGreaterThan(10);
    // Around a loss two packets have been equally long on their way.
    expect(here.session.stats.reported?.jitterMs).toBeGreaterThan(6);
    expect(here.session.stats.reported?.jitterMs).toBeLessThan(8);
    expect(there.session.stats.roundTripMs).toBeCloseTo(80, 0);
    expect(there.session.stats.reported).toEqual({ lost: 0, fractionLost: 0, jitterMs: 0 });
    expect(here.session.stats).toMatchObject({ malformed: 0, byeReceived: false });
  });

  it('believes no stamp that is not its own, no delay longer than the time there was, no loss of more than was sent', () => {
    const side = new Side();
    side.speak(STARTED_MS);
    const stamp = read(side.due(STARTED_MS + 10_000)).sender;
    const lastSenderReport = (((stamp?.ntpSeconds ?? 0) << 16) | ((stamp?.ntpFraction ?? 0) >>> 16)) >>> 0;
    const report = { ssrc: 1, fractionLost: 255, cumulativeLost: 9, highestSequence: 1, jitter: 0 };
    const claim = (stamped: number, delay: number): void => {
      const block = { ...report, lastSenderReport: stamped, delaySinceLastSenderReport: delay };
      side.take(writeRtcp({ ssrc: 2, report: block, cname: 'b' }), STARTED_MS + 10_500);
    };
    claim(0, 0);
    claim(lastSenderReport + 1, 0);
    claim(lastSenderReport, 65_536);
    expect(side.session.stats.roundTripMs).toBeUndefined();
    expect(side.session.stats.reported?.lost).toBe(1);
    claim(lastSenderReport, 65_536 / 4);
    expect(side.session.stats.roundTripMs).toBeCloseTo(250, 1);
  });

  it('says nothing of others that are reported on', () => {
    const side = new Side();
    side.speak(STARTED_MS);
    const report = { ssrc: 99, fractionLost: 9, cumulativeLost: 9, highestSequence: 1, jitter: 9 };
    const block = { ...report, lastSenderReport: 0, delaySinceLastSenderReport: 0 };
    side.take(writeRtcp({ ssrc: 2, report: block, cname: 'b' }), STARTED_MS);
    expect(side.session.stats).toEqual({ sent: 0, received: 1, malformed: 0, byeReceived: false });
  });

  it('leaves with a BYE, if it was ever there, and takes note of one', () => {
    const [here, there] = [new Side(), new Side()];
    expect(there.session.end(STARTED_MS)).toBeUndefined();
    here.speak(STARTED_MS);
    const last = here.session.end(STARTED_MS + 10);
    expect(read(last)).toMatchObject({ ssrc: 1, bye: true, sender: { packets: 1 } });
    expect(here.session.due(STARTED_MS + 100_000)).toBeUndefined();
    if (last) there.take(last, STARTED_MS);
    expect(there.session.stats).toMatchObject({ received: 1, byeReceived: true });
  });

  it('counts what is malformed', () => {
    const side = new Side();
    side.take(Buffer.from([0x80, 200, 0, 0]), STARTED_MS);
    side.take(Buffer.alloc(0), STARTED_MS);
    expect(side.session.stats).toMatchObject({ received: 0, malformed: 2 });
  });
});
