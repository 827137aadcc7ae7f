import { describe, expect, it } from 'vitest';
import { G722Encoder } from '../../../src/audio/g722.js';
import { encodeG711 } from '../../../src/audio/g711.js';
import { newRtpPacket, type RtpPacket } from '../../../src/rtp/packet.js';
import { fitSine, levelDbm0, seededRandom, tone } from '../../support/signal.js';
import { arrivalsOf, packetsOf, UplinkBench, type Arrival } from './uplink-bench.js';

const speech = (durationMs: number): Int16Array =>
  tone({ rateHz: 8_000, frequencyHz: 1_000, levelDbm0: -10, durationMs });

/** How long nothing was heard between the first and the last of what was, in frames. */
function silentFrames(bench: UplinkBench): number {
  const loud = bench.frames.map(({ samples }) => levelDbm0(samples) > -20);
  return loud.slice(loud.indexOf(true), loud.lastIndexOf(true) + 1).filter((is) => !is).length;
}

/** Packets in real time, whose timestamps from the 50th on are `jump` further; a pause of `pauseMs` is before it. */
function jumping(jump: number, pauseMs = 0, jitter: (i: number) => number = () => 0): Arrival[] {
  const packets = packetsOf(speech(2_000), { firstTimestamp: 2_000_000 });
  return arrivalsOf(packets, { delayMs: (i) => (i >= 50 ? pauseMs : 0) + jitter(i) }).map(({ atMs, packet }, i) => ({
    atMs,
    packet: i < 50 ? packet : { ...packet, timestamp: (packet.timestamp + jump) >>> 0 },
  }));
}

describe('Uplink, timestamps that are not the time gone by', () => {
  it.each([-1, -80, -160, -800, -1_600, -16_000, -1_000_000, -2_008_000, -(2 ** 31) + 1, 1_600, 1_000_000, 2 ** 30])(
    'loses nothing when they jump by %d and no time goes by',
    (jump) => {
      const bench = new UplinkBench();
      bench.run(1_990, jumping(jump));
      expect(silentFrames(bench)).toBeLessThanOrEqual(jump > 0 ? 4 : 0);
      expect(bench.uplink.stats.late).toBe(0);
      expect(bench.largestBurst).toBeLessThanOrEqual(5);
    },
  );

  it.each([100, 300, 500, 3_000, 60_000])(
    'loses nothing of the talkspurt after %d ms in which they stood still',
    (pauseMs) => {
      const random = seededRandom(pauseMs);
      const bench = new UplinkBench();
      const arrivals = jumping(0, pauseMs, (i) => (i === 0 ? 0 : random() * 8));
      bench.run(1_990 + pauseMs, arrivals);
      const loud = bench.frames.filter(({ samples }) => levelDbm0(samples) > -20);
      expect(loud.length).toBeGreaterThanOrEqual(99);
      const again = bench.frames.find(({ atMs, samples }) => atMs > 1_000 + pauseMs / 2 && levelDbm0(samples) > -20);
      expect(again?.atMs).toBeLessThanOrEqual(1_000 + pauseMs + 30);
      expect(bench.largestBurst).toBeLessThanOrEqual(5);
    },
  );

  it('loses nothing of a hundred such talkspurts', () => {
    const bench = new UplinkBench();
    const arrivals = arrivalsOf(packetsOf(speech(20_000)), { delayMs: (i) => 400 * Math.floor(i / 10) });
    bench.run(60_000, arrivals);
    const loud = bench.frames.filter(({ samples }) => levelDbm0(samples) > -20);
    expect(loud.length).toBeGreaterThanOrEqual(950);
    expect(bench.uplink.stats.late).toBeLessThanOrEqual(5);
  });

  it('loses nothing where each packet has the same timestamp', () => {
    const bench = new UplinkBench();
    bench.run(
      1_990,
      jumping(0).map(({ atMs, packet }) => ({ atMs, packet: { ...packet, timestamp: 7 } })),
    );
    expect(silentFrames(bench)).toBe(0);
    expect(bench.frames.filter(({ samples }) => levelDbm0(samples) > -20).length).toBeGreaterThanOrEqual(99);
  });

  it('still drops a backlog', () => {
    const bench = new UplinkBench();
    const arrivals = arrivalsOf(packetsOf(speech(4_000)), {
      delayMs: (i) => (i >= 50 && i < 100 ? 20 * (100 - i) : 0),
    });
    bench.run(3_990, arrivals);
    expect(bench.uplink.stats.late).toBeGreaterThanOrEqual(40);
    expect(bench.largestBurst).toBeLessThanOrEqual(5);
  });
});

