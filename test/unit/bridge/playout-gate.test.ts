import { describe, expect, it } from 'vitest';
import { Downlink } from '../../../src/bridge/downlink/downlink.js';
import { PlayoutGate } from '../../../src/bridge/downlink/playout-gate.js';
import { tone } from '../../support/signal.js';

const FRAME_MS = 20;

/** Ticks a gate over a queue that `arrivalsMs` fill, one entry a tick; P is a tick that plays, - one that does not. */
function ticks(gate: PlayoutGate, arrivalsMs: readonly number[]): string {
  let queuedMs = 0;
  return arrivalsMs
    .map((arrivedMs) => {
      queuedMs += arrivedMs;
      if (!gate.mayPlay(queuedMs)) return '-';
      const playedMs = Math.min(FRAME_MS, queuedMs);
      queuedMs -= playedMs;
      gate.takeResumed();
      gate.played(playedMs, queuedMs);
      return 'P';
    })
    .join('');
}

const none = (count: number): number[] => new Array<number>(count).fill(0);
const frames = (count: number): number[] => new Array<number>(count).fill(FRAME_MS);

describe('PlayoutGate', () => {
  it('plays at once, and what comes in real time without a cushion', () => {
    expect(ticks(new PlayoutGate(200), [...none(2), ...frames(5), 0])).toBe('--PPPPP-');
    expect(ticks(new PlayoutGate(200), [100, ...none(6)])).toBe('PPPPP--');
  });

  it('waits for a whole frame, but a tick at most', () => {
    expect(ticks(new PlayoutGate(200), [5, 15, ...frames(2)])).toBe('-PPP');
    expect(ticks(new PlayoutGate(200), [5, 0, 0])).toBe('-P-');
  });

  it('lets the next beginning wait by as much as was missing, and no more', () => {
    const gate = new PlayoutGate(200);
    expect(ticks(gate, [...frames(3), 0, 0, 0, ...frames(10)])).toBe('PPP------PPPPPPP');
    expect(gate.cushionMs).toBe(80);
    expect(gate.stats).toEqual({ underruns: 1, underrunMs: 120 });
    // All of it is there at once: nothing to wait for.
    ticks(gate, none(40));
    expect(ticks(gate, [200, ...none(10)])).toBe('PPPPPPPPPP-');
  });

  it('keeps the cushion within its limit', () => {
    const gate = new PlayoutGate(60);
    for (let n = 0; n < 10; n++) ticks(gate, [100, ...none(9)]);
    expect(gate.cushionMs).toBe(60);
    expect(ticks(new PlayoutGate(0), [...frames(2), 0, ...frames(3)])).toBe('PP-PPP');
  });

  it('needs less and less of a cushion while speech comes smoothly', () => {
    const gate = new PlayoutGate(200);
    ticks(gate, [...frames(3), ...none(4), ...frames(3), ...none(30)]);
    const before = gate.cushionMs;
    expect(before).toBeGreaterThan(40);
    for (let n = 0; n < 20; n++) ticks(gate, [2_000, ...none(130)]);
    expect(gate.cushionMs).toBe(0);
    expect(gate.stats.underruns).toBe(1);
  });

  it('takes a long pause, an interruption and an end that was told for no gap', () => {
    const gate = new PlayoutGate(200);
    ticks(gate, [...frames(3), ...none(25), ...frames(3)]);
    gate.end();
    ticks(gate, [0, 0, ...frames(3)]);
    expect(gate.stats).toEqual({ underruns: 0, underrunMs: 0 });
    expect(gate.cushionMs).toBe(0);
  });

  it('takes a gap in a pause for none', () => {
    const gate = new PlayoutGate(200);
    expect(gate.mayPlay(20)).toBe(true);
    gate.played(20, 0, true);
    expect(ticks(gate, [0, 0, 20])).toBe('--P');
    expect(gate.stats.underruns).toBe(0);
  });

  it('finds what an agent that never pauses is late by', () => {
    const gate = new PlayoutGate(200);
    ticks(gate, [1_000, ...frames(499)]);
    expect(gate.excessMs).toBe(780);
    // A whole answer that has come at once is no delay.
    const other = new PlayoutGate(200);
    ticks(other, [60_000, ...none(600)]);
    expect(other.excessMs).toBe(0);
  });
});

