import { describe, expect, it } from 'vitest';
import { newRtpPacket } from '../../../src/rtp/packet.js';
import { Reception } from '../../../src/rtp/reception.js';

const RATE_HZ = 8_000;
const SSRC = 77;

class Stream {
  readonly reception = new Reception(RATE_HZ);

  /** Packet `number` of 20 ms, `delayMs` after it was sent. */
  arrive(number: number, { delayMs = 30, ssrc = SSRC, isAudio = true, timestamp = number * 160 } = {}): void {
    const packet = { ...newRtpPacket(), ssrc, sequenceNumber: number & 0xffff, timestamp: timestamp >>> 0 };
    this.reception.receive(packet, number * 20 + delayMs, isAudio);
  }
}

describe('Reception', () => {
  it('has nothing to say before the first packet', () => {
    const { reception } = new Stream();
    expect(reception.report()).toBeUndefined();
    expect(reception.stats).toEqual({ expected: 0, lost: 0, jitterMs: 0, packetMs: 0 });
  });

  it('counts what was lost since the last report, and in all', () => {
    const stream = new Stream();
    for (let n = 65_500; n < 65_600; n++) if (n % 4 !== 0 || n === 65_500) stream.arrive(n);
    // 24 of 100, over the wrap of the sequence number: 24/100 of 256 is 61.
    const first = { ssrc: SSRC, fractionLost: 61, cumulativeLost: 24, highestSequence: 65_599, jitter: 0 };
    expect(stream.reception.report()).toEqual(first);
    expect(stream.reception.report()).toBeUndefined();
    for (let n = 65_600; n < 65_650; n++) stream.arrive(n);
    expect(stream.reception.report()).toMatchObject({ fractionLost: 0, cumulativeLost: 24 });
    expect(stream.reception.stats).toMatchObject({ expected: 150, lost: 24, packetMs: 20 });
  });

  it('takes a packet that comes late for one that has come, and never a negative fraction', () => {
    const stream = new Stream();
    for (const n of [1, 2, 4, 3, 5]) stream.arrive(n);
    expect(stream.reception.stats).toMatchObject({ expected: 5, lost: 0 });
    for (const n of [5, 5, 4]) stream.arrive(n);
    // RFC 3550 A.3: duplicates count as received.
    expect(stream.reception.report()).toMatchObject({ fractionLost: 0, cumulativeLost: -3 });
    expect(stream.reception.stats.lost).toBe(0);
  });

  it('measures the jitter of RFC 3550 A.8', () => {
    const stream = new Stream();
    for (let n = 0; n < 1_000; n++) stream.arrive(n, { delayMs: n % 2 === 0 ? 30 : 40 });
    // Every transit differs by 10 ms from the one before: the average comes to 10 ms.
    expect(stream.reception.stats.jitterMs).toBeCloseTo(10, 6);
    expect(stream.reception.report()?.jitter).toBe(80);
  });

  it('takes one step of 16 ms for one millisecond of jitter', () => {
    const stream = new Stream();
    stream.arrive(1);
    stream.arrive(2, { delayMs: 46 });
    expect(stream.reception.stats.jitterMs).toBe(1);
  });

  it('takes neither a new clock nor a digit for jitter', () => {
    const stream = new Stream();
    for (let n = 0; n < 10; n++) stream.arrive(n);
    for (let n = 10; n < 20; n++) stream.arrive(n, { timestamp: 1_600, isAudio: false });
    for (let n = 20; n < 30; n++) stream.arrive(n);
    for (let n = 30; n < 40; n++) stream.arrive(n, { timestamp: 0x8000_0000 + n * 160 });
    expect(stream.reception.stats).toMatchObject({ jitterMs: 0, lost: 0, expected: 40 });
  });

  it('starts anew with another source, and its figures go on', () => {
    const stream = new Stream();
    for (const n of [1, 2, 4]) stream.arrive(n);
    stream.reception.report();
    for (const n of [5_000, 5_001, 5_003]) stream.arrive(n, { ssrc: 78 });
    expect(stream.reception.report()).toMatchObject({ ssrc: 78, cumulativeLost: 1, fractionLost: 64 });
    expect(stream.reception.stats).toMatchObject({ expected: 8, lost: 2 });
  });

  it('believes a jump of the sequence when the next packet follows it (RFC 3550 A.1)', () => {
    const stream = new Stream();
    for (const n of [1, 2, 3]) stream.arrive(n);
    stream.arrive(30_000);
    stream.arrive(4);
    expect(stream.reception.stats).toMatchObject({ expected: 4, lost: 0 });
    stream.arrive(40_000);
    stream.arrive(40_001);
    stream.arrive(40_002);
    expect(stream.reception.stats).toMatchObject({ expected: 6, lost: 0 });
  });

  it('follows the clock of another encoding', () => {
    const stream = new Stream();
    stream.reception.clockRateHz = 16_000;
    for (let n = 0; n < 100; n++) stream.arrive(n, { timestamp: n * 320, delayMs: n % 2 === 0 ? 30 : 40 });
    expect(stream.reception.stats.packetMs).toBe(20);
    expect(stream.reception.report()?.jitter).toBeCloseTo(160, -1);
  });
});