describe('Uplink, a payload type that changes in mid-call', () => {
  it('loses nothing, at each change and back', () => {
    const bench = new UplinkBench();
    const samples = speech(4_000);
    const [mulaw, alaw] = (['PCMU', 'PCMA'] as const).map((encoding) => packetsOf(samples, { encoding }));
    for (const { atMs, packet } of arrivalsOf(mulaw ?? [])) {
      bench.tickUntil(atMs);
      bench.nowMs = atMs;
      const i = Math.round(atMs / 20);
      // Every second, then with each packet.
      const isOther = i < 150 ? Math.floor(i / 50) % 2 === 1 : i % 2 === 1;
      bench.uplink.encoding = isOther ? 'PCMA' : 'PCMU';
      bench.receive((isOther ? alaw?.[i] : undefined) ?? packet);
    }
    expect(silentFrames(bench)).toBe(0);
    expect(bench.frames).toHaveLength(200);
    expect(bench.uplink.stats).toMatchObject({ late: 0, filledMs: 0 });
  });

  it('hears G.722 and G.711 in turn, with what began in one frame', () => {
    const bench = new UplinkBench();
    const ten = (encoding: 'PCMU' | 'G722', timestamp: number): void => {
      const payload = new Uint8Array(80);
      if (encoding === 'PCMU') encodeG711('mulaw', speech(10), 0, 80, payload, 0);
      else
        new G722Encoder().encode(
          tone({ rateHz: 16_000, frequencyHz: 1_000, levelDbm0: -10, durationMs: 10 }),
          0,
          80,
          payload,
          0,
        );
      bench.uplink.encoding = encoding;
      bench.receive({ ...newRtpPacket(), bytes: payload, payloadLength: 80, timestamp });
    };
    for (let i = 0; i < 100; i++) {
      bench.nowMs = 10 * i;
      bench.tickUntil(bench.nowMs);
      ten(i % 3 === 0 ? 'G722' : 'PCMU', 80 * i);
    }
    expect(bench.largestBurst).toBeLessThanOrEqual(2);
    expect(bench.longestGapMs).toBeLessThanOrEqual(60);
  });
});

describe('Uplink, G.722 whose clock runs at 16 kHz', () => {
  function g722(durationMs: number, step: (i: number) => number): RtpPacket[] {
    const encoder = new G722Encoder();
    const samples = tone({ rateHz: 16_000, frequencyHz: 1_000, levelDbm0: -10, durationMs });
    let timestamp = 0xffff_f000;
    return Array.from({ length: durationMs / 20 }, (_, i) => {
      const bytes = new Uint8Array(160);
      encoder.encode(samples.subarray(320 * i, 320 * i + 320), 0, 160, bytes, 0);
      const packet = {
        ...newRtpPacket(),
        bytes,
        payloadLength: 160,
        timestamp: timestamp >>> 0,
        sequenceNumber: (65_500 + i) & 0xffff,
      };
      timestamp += step(i);
      return packet;
    });
  }

  it.each<[string, (i: number) => number, number]>([
    ['is understood', () => 320, 16_000],
    ['is not taken for the right one', () => 160, 8_000],
    ['may begin', (i) => (i < 100 ? 160 : 320), 16_000],
    ['may end', (i) => (i < 100 ? 320 : 160), 8_000],
  ])('%s', (_, step, clockRateHz) => {
    const random = seededRandom(2);
    const bench = new UplinkBench();
    bench.uplink.encoding = 'G722';
    bench.run(5_990, arrivalsOf(g722(6_000, step), { delayMs: (i) => (i === 0 ? 0 : random() * 9) }));
    expect(fitSine(bench.audio(5).subarray(0, 80_000), 16_000, 1_000).snrDb).toBeGreaterThan(30);
    expect(bench.uplink.stats).toMatchObject({ late: 0, filledMs: 0 });
    expect(bench.uplink.clockRateHz).toBe(clockRateHz);
  });

  it('is no reason to take silence that was not sent for none', () => {
    const bench = new UplinkBench();
    bench.uplink.encoding = 'G722';
    // Every second packet is not sent, and its sequence number not used.
    const arrivals = arrivalsOf(g722(4_000, () => 320)).map(({ atMs, packet }) => ({ atMs: 2 * atMs, packet }));
    bench.run(7_990, arrivals);
    expect(bench.uplink.clockRateHz).toBe(8_000);
    expect(Math.abs(bench.frames.length - 400)).toBeLessThanOrEqual(1);
  });
});