const bytesOf = (samples: Int16Array): Uint8Array => new Uint8Array(samples.slice().buffer);
const speech = (durationMs: number): Int16Array =>
  tone({ rateHz: 16_000, frequencyHz: 433, levelDbm0: -10, durationMs });
const steepest = (samples: Int16Array): number =>
  samples.reduce((most, sample, i) => Math.max(most, Math.abs(sample - (samples[i - 1] ?? sample))), 0);

describe('Downlink, a gap in the agent’s speech', () => {
  function play(downlink: Downlink, count: number): Int16Array {
    const bytes = Buffer.alloc(count * 640);
    for (let i = 0; i < count; i++) downlink.nextPayload(bytes, i * 640);
    return Int16Array.from({ length: bytes.length / 2 }, (_, n) => bytes.readInt16BE(2 * n));
  }

  it.each([60, 65, 79.5])('fades out and in again after %d ms, and counts it', (beforeMs) => {
    const downlink = new Downlink();
    downlink.encoding = 'L16';
    const samples = speech(400);
    const cut = 16 * beforeMs;
    downlink.push(bytesOf(samples.subarray(0, cut)));
    const first = play(downlink, 7);
    downlink.push(bytesOf(samples.subarray(cut)));
    const second = play(downlink, 20);
    const heard = Int16Array.from([...first, ...second]);
    expect(steepest(heard)).toBeLessThan(1.3 * steepest(samples));
    expect(first.subarray(0, cut)).toEqual(samples.subarray(0, cut));
    expect(first.subarray(cut + 80).every((sample) => sample === 0)).toBe(true);
    // Behind the ramp all of the rest is there, from its first sample.
    const rest = samples.subarray(cut);
    expect(second.subarray(80, 4_000)).toEqual(rest.subarray(80, 4_000));
    expect(downlink.stats.underruns).toBe(1);
    expect(downlink.stats.underrunMs).toBeCloseTo(140 - beforeMs, 0);
    expect(downlink.stats).toMatchObject({ receivedMs: 400, playedMs: 400, queuedMs: 0 });
  });

  it('plays G.711 by the byte but for the first 5 ms after the gap', () => {
    const downlink = new Downlink();
    downlink.format = 'mulaw';
    const bytes = Uint8Array.from({ length: 1_600 }, (_, n) => (n * 37) % 127);
    const heard = new Uint8Array(20 * 160);
    downlink.push(bytes.slice(0, 500));
    for (let i = 0; i < 6; i++) downlink.nextPayload(heard, i * 160);
    downlink.push(bytes.slice(500));
    for (let i = 6; i < 20; i++) downlink.nextPayload(heard, i * 160);
    expect(heard.subarray(0, 500)).toEqual(bytes.subarray(0, 500));
    expect(heard.subarray(6 * 160 + 40, 6 * 160 + 1_100)).toEqual(bytes.subarray(540));
    expect(heard.subarray(500 + 40, 6 * 160).every((codeWord) => codeWord === 0xff)).toBe(true);
  });

  it('comes back to live in the pauses of an agent that never stops sending', () => {
    const downlink = new Downlink({ cushionMs: 200 });
    downlink.encoding = 'L16';
    downlink.push(bytesOf(speech(1_500)));
    const [word, pause] = [bytesOf(speech(500)), new Uint8Array(16_000)];
    const payload = new Uint8Array(640);
    for (let tick = 0; tick < 3_000; tick++) {
      if (tick % 25 === 0) downlink.push(tick % 50 === 0 ? word : pause);
      downlink.nextPayload(payload, 0);
    }
    const { queuedMs, receivedMs, playedMs, discardedMs, underruns } = downlink.stats;
    expect(queuedMs).toBeLessThanOrEqual(200 + 500 + 20);
    expect(playedMs + discardedMs + queuedMs).toBeCloseTo(receivedMs);
    expect(underruns).toBe(0);
  });
});
