import { describe, expect, it } from 'vitest';
import { FrameRing } from '../../../src/pranthora/frame-ring.js';
import { UplinkQueue } from '../../../src/pranthora/uplink-queue.js';

const frame = (number: number): Uint8Array => new Uint8Array(640).fill(number);

/** A connection that remembers which frames it got and when. */
class Sink {
  isWritable = true;
  nowMs = 0;
  readonly got: { number: number; atMs: number }[] = [];

  send(bytes: Uint8Array): void {
    this.got.push({ number: bytes[0] ?? -1, atMs: this.nowMs });
  }

  get numbers(): number[] {
    return this.got.map(({ number }) => number);
  }
}

/** Offers frame after frame, one and a tick every 20 ms, from `fromMs` on. */
function runLive(queue: UplinkQueue, sink: Sink, numbers: readonly number[], fromMs: number): void {
  numbers.forEach((number, index) => {
    sink.nowMs = fromMs + index * 20;
    queue.offer(frame(number), sink.nowMs, sink);
    queue.drain(sink.nowMs, sink);
  });
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

describe('UplinkQueue', () => {
  it('sends live frames at once', () => {
    const sink = new Sink();
    const queue = new UplinkQueue(400, 640);
    runLive(queue, sink, range(0, 100), 1_000);
    expect(sink.got).toEqual(range(0, 100).map((number) => ({ number, atMs: 1_000 + number * 20 })));
    expect(queue).toMatchObject({ sent: 100, dropped: 0 });
  });

  it('keeps order and the newest 200 ms through congestion, and counts the rest', () => {
    const sink = new Sink();
    const queue = new UplinkQueue(0, 640);
    sink.isWritable = false;
    runLive(queue, sink, range(0, 50), 1_000);
    sink.isWritable = true;
    runLive(queue, sink, range(50, 70), 2_000);
    expect(sink.numbers).toEqual(range(41, 70));
    expect(queue).toMatchObject({ sent: 29, dropped: 41 });
  });

  it('never sends more than 5 frames at once nor 15 in 100 ms, and is live again soon', () => {
    const sink = new Sink();
    const queue = new UplinkQueue(400, 640);
    range(0, 100).forEach((number) => queue.hold(frame(number), 1_000 + number * 20));
    sink.nowMs = 3_000;
    queue.drain(3_000, sink);
    expect(sink.numbers).toEqual(range(81, 86));
    runLive(queue, sink, range(100, 140), 3_007);
    expect(sink.numbers).toEqual(range(81, 140));
    sink.got.forEach(({ atMs }, index) => {
      expect((sink.got[index + 5]?.atMs ?? Infinity) - atMs).toBeGreaterThan(5);
      expect((sink.got[index + 15]?.atMs ?? Infinity) - atMs).toBeGreaterThanOrEqual(100);
    });
    const live = sink.got.find(({ number, atMs }) => number >= 100 && atMs === 3_007 + (number - 100) * 20);
    expect(live?.atMs).toBeLessThan(3_400);
  });

  it('spreads a burst from the caller’s side', () => {
    const sink = new Sink();
    const queue = new UplinkQueue(400, 640);
    range(0, 9).forEach((number) => queue.offer(frame(number), 0, sink));
    expect(sink.numbers).toEqual(range(0, 5));
    queue.drain(20, sink);
    queue.drain(40, sink);
    expect(sink.numbers).toEqual(range(0, 9));
  });

  it('keeps nothing across an outage when told so', () => {
    const sink = new Sink();
    const queue = new UplinkQueue(0, 640);
    range(0, 10).forEach((number) => queue.hold(frame(number), number * 20));
    queue.drain(200, sink);
    queue.offer(frame(10), 200, sink);
    expect(sink.numbers).toEqual([10]);
    expect(queue.dropped).toBe(10);
  });

  it('returns to the congestion limit after it caught up', () => {
    const sink = new Sink();
    const queue = new UplinkQueue(1_000, 640);
    queue.hold(frame(0), 0);
    queue.drain(500, sink);
    sink.isWritable = false;
    queue.offer(frame(1), 520, sink);
    sink.isWritable = true;
    queue.drain(720, sink);
    expect(sink.numbers).toEqual([0]);
    expect(queue.dropped).toBe(1);
  });
});

describe('FrameRing', () => {
  it('copies, keeps the newest and hands them out in order', () => {
    const ring = new FrameRing(3, 640);
    const reused = frame(0);
    const lost = range(0, 5).map((number) => ring.push(reused.fill(number), number));
    expect(lost).toEqual([0, 0, 0, 1, 1]);
    expect([ring.shift()?.[639], ring.shift()?.[0], ring.shift()?.[0], ring.shift()]).toEqual([2, 3, 4, undefined]);
  });

  it('drops by age', () => {
    const ring = new FrameRing(4, 640);
    range(0, 4).forEach((number) => ring.push(frame(number), number * 20));
    expect(ring.dropUntil(20)).toBe(2);
    expect(ring.length).toBe(2);
    expect(ring.shift()?.[0]).toBe(2);
  });

  it('refuses a frame of another size', () =>
    expect(() => new FrameRing(2, 640).push(new Uint8Array(320), 0)).toThrow(RangeError));
});
