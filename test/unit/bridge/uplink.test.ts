import { describe, expect, it } from 'vitest';
import { newRtpPacket } from '../../../src/rtp/packet.js';
import { findDiscontinuities, fitSine, seededRandom, tone } from '../../support/signal.js';
import { arrivalsOf, expectedAudio, firstDifference, packetsOf, RATE_HZ, UplinkBench } from './uplink-bench.js';

const ENCODINGS = ['PCMU', 'PCMA', 'L16'] as const;

const speech = (durationMs: number, frequencyHz = 1_000, rateHz = 8_000): Int16Array =>
  tone({ rateHz, frequencyHz, levelDbm0: -10, durationMs });
const speech16k = (durationMs: number, frequencyHz = 1_000): Int16Array => speech(durationMs, frequencyHz, 16_000);

/** Background noise of about the given RMS. */
function noise(length: number, rms: number): Int16Array {
  const random = seededRandom(17);
  return Int16Array.from({ length }, () => (random() - 0.5) * Math.sqrt(12) * rms);
}

const isSilent = (samples: Int16Array): boolean => samples.every((sample) => sample === 0);

const steepest = (samples: Int16Array): number =>
  samples.reduce((most, sample, i) => Math.max(most, Math.abs(sample - (samples[i - 1] ?? sample))), 0);

/** Frames the packets of a live stream send at their arrival: one each. */
const expectLive = (framesAtArrival: readonly number[]): void => expect(new Set(framesAtArrival)).toEqual(new Set([1]));

