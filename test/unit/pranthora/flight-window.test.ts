import { describe, expect, it } from 'vitest';
import { FlightWindow } from '../../../src/pranthora/flight-window.js';
import { UplinkQueue } from '../../../src/pranthora/uplink-queue.js';

/** A way to an agent that answers each ping: frames and pings take `oneWayMs`, and wait while it is cut. */
class Way {
  readonly window = new FlightWindow();
  readonly arrivals: { readonly frame: number; readonly atMs: number }[] = [];
  nowMs = 0;
  pings = 0;
  /** Cut from when until when: what is on its way then comes when it is up again. */
  cut = { fromMs: Infinity, untilMs: Infinity };
  oneWayMs: number;
  readonly #events: { atMs: number; run: () => void }[] = [];
  answers = true;

  constructor(oneWayMs: number) {
    this.oneWayMs = oneWayMs;
    this.ping();
  }

  get isWritable(): boolean {
    return this.window.isOpen;
  }

  send(bytes: Uint8Array): void {
    const frame = (bytes[0] ?? 0) + 256 * (bytes[1] ?? 0);
    this.#deliver(() => this.arrivals.push({ frame, atMs: this.nowMs }));
    if (this.window.sent()) this.ping();
  }

  ping(): void {
    this.pings += 1;
    const data = Buffer.from(this.window.ping(this.nowMs));
    this.#deliver(() => {
      if (!this.answers) return;
      this.#deliver(() => {
        if (this.window.pong(data, this.nowMs)) this.ping();
      });
    });
  }

  runTo(atMs: number): void {
    for (;;) {
      const next = this.#events.filter((event) => event.atMs <= atMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (!next) break;
      this.#events.splice(this.#events.indexOf(next), 1);
      this.nowMs = next.atMs;
      next.run();
    }
    this.nowMs = atMs;
  }

  /** A frame every 20 ms, and a tick 7 ms after it, as the bridge has it. */
  talk(queue: UplinkQueue, fromFrame: number, frames: number): void {
    for (let frame = fromFrame; frame < fromFrame + frames; frame++) {
      this.runTo(frame * 20);
      queue.offer(
        Uint8Array.from({ length: 640 }, (_, i) => (frame >> (8 * i)) & 0xff),
        this.nowMs,
        this,
      );
      this.runTo(frame * 20 + 7);
      queue.drain(this.nowMs, this);
    }
  }

  /** The most frames that arrived within 10 ms, from `fromMs` on. */
  burst(fromMs = 0): number {
    const late = this.arrivals.filter(({ atMs }) => atMs >= fromMs);
    return Math.max(
      ...late.map(({ atMs }) => late.filter((other) => other.atMs >= atMs && other.atMs < atMs + 10).length),
    );
  }

  #deliver(run: () => void): void {
    const { fromMs, untilMs } = this.cut;
    const dueMs = this.nowMs + this.oneWayMs;
    this.#events.push({ atMs: dueMs >= fromMs && this.nowMs < untilMs ? untilMs + this.oneWayMs : dueMs, run });
  }
}

const delays = (way: Way): number[] => way.arrivals.map(({ frame, atMs }) => atMs - frame * 20);

describe('FlightWindow', () => {
  it.each([0, 5, 20, 60, 150])('holds nothing back on a way of %d ms, and pings with one frame in four', (oneWayMs) => {
    const way = new Way(oneWayMs);
    way.talk(new UplinkQueue(400, 640), 0, 500);
    way.runTo(11_000);
    expect(Math.max(...delays(way))).toBe(oneWayMs);
    expect(way.arrivals).toHaveLength(500);
    expect(way.pings).toBeLessThanOrEqual(126);
  });

  it.each([300, 1_000, 5_000, 30_000])(
    'after a cut of %d ms lets 5 frames come at once, and the newest 200 ms',
    (cutMs) => {
      const way = new Way(1);
      const queue = new UplinkQueue(400, 640);
      way.talk(queue, 0, 100);
      way.cut = { fromMs: 2_000, untilMs: 2_000 + cutMs };
      way.talk(queue, 100, cutMs / 20 + 100);
      way.runTo(way.nowMs + 1_000);
      expect(way.burst()).toBeLessThanOrEqual(6);
      const after = way.arrivals.filter(({ atMs }) => atMs >= way.cut.untilMs);
      // What was on its way already, and then nothing that is old.
      expect(after.slice(5).every(({ frame, atMs }) => atMs - frame * 20 <= 222)).toBe(true);
      expect(after.at(-1)?.atMs).toBe((after.at(-1)?.frame ?? 0) * 20 + 1);
      const live = after.find(({ frame, atMs }) => atMs === frame * 20 + 1);
      expect((live?.atMs ?? Infinity) - way.cut.untilMs).toBeLessThan(400);
    },
  );

  it('lets more be on its way where the way is long, and no more after an outage', () => {
    const way = new Way(100);
    const queue = new UplinkQueue(400, 640);
    way.talk(queue, 0, 100);
    for (let outage = 0; outage < 10; outage++) {
      const fromMs = way.nowMs;
      way.cut = { fromMs, untilMs: fromMs + 1_000 };
      way.talk(queue, Math.ceil(fromMs / 20), 200);
    }
    expect(way.burst()).toBeLessThanOrEqual(5 + 200 / 20 + 1);
  });

  it('believes a way that has become longer, and then holds nothing back', () => {
    const way = new Way(20);
    const queue = new UplinkQueue(400, 640);
    way.talk(queue, 0, 50);
    way.oneWayMs = 100;
    way.talk(queue, 50, 1_000);
    way.runTo(way.nowMs + 1_000);
    expect(queue.dropped).toBeLessThanOrEqual(5);
    expect(Math.max(...delays(way).slice(-800))).toBe(100);
  });

  it('neither bounds nor pings a way whose server answers no ping', () => {
    const way = new Way(1);
    way.answers = false;
    way.talk(new UplinkQueue(400, 640), 0, 500);
    way.runTo(11_000);
    expect(way.arrivals).toHaveLength(500);
    expect(way.pings).toBe(6);
  });

  it('does not trust what answers no ping of ours', () => {
    const window = new FlightWindow();
    const answer = Buffer.from(window.ping(0));
    window.pong(answer, 0);
    for (let i = 0; i < 5; i++) window.sent();
    expect(window.isOpen).toBe(false);
    for (const data of [
      Buffer.alloc(0),
      Buffer.alloc(125, 1),
      Buffer.from([0, 0, 0, 9, 0, 0, 0, 0]),
      Buffer.alloc(8, 255),
    ]) {
      window.pong(data, 1);
      expect(window.isOpen).toBe(false);
    }
    window.pong(window.ping(1), 1);
    expect(window.isOpen).toBe(true);
  });
});
