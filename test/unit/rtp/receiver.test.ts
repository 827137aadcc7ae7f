import { describe, expect, it } from 'vitest';
import { newRtpPacket, type RtpPacket } from '../../../src/rtp/packet.js';
import { RtpReceiver } from '../../../src/rtp/receiver.js';
import { seededRandom } from '../../support/signal.js';

const CLEAN = { packets: 0, lost: 0, late: 0, duplicates: 0, reordered: 0, restarts: 0 };

class Bench {
  readonly delivered: number[] = [];
  readonly payloads: Uint8Array[] = [];
  readonly receiver: RtpReceiver;
  nowMs = 0;
  /** One view for all packets, as the endpoint has it. */
  readonly #view = newRtpPacket();

  constructor(maxHeld = 8) {
    const onPacket = (packet: RtpPacket): void => {
      this.delivered.push(packet.sequenceNumber);
      this.payloads.push(packet.bytes);
    };
    this.receiver = new RtpReceiver({ reorderMs: 40, maxHeld, onPacket });
  }

  receive(...sequenceNumbers: number[]): void {
    for (const sequenceNumber of sequenceNumbers) this.receiveFrom(1, sequenceNumber);
  }

  receiveFrom(ssrc: number, sequenceNumber: number, timestamp = 0): void {
    const bytes = Uint8Array.of(sequenceNumber >> 8, sequenceNumber);
    Object.assign(this.#view, { ssrc, sequenceNumber: sequenceNumber & 0xffff, timestamp, bytes, payloadLength: 2 });
    this.receiver.receive(this.#view, this.nowMs);
  }

  /** Packets in real time, each with the timestamp after the one before. */
  stream(firstSequence: number, count: number, firstTimestamp: number): void {
    for (let i = 0; i < count; i++) {
      this.flushAt(this.nowMs + 20);
      this.receiveFrom(1, firstSequence + i, firstTimestamp + 160 * i);
    }
  }

  flushAt(nowMs: number): void {
    this.nowMs = nowMs;
    this.receiver.flush(nowMs);
  }
}

describe('RtpReceiver', () => {
  it('delivers what is in order at once', () => {
    const bench = new Bench();
    bench.receive(10);
    expect(bench.delivered).toEqual([10]);
    bench.receive(11, 12);
    expect(bench.delivered).toEqual([10, 11, 12]);
    expect(bench.receiver.stats).toEqual({ ...CLEAN, packets: 3 });
  });

  it('goes on over the wrap of the sequence number', () => {
    const bench = new Bench();
    bench.receive(65_533, 65_534, 0, 65_535, 1);
    expect(bench.delivered).toEqual([65_533, 65_534, 65_535, 0, 1]);
    for (let i = 2; i < 140_000; i++) bench.receive(i & 0xffff);
    expect(bench.receiver.stats).toEqual({ ...CLEAN, packets: 140_003, reordered: 1 });
  });

  it('puts packets that overtook one another in order, with their own bytes', () => {
    const bench = new Bench();
    bench.receive(1, 4, 3);
    expect(bench.delivered).toEqual([1]);
    bench.receive(2);
    expect(bench.delivered).toEqual([1, 2, 3, 4]);
    expect(bench.payloads.map((bytes) => bytes[1])).toEqual([1, 2, 3, 4]);
    bench.receive(5);
    expect(bench.receiver.stats).toEqual({ ...CLEAN, packets: 5, reordered: 2 });
  });

  it('waits for a gap no longer than reorderMs', () => {
    const bench = new Bench();
    bench.receive(1, 3);
    bench.flushAt(39);
    expect(bench.delivered).toEqual([1]);
    bench.flushAt(40);
    expect(bench.delivered).toEqual([1, 3]);
    expect(bench.receiver.stats).toMatchObject({ lost: 1, late: 0 });
  });

  it('does not need a tick to give up a gap: a packet is enough', () => {
    const bench = new Bench();
    bench.receive(1, 3);
    bench.nowMs = 20;
    bench.receive(4);
    bench.nowMs = 45;
    bench.receive(6);
    expect(bench.delivered).toEqual([1, 3, 4]);
    bench.flushAt(85);
    expect(bench.delivered).toEqual([1, 3, 4, 6]);
    expect(bench.receiver.stats).toMatchObject({ packets: 4, lost: 2 });
  });

  it('counts by the oldest that waits, even if a younger one is before it', () => {
    const bench = new Bench();
    bench.receive(1, 4);
    bench.nowMs = 30;
    bench.receive(3);
    bench.flushAt(40);
    expect(bench.delivered).toEqual([1, 3, 4]);
  });

  it('drops what comes after its place was given up, and it is then no longer lost', () => {
    const bench = new Bench();
    bench.receive(1, 3);
    bench.flushAt(40);
    expect(bench.receiver.stats).toMatchObject({ lost: 1, late: 0 });
    bench.receive(2);
    expect(bench.delivered).toEqual([1, 3]);
    expect(bench.receiver.stats).toMatchObject({ lost: 0, late: 1, duplicates: 0 });
    bench.receive(2);
    expect(bench.receiver.stats).toMatchObject({ lost: 0, late: 1, duplicates: 1 });
  });

  it('drops duplicates, of what was delivered and of what waits', () => {
    const bench = new Bench();
    bench.receive(1, 1, 2, 1, 4, 4, 3, 4, 3);
    expect(bench.delivered).toEqual([1, 2, 3, 4]);
    expect(bench.receiver.stats).toEqual({ ...CLEAN, packets: 9, duplicates: 5, reordered: 1 });
  });

  it('does not let duplicates make up for losses', () => {
    const bench = new Bench();
    bench.receive(1, 1, 1, 1, 5);
    bench.flushAt(40);
    expect(bench.receiver.stats).toMatchObject({ lost: 3, duplicates: 3 });
  });

  it('takes what came before the first packet as late, and loses count of nothing', () => {
    const bench = new Bench();
    bench.receive(0, 65_535, 1);
    expect(bench.delivered).toEqual([0, 1]);
    expect(bench.receiver.stats).toEqual({ ...CLEAN, packets: 3, late: 1 });
  });

  it('holds no more than maxHeld', () => {
    const bench = new Bench(3);
    bench.receive(1, 5, 7, 3);
    expect(bench.delivered).toEqual([1]);
    bench.receive(9);
    expect(bench.delivered).toEqual([1, 3]);
    bench.receive(4);
    expect(bench.delivered).toEqual([1, 3, 4, 5]);
    bench.flushAt(40);
    expect(bench.delivered).toEqual([1, 3, 4, 5, 7, 9]);
    expect(bench.receiver.stats).toMatchObject({ lost: 3, late: 0 });
  });

  it.each([
    ['ahead', 5000],
    ['back', 60_000],
  ])('starts anew when the sequence jumps far %s, delivering at once', (_, target) => {
    const bench = new Bench();
    bench.receive(1, 3, target, target + 1);
    expect(bench.delivered).toEqual([1, 3, target, target + 1]);
    expect(bench.receiver.stats).toEqual({ ...CLEAN, packets: 4, lost: 1, restarts: 1 });
  });

  it('takes a jump of 1000 for a gap still', () => {
    const bench = new Bench();
    bench.receive(1, 1002);
    expect(bench.delivered).toEqual([1]);
    bench.flushAt(40);
    bench.receive(1003);
    expect(bench.delivered).toEqual([1, 1002, 1003]);
    expect(bench.receiver.stats).toMatchObject({ lost: 1000, restarts: 0 });
    bench.receive(4);
    expect(bench.receiver.stats).toMatchObject({ lost: 999, late: 1, restarts: 0 });
  });

  it.each([5, 60, 100, 500, 900, 1_000])(
    'starts anew when the sequence steps back by %d and the timestamps go on: at the second packet',
    (back) => {
      const bench = new Bench();
      bench.stream(7_000, 50, 0);
      bench.stream(7_050 - back, 50, 8_000);
      expect(bench.delivered.slice(50)).toEqual(Array.from({ length: 49 }, (_, i) => 7_051 - back + i));
      expect(bench.receiver.stats).toMatchObject({ restarts: 1, lost: 0 });
    },
  );

  it.each([60, 500])('starts anew within 80 ms when both step back by %d packets', (back) => {
    const bench = new Bench();
    bench.stream(7_000, 600, 100_000);
    bench.stream(7_600 - back, 50, 100_000 + 160 * (600 - back));
    expect(bench.delivered.slice(600)).toEqual(Array.from({ length: 47 }, (_, i) => 7_603 - back + i));
  });

  it('steps back over the wrap of both', () => {
    const bench = new Bench();
    bench.stream(65_500, 50, 0xffff_f000);
    bench.stream(65_490, 50, 0xffff_f000 + 8_000);
    expect(bench.delivered).toHaveLength(99);
  });

  it('does not start anew for duplicates and latecomers, however many follow one another', () => {
    const bench = new Bench();
    bench.stream(0, 100, 0);
    // All of it once more, in a burst.
    for (let i = 0; i < 100; i++) bench.receiveFrom(1, i, 160 * i);
    // Twice, with 60 ms between the copies.
    for (let i = 100; i < 300; i++) {
      bench.stream(i, 1, 160 * i);
      bench.receiveFrom(1, i - 3, 160 * (i - 3));
    }
    expect(bench.receiver.stats).toMatchObject({ restarts: 0, duplicates: 300 });
    expect(bench.delivered).toHaveLength(300);
  });

  it('starts anew with another SSRC, after what was waiting', () => {
    const bench = new Bench();
    bench.receive(1, 3);
    bench.receiveFrom(2, 2);
    bench.receiveFrom(2, 3);
    expect(bench.delivered).toEqual([1, 3, 2, 3]);
    expect(bench.receiver.stats).toEqual({ ...CLEAN, packets: 4, lost: 1, restarts: 1 });
  });

  it('forgets the source, but not the figures, on reset', () => {
    const bench = new Bench();
    bench.receive(1, 3, 5);
    bench.flushAt(40);
    bench.receive(8);
    bench.receiver.reset();
    bench.flushAt(1000);
    expect(bench.delivered).toEqual([1, 3, 5]);
    bench.receive(4);
    expect(bench.delivered).toEqual([1, 3, 5, 4]);
    expect(bench.receiver.stats).toEqual({ ...CLEAN, packets: 5, lost: 4 });
  });

  it('agrees with the truth on a bad network', () => {
    const random = seededRandom(5);
    const bench = new Bench(16);
    const total = 20_000;
    const arrivals: { sequence: number; atMs: number }[] = [];
    let missing = 0;
    for (let sequence = 0; sequence < total; sequence++) {
      // The last ones come, so that what is missing is known to be.
      if (random() < 0.05 && sequence > 0 && sequence < total - 20) {
        missing += 1;
        continue;
      }
      arrivals.push({ sequence, atMs: sequence * 20 + (sequence > 0 ? random() * 39 : 0) });
      if (random() < 0.02) arrivals.push({ sequence, atMs: sequence * 20 + 39 + random() * 200 });
    }
    const copies = arrivals.length - (total - missing);
    arrivals.sort((a, b) => a.atMs - b.atMs);
    for (const { sequence, atMs } of arrivals) {
      bench.flushAt(atMs);
      bench.receive(sequence & 0xffff);
    }
    bench.flushAt(Infinity);
    const { stats } = bench.receiver;
    expect(stats).toMatchObject({ packets: arrivals.length, lost: missing, duplicates: copies, restarts: 0 });
    expect(bench.delivered).toHaveLength(total - missing - stats.late);
    expect(bench.delivered).toEqual([...bench.delivered].sort((a, b) => a - b));
    expect(stats.late).toBe(0);
  });
});