describe('Uplink, a steady stream', () => {
  it('sends each packet as one frame of 640 bytes in the same call', () => {
    const bench = new UplinkBench();
    for (const packet of packetsOf(speech(200))) {
      bench.receive(packet);
      bench.nowMs += 20;
    }
    expectLive(bench.framesAtArrival);
    expect(bench.frames.every(({ samples }) => samples.length === 320)).toBe(true);
    expect(bench.uplink.stats).toMatchObject({ frames: 10, filledMs: 0, late: 0 });
  });

  it.each(ENCODINGS)('carries 60 s of %s with jitter, every sample in its place', (encoding) => {
    const samples = speech(60_000, 1_004, RATE_HZ[encoding]);
    const random = seededRandom(1);
    const bench = new UplinkBench();
    bench.uplink.encoding = encoding;
    bench.run(60_000, arrivalsOf(packetsOf(samples, { encoding }), { delayMs: (i) => Math.min(i, random() * 30) }));
    const audio = bench.audio();
    expect(firstDifference(audio, expectedAudio(samples, encoding))).toBe(-1);
    expectLive(bench.framesAtArrival);
    const { snrDb, levelDbm0 } = fitSine(audio.subarray(16_000, 32_000), 16_000, 1_004);
    expect(snrDb).toBeGreaterThan(36);
    expect(Math.abs(levelDbm0 + 10)).toBeLessThan(0.3);
    expect(bench.uplink.stats).toMatchObject({ frames: 3_000, filledMs: 0, late: 0 });
  });

  it.each([10, 30, 40, 60])('takes packets of %d ms', (ptimeMs) => {
    const samples = speech(6_000);
    const random = seededRandom(ptimeMs);
    const bench = new UplinkBench();
    bench.run(
      6_000 - ptimeMs,
      arrivalsOf(packetsOf(samples, { ptimeMs }), { ptimeMs, delayMs: (i) => Math.min(i, random() * 15) }).slice(0, -1),
    );
    const audio = bench.audio();
    expect(firstDifference(audio, expectedAudio(samples).subarray(0, audio.length))).toBe(-1);
    expect(audio.length).toBeGreaterThanOrEqual(2 * (48_000 - 160 - ptimeMs * 8));
    expect(bench.uplink.stats).toMatchObject({ filledMs: 0, late: 0 });
    expect(bench.longestGapMs).toBeLessThanOrEqual(Math.max(ptimeMs + 15, 35));
  });

  it.each([500, 300, 50, -50, -300, -500])('keeps in step with a sender whose clock is off by %d ppm', (ppm) => {
    const random = seededRandom(3);
    const bench = new UplinkBench();
    const ptimeMs = 20 * (1 - ppm / 1_000_000);
    const count = 30_000; // ten minutes
    const quiet = packetsOf(noise(160 * count, 20));
    bench.run(count * ptimeMs - 20, arrivalsOf(quiet, { ptimeMs, delayMs: () => random() * 20 }));
    const { late, filledMs, joinedFrames, stretchedFrames } = bench.uplink.stats;
    expect(late).toBe(0);
    expect(filledMs).toBeLessThanOrEqual(20); // before the first packet
    // 20 ms of tolerance before a correction, and 20 ms of the network's.
    expect(Math.abs(bench.timelineErrorMs(0))).toBeLessThanOrEqual(42);
    const driftFrames = (count * 20 * Math.abs(ppm)) / 1_000_000 / 20;
    expect(Math.abs(ppm > 0 ? joinedFrames : stretchedFrames) - driftFrames).toBeLessThan(2);
    expect(ppm > 0 ? stretchedFrames : joinedFrames).toBe(0);
    expect(bench.longestGapMs).toBeLessThanOrEqual(60);
    expect(bench.largestBurst).toBeLessThanOrEqual(3);
  });

  it('touches nothing but the frames a correction is made of', () => {
    const samples = noise(8_000 * 90, 20);
    const bench = new UplinkBench();
    const ptimeMs = 20 * (1 - 300 / 1_000_000);
    bench.run(89_900, arrivalsOf(packetsOf(samples), { ptimeMs }));
    const expected = expectedAudio(samples);
    const audio = bench.audio();
    expect(bench.uplink.stats.joinedFrames).toBe(1);
    const joinedAt = Math.floor(firstDifference(audio, expected) / 320) * 320;
    expect(joinedAt).toBeGreaterThan(16_000 * 30);
    // Two frames have become one; what follows is the same again.
    const [after, live] = [audio.subarray(joinedAt + 320), expected.subarray(joinedAt + 640)];
    expect(firstDifference(after, live.subarray(0, after.length))).toBe(-1);
  });

  it('ignores empty payloads and those that no telephone sends', () => {
    const bench = new UplinkBench();
    for (const payloadLength of [0, 1_601, 65_000]) {
      for (const packet of packetsOf(speech(20))) bench.receive({ ...packet, payloadLength });
    }
    expect(bench.uplink.stats).toMatchObject({ frames: 0, filledMs: 0, late: 0 });
  });
});

describe('Uplink, nothing comes', () => {
  it('sends a frame of silence every 20 ms from its construction on', () => {
    const bench = new UplinkBench(0);
    bench.run(60_000);
    expect(bench.frames.length).toBe(3_000);
    expect(bench.frames.every(({ samples }) => isSilent(samples))).toBe(true);
    expect(bench.largestBurst).toBe(1);
    expect(bench.longestGapMs).toBe(20);
  });

  it('does not make up for the time before the first tick', () => {
    const bench = new UplinkBench(3_000);
    bench.run(3_100);
    expect(bench.frames.map(({ atMs }) => atMs)).toEqual([3_000, 3_020, 3_040, 3_060, 3_080, 3_100]);
  });

  it.each([0, 1, 7, 13, 19])(
    'after speech never leaves the agent without a frame for 100 ms (tick at %d)',
    (phaseMs) => {
      const bench = new UplinkBench(phaseMs);
      const packets = packetsOf(speech(1_000));
      bench.run(5_000, arrivalsOf(packets, { startMs: 10, delayMs: (i) => (i * 7) % 20 }));
      expect(bench.longestGapMs).toBeLessThanOrEqual(100);
      expect(bench.largestBurst).toBeLessThanOrEqual(2);
    },
  );
});

describe('Uplink, gaps', () => {
  it.each([1, 2, 3, 5])('fills exactly the place of %d lost packets, without a click', (lost) => {
    const samples = speech(2_000);
    const bench = new UplinkBench();
    const arrivals = arrivalsOf(packetsOf(samples));
    arrivals.splice(50, lost);
    bench.run(1_999, arrivals);
    const [audio, expected] = [bench.audio(), expectedAudio(samples)];
    expect(audio.length).toBe(expected.length);
    const lostAt = 50 * 320;
    const heardAt = (50 + lost) * 320 + 16 * (2.2 + 10); // what the decoder remembers, and the longest fade
    expect(firstDifference(audio.subarray(0, lostAt), expected.subarray(0, lostAt))).toBe(-1);
    expect(firstDifference(audio.subarray(heardAt), expected.subarray(heardAt))).toBe(-1);
    // No sample is further from the one before than the tone's steepest slope, and a fade, take it.
    expect(steepest(audio)).toBeLessThan(1.2 * steepest(expected));
    expect(bench.uplink.stats).toMatchObject({ filledMs: lost * 20, concealedMs: Math.min(60, lost * 20), late: 0 });
    expect(bench.largestBurst).toBeLessThanOrEqual(5);
  });

  it('keeps every place through 20 % of loss over 30 s', () => {
    const samples = speech(30_000);
    const random = seededRandom(5);
    const arrivals = arrivalsOf(packetsOf(samples)).filter(
      ({ packet }) => packet.sequenceNumber < 10 || random() > 0.2,
    );
    const bench = new UplinkBench();
    bench.run(29_980, arrivals);
    expect(bench.uplink.stats.late).toBe(0);
    expect(bench.frames.length + 4).toBeGreaterThanOrEqual(1_500);
    expect(bench.frames.length).toBeLessThanOrEqual(1_500);
    expect(bench.longestGapMs).toBeLessThanOrEqual(100);
    expect(bench.largestBurst).toBeLessThanOrEqual(5);
  });

  it.each([0, 4, 9, 14, 19])('sends a talkspurt after a pause at once (tick at %d)', (phaseMs) => {
    const bench = new UplinkBench(phaseMs);
    const packets = packetsOf(speech(10_000));
    // A pause of 3 s in which the timestamps go on: discontinuous transmission.
    const talk = arrivalsOf(packets, { delayMs: (i) => (i * 3) % 10 });
    bench.run(9_999, [...talk.slice(0, 100), ...talk.slice(250)]);
    const first = bench.framesAtArrival[100] ?? 0;
    expect(first).toBeGreaterThanOrEqual(1);
    const atMs = talk[250]?.atMs;
    const sentThen = bench.frames.filter((frame) => frame.atMs === atMs);
    expect(isSilent(sentThen.at(-1)?.samples ?? new Int16Array(1))).toBe(false);
    expectLive(bench.framesAtArrival.slice(101));
    expect(bench.largestBurst).toBeLessThanOrEqual(5);
    expect(bench.longestGapMs).toBeLessThanOrEqual(100);
    expect(bench.uplink.stats.late).toBe(0);
  });

  it('loses nothing of a talkspurt whose timestamps are off the grid, and less than a frame of the pause', () => {
    const bench = new UplinkBench();
    const before = arrivalsOf(packetsOf(speech(1_000), { firstTimestamp: 0 }));
    const talk = speech(1_000);
    const after = arrivalsOf(packetsOf(talk, { firstTimestamp: 3_000 * 8 + 77, firstSequence: 50 }), {
      startMs: 3_009,
    });
    bench.run(4_000, [...before, ...after]);
    expect(bench.framesAtArrival[50]).toBeGreaterThanOrEqual(1);
    expectLive(bench.framesAtArrival.slice(51));
    const heard = bench.audio(bench.frames.length - 50);
    // The resampler's history is silence here: the same as at the beginning of a stream.
    expect(firstDifference(heard, expectedAudio(talk))).toBe(-1);
  });

  it('stays in step with time over an hour of talkspurts and pauses', () => {
    const random = seededRandom(11);
    const packets = packetsOf(new Int16Array(160 * 180_000).fill(100));
    const talking: boolean[] = [];
    while (talking.length < packets.length) {
      const isTalking = talking.at(-1) !== true;
      const length = 20 + Math.floor(random() * 200);
      for (let i = 0; i < length; i++) talking.push(isTalking);
    }
    const arrivals = arrivalsOf(packets, { delayMs: () => random() * 15 }).filter((_, i) => talking[i]);
    const bench = new UplinkBench();
    bench.run(3_599_980, arrivals);
    expect(Math.abs(bench.frames.length - 180_000)).toBeLessThanOrEqual(5);
    expect(bench.uplink.stats.late).toBe(0);
    expect(bench.largestBurst).toBeLessThanOrEqual(5);
    expect(bench.longestGapMs).toBeLessThanOrEqual(100);
  });
});

describe('Uplink, the network misbehaves', () => {
  it('after a stall lets through what is live of the backlog, drops and counts the rest', () => {
    const bench = new UplinkBench();
    const packets = packetsOf(speech(4_000));
    // From packet 100 on nothing comes for half a second; then 25 packets at once.
    const arrivals = arrivalsOf(packets, { delayMs: (i) => (i >= 100 && i < 125 ? 2_500 - i * 20 : 0) });
    bench.run(3_999, arrivals);
    expect(bench.largestBurst).toBeLessThanOrEqual(5);
    expect(bench.longestGapMs).toBeLessThanOrEqual(100);
    const inBurst = bench.framesAtArrival.slice(100, 125);
    expect(inBurst.reduce((sum, frames) => sum + frames)).toBeLessThanOrEqual(5);
    const { late } = bench.uplink.stats;
    expect(late).toBeGreaterThanOrEqual(19);
    expect(late).toBeLessThanOrEqual(23);
    expectLive(bench.framesAtArrival.slice(125));
    expect(bench.frames.length).toBeLessThanOrEqual(201);
    expect(bench.frames.length).toBeGreaterThanOrEqual(200);
  });

  it('follows a path that has become 150 ms longer', () => {
    const bench = new UplinkBench();
    const packets = packetsOf(speech(20_000));
    bench.run(19_999, arrivalsOf(packets, { delayMs: (i) => (i >= 200 ? 150 : 0) + ((i * 7) % 10) }));
    const { late } = bench.uplink.stats;
    expect(late).toBeLessThanOrEqual(30); // 600 ms
    expectLive(bench.framesAtArrival.slice(235));
    expect(bench.longestGapMs).toBeLessThanOrEqual(100);
    expect(bench.largestBurst).toBeLessThanOrEqual(5);
  });

  it.each([30, 50, 70, 90])('follows a path that has become %d ms longer', (longerMs) => {
    const bench = new UplinkBench();
    const packets = packetsOf(speech(20_000));
    bench.run(19_999, arrivalsOf(packets, { delayMs: (i) => (i >= 200 ? longerMs : 0) + ((i * 7) % 10) }));
    expectLive(bench.framesAtArrival.slice(530)); // after 5 s at the latest, and what is then put in
    expect(bench.uplink.stats.late).toBeLessThanOrEqual(270);
    expect(bench.longestGapMs).toBeLessThanOrEqual(100);
    expect(bench.largestBurst).toBeLessThanOrEqual(5);
    // As much sound as there was time until the last packet.
    expect(Math.abs((20_000 + longerMs) / 20 - bench.frames.length)).toBeLessThanOrEqual(2);
  });

  it('follows a path that has become shorter at once, and takes what is then too much out unheard', () => {
    const bench = new UplinkBench();
    const samples = speech(15_000);
    bench.run(14_999, arrivalsOf(packetsOf(samples), { startMs: 100, delayMs: (i) => (i >= 400 ? -60 : 0) }));
    expect(bench.uplink.stats).toMatchObject({ late: 0, joinedFrames: 3 });
    const audio = bench.audio(bench.frames.length - 746);
    // The tone's period divides a frame: it is as if no sample had ever been missing.
    expect(findDiscontinuities(audio, { rateHz: 16_000, frequencyHz: 1_000 })).toEqual([]);
    expectLive(bench.framesAtArrival.slice(530));
  });

  it('goes on at once when the SSRC changes', () => {
    const bench = new UplinkBench();
    const first = arrivalsOf(packetsOf(speech(1_000), { ssrc: 0, firstTimestamp: 0 }));
    const second = packetsOf(speech(1_000), { ssrc: 7, firstTimestamp: 2_000_000_000 });
    bench.run(1_980, [...first, ...arrivalsOf(second, { startMs: 1_007 })]);
    expectLive(bench.framesAtArrival);
    expect(bench.uplink.stats).toMatchObject({ frames: 100, filledMs: 0, late: 0 });
  });

  it.each([100, 1_000, 3_600_000, 200_000_000])(
    'goes on at once when the timestamps jump forward by %d ms',
    (jumpMs) => {
      const bench = new UplinkBench();
      const first = arrivalsOf(packetsOf(speech(1_000), { firstTimestamp: 5 }));
      const second = packetsOf(speech(1_000), { firstTimestamp: (5 + 8_000 + jumpMs * 8) >>> 0 });
      bench.run(1_980, [...first, ...arrivalsOf(second, { startMs: 1_000 })]);
      expectLive(bench.framesAtArrival);
      expect(bench.uplink.stats.late).toBe(0);
    },
  );

  it.each([
    { name: 'back, no time goes by', jumpMs: -5_000, pauseMs: 0 },
    { name: 'back, after a pause', jumpMs: -5_000, pauseMs: 2_000 },
    { name: 'forward by more than the pause', jumpMs: 60_000, pauseMs: 2_000 },
    { name: 'not at all, after a pause', jumpMs: 0, pauseMs: 2_000 },
    { name: 'forward by less than the pause', jumpMs: 1_000, pauseMs: 2_000 },
  ])('is live again after half a second when the timestamps jump: $name', ({ jumpMs, pauseMs }) => {
    const bench = new UplinkBench();
    const first = arrivalsOf(packetsOf(speech(1_000), { firstTimestamp: 1_000_000 }));
    const second = packetsOf(speech(3_000), { firstTimestamp: 1_008_000 + jumpMs * 8 });
    bench.run(pauseMs + 3_990, [...first, ...arrivalsOf(second, { startMs: 1_000 + pauseMs })]);
    expectLive(bench.framesAtArrival.slice(50 + 26));
    expect(bench.uplink.stats.late).toBeLessThanOrEqual(25);
    expect(bench.longestGapMs).toBeLessThanOrEqual(100);
    expect(bench.largestBurst).toBeLessThanOrEqual(5);
    expect(bench.frames.length).toBeLessThanOrEqual((pauseMs + 4_000) / 20 + 1);
  });

  it('survives any timestamps, SSRCs and lengths at any time', () => {
    const random = seededRandom(13);
    const bench = new UplinkBench();
    const { bytes } = packetsOf(speech(200), { ptimeMs: 200 })[0] ?? newRtpPacket();
    for (let i = 0; i < 20_000; i++) {
      const near = Math.floor((random() - 0.5) * 4_000);
      const timestamp = (random() < 0.9 ? i * 160 + near : random() * 2 ** 32) >>> 0;
      const payloadLength = Math.floor(random() * 1_601);
      const ssrc = random() < 0.99 ? 1 : i;
      bench.receive({ ...newRtpPacket(), bytes, payloadOffset: 12, payloadLength, timestamp, ssrc });
      bench.tickUntil(bench.nowMs + random() * 40);
    }
    const before = bench.frames.length;
    bench.run(bench.nowMs + 10_000);
    expect(bench.longestGapMs).toBeLessThanOrEqual(300);
    expect(bench.frames.length - before).toBeGreaterThanOrEqual(480);
    expect(bench.frames.length - before).toBeLessThanOrEqual(505);
  });
});

describe('Uplink, our own event loop hangs', () => {
  it('lets through what is live of the packets read after it', () => {
    const bench = new UplinkBench();
    const arrivals = arrivalsOf(packetsOf(speech(4_000)));
    bench.run(1_999, arrivals.slice(0, 100));
    const before = bench.frames.length;
    bench.stall(3_001, arrivals.slice(100, 151));
    expect(bench.frames.length - before).toBeLessThanOrEqual(5);
    expect(bench.frames.length - before).toBeGreaterThanOrEqual(1);
    bench.run(3_990, arrivals.slice(151));
    expectLive(bench.framesAtArrival.slice(151));
    expect(bench.uplink.stats.late).toBeGreaterThanOrEqual(45);
    expect(bench.uplink.stats.filledMs).toBeLessThanOrEqual(100);
  });

  it('does not fill the hole with a burst of silence', () => {
    const bench = new UplinkBench();
    bench.run(1_000);
    const before = bench.frames.length;
    bench.stall(6_000);
    expect(bench.frames.length - before).toBeLessThanOrEqual(5);
    expect(bench.frames.length - before).toBeGreaterThanOrEqual(1);
    bench.run(7_000);
    expect(bench.frames.filter(({ atMs }) => atMs > 6_000).length).toBe(50);
  });

  it('sends no burst when most of the packets were lost meanwhile', () => {
    const bench = new UplinkBench();
    const arrivals = arrivalsOf(packetsOf(speech(4_000)));
    bench.run(1_999, arrivals.slice(0, 100));
    const before = bench.frames.length;
    bench.stall(3_001, arrivals.slice(149, 151));
    expect(bench.frames.length - before).toBeLessThanOrEqual(6);
    bench.run(3_990, arrivals.slice(151));
    expectLive(bench.framesAtArrival.slice(102));
    expect(bench.uplink.stats.late).toBe(0);
  });

  it('makes up for a short one', () => {
    const bench = new UplinkBench();
    const samples = speech(4_000);
    const arrivals = arrivalsOf(packetsOf(samples));
    bench.run(1_999, arrivals.slice(0, 100));
    bench.stall(2_061, arrivals.slice(100, 104));
    bench.run(3_990, arrivals.slice(104));
    expect(firstDifference(bench.audio(), expectedAudio(samples))).toBe(-1);
    expect(bench.uplink.stats).toMatchObject({ frames: 200, filledMs: 0, late: 0 });
  });
});

describe('Uplink, L16', () => {
  const wideband = (): UplinkBench => {
    const bench = new UplinkBench();
    bench.uplink.encoding = 'L16';
    return bench;
  };
  const l16 = (samples: Int16Array, options = {}): ReturnType<typeof packetsOf> =>
    packetsOf(samples, { encoding: 'L16', ...options });

  it('takes 640 bytes and 320 timestamp units as 20 ms, most significant byte first', () => {
    const bench = wideband();
    const packets = l16(speech16k(1_000));
    expect(packets[0]?.payloadLength).toBe(640);
    expect(((packets[1]?.timestamp ?? 0) - (packets[0]?.timestamp ?? 0)) >>> 0).toBe(320);
    bench.run(999, arrivalsOf(packets));
    expectLive(bench.framesAtArrival);
    expect(firstDifference(bench.audio(), speech16k(1_000))).toBe(-1);
    expect(bench.uplink.stats).toMatchObject({ frames: 50, filledMs: 0, late: 0 });
  });

  it.each([10, 30, 40, 60])('takes packets of %d ms', (ptimeMs) => {
    const samples = speech16k(6_000);
    const random = seededRandom(ptimeMs);
    const bench = wideband();
    const delayMs = (i: number): number => Math.min(i, random() * 15);
    bench.run(6_000 - ptimeMs, arrivalsOf(l16(samples, { ptimeMs }), { ptimeMs, delayMs }).slice(0, -1));
    const audio = bench.audio();
    expect(firstDifference(audio, samples.subarray(0, audio.length))).toBe(-1);
    expect(audio.length).toBeGreaterThanOrEqual(16 * (6_000 - 20 - ptimeMs));
    expect(bench.uplink.stats).toMatchObject({ filledMs: 0, late: 0 });
  });

  it.each([1, 2, 3])('fills exactly the place of %d lost packets', (lost) => {
    const samples = speech16k(2_000);
    const bench = wideband();
    const arrivals = arrivalsOf(l16(samples));
    arrivals.splice(50, lost);
    bench.run(1_999, arrivals);
    const audio = bench.audio();
    expect(audio.length).toBe(samples.length);
    const [lostAt, heardAt] = [50 * 320, (50 + lost) * 320 + 16 * 13];
    expect(firstDifference(audio.subarray(0, lostAt), samples.subarray(0, lostAt))).toBe(-1);
    expect(firstDifference(audio.subarray(heardAt), samples.subarray(heardAt))).toBe(-1);
    expect(steepest(audio)).toBeLessThan(1.2 * steepest(samples));
    expect(bench.uplink.stats).toMatchObject({ frames: 100, filledMs: lost * 20, late: 0 });
  });

  it.each([0, 4, 9, 14, 19])('sends a talkspurt after a pause at once (tick at %d)', (phaseMs) => {
    const bench = new UplinkBench(phaseMs);
    bench.uplink.encoding = 'L16';
    const talk = arrivalsOf(l16(speech16k(10_000)), { delayMs: (i) => (i * 3) % 10 });
    bench.run(9_999, [...talk.slice(0, 100), ...talk.slice(250)]);
    expect(bench.framesAtArrival[100]).toBeGreaterThanOrEqual(1);
    const atMs = talk[250]?.atMs;
    const sentThen = bench.frames.filter((frame) => frame.atMs === atMs);
    expect(isSilent(sentThen.at(-1)?.samples ?? new Int16Array(1))).toBe(false);
    expectLive(bench.framesAtArrival.slice(101));
    expect(bench.largestBurst).toBeLessThanOrEqual(5);
    expect(bench.longestGapMs).toBeLessThanOrEqual(100);
    expect(bench.uplink.stats.late).toBe(0);
  });

  it('loses nothing of a talkspurt whose timestamps are off the grid', () => {
    const bench = wideband();
    const before = arrivalsOf(l16(speech16k(1_000), { firstTimestamp: 0 }));
    const talk = speech16k(1_000);
    const after = arrivalsOf(l16(talk, { firstTimestamp: 3_000 * 16 + 77, firstSequence: 50 }), { startMs: 3_009 });
    bench.run(4_000, [...before, ...after]);
    expectLive(bench.framesAtArrival.slice(51));
    expect(firstDifference(bench.audio(bench.frames.length - 50), talk)).toBe(-1);
  });

  it('stays in step with time over ten minutes of talkspurts and pauses', () => {
    const random = seededRandom(12);
    const packets = l16(new Int16Array(320 * 30_000).fill(100));
    let talking = false;
    let untilPacket = 0;
    const arrivals = arrivalsOf(packets, { delayMs: () => random() * 15 }).filter((_, i) => {
      if (i === untilPacket) {
        talking = !talking;
        untilPacket += 20 + Math.floor(random() * 200);
      }
      return talking;
    });
    const bench = wideband();
    bench.run(599_980, arrivals);
    expect(Math.abs(bench.frames.length - 30_000)).toBeLessThanOrEqual(5);
    expect(bench.uplink.stats.late).toBe(0);
    expect(bench.largestBurst).toBeLessThanOrEqual(5);
    expect(bench.longestGapMs).toBeLessThanOrEqual(100);
  });

  it('leaves out half a sample at the end of a payload', () => {
    const bench = wideband();
    for (const packet of l16(speech16k(20))) bench.receive({ ...packet, payloadLength: 639 });
    expect(bench.frames).toEqual([]); // 319 samples
    bench.run(100);
    expect(firstDifference(bench.audio().subarray(0, 319), speech16k(20).subarray(0, 319))).toBe(-1);
  });

  it('ignores payloads without a sample and those of more than 200 ms', () => {
    const bench = wideband();
    const [packet] = l16(speech16k(300), { ptimeMs: 300 });
    if (!packet) throw new Error('no packet');
    for (const payloadLength of [0, 1, 6_402, 9_600]) bench.receive({ ...packet, payloadLength });
    expect(bench.frames).toEqual([]);
    bench.receive({ ...packet, payloadLength: 6_400 });
    expect(bench.frames).toHaveLength(10);
  });
});

describe('Uplink, another encoding in the middle of a call', () => {
  it.each([
    { from: 'PCMU', to: 'L16' },
    { from: 'L16', to: 'PCMU' },
    { from: 'PCMU', to: 'PCMA' },
  ] as const)('from $from to $to: live at once, nothing of the old in the new', ({ from, to }) => {
    const bench = new UplinkBench();
    bench.uplink.encoding = from;
    const before = packetsOf(speech(1_000, 440, RATE_HZ[from]), { encoding: from });
    bench.run(990, arrivalsOf(before, { ptimeMs: 20 }));
    bench.uplink.encoding = to;
    const samples = speech(1_000, 1_000, RATE_HZ[to]);
    // Another sender; its timestamps have nothing to do with the old ones.
    const after = packetsOf(samples, { encoding: to, ssrc: 9, firstTimestamp: 123 });
    bench.run(1_990, arrivalsOf(after, { startMs: 1_003 }));
    expectLive(bench.framesAtArrival);
    expect(bench.frames).toHaveLength(100);
    expect(firstDifference(bench.audio(50), expectedAudio(samples, to))).toBe(-1);
    expect(bench.uplink.stats).toMatchObject({ late: 0, filledMs: 0 });
  });

  it('keeps the agent fed when the new stream takes its time', () => {
    const bench = new UplinkBench();
    bench.run(990, arrivalsOf(packetsOf(speech(1_000))));
    bench.uplink.encoding = 'L16';
    const samples = speech16k(1_000);
    const after = packetsOf(samples, { encoding: 'L16', ssrc: 9, firstTimestamp: 7 });
    bench.run(3_400, arrivalsOf(after, { startMs: 2_411 }));
    expect(bench.longestGapMs).toBeLessThanOrEqual(100);
    expect(bench.largestBurst).toBeLessThanOrEqual(5);
    expectLive(bench.framesAtArrival.slice(51));
    expect(firstDifference(bench.audio(bench.frames.length - 50), samples)).toBe(-1);
    expect(bench.uplink.stats.late).toBe(0);
  });

  it('ends a frame begun in the old one', () => {
    const bench = new UplinkBench();
    for (const packet of packetsOf(speech(10), { ptimeMs: 10 })) bench.receive(packet);
    expect(bench.frames).toEqual([]);
    bench.uplink.encoding = 'L16';
    for (const packet of packetsOf(speech16k(20), { encoding: 'L16' })) bench.receive(packet);
    expect(firstDifference(bench.audio().subarray(320), speech16k(20))).toBe(-1);
  });

  it('named again is no change', () => {
    const bench = new UplinkBench();
    const samples = speech(400);
    const arrivals = arrivalsOf(packetsOf(samples, { ptimeMs: 10 }), { ptimeMs: 10 });
    for (const { atMs, packet } of arrivals) {
      bench.run(atMs, [{ atMs, packet }]);
      bench.uplink.encoding = 'PCMU';
    }
    expect(firstDifference(bench.audio(), expectedAudio(samples))).toBe(-1);
  });
});
