import { describe, expect, it } from 'vitest';
import { UplinkAudit } from '../../../src/simulator/uplink-audit.js';

/** Runs a stream past the auditor and returns the kinds it complained about, in order. */
function audit(run: (audit: UplinkAudit) => void): string[] {
  const kinds: string[] = [];
  run(new UplinkAudit(({ kind }) => kinds.push(kind), 640));
  return kinds;
}

function stream(auditor: UplinkAudit, arrivalsMs: readonly number[]): void {
  for (const atMs of arrivalsMs) auditor.audio(640, atMs);
}

const every20Ms = (count: number, fromMs = 0): number[] => Array.from({ length: count }, (_, i) => fromMs + i * 20);

describe('UplinkAudit', () => {
  it('is content with 20 ms frames, jittered and paused up to 100 ms', () => {
    const kinds = audit((auditor) => {
      auditor.start(0);
      stream(auditor, [0, 20, 40, 140, 140, 140, 140, 141, 160, 185, 200]);
      auditor.end(290);
    });
    expect(kinds).toEqual([]);
  });

  it('wants silence before the start, once a frame', () => {
    const kinds = audit((auditor) => {
      auditor.audio(640, 0);
      auditor.audio(640, 20);
      auditor.start(30);
      auditor.audio(640, 40);
    });
    expect(kinds).toEqual(['audio-before-start', 'audio-before-start']);
  });

  it('wants whole frames', () => {
    const kinds = audit((auditor) => {
      auditor.start(0);
      [641, 320, 0, 1].forEach((length, index) => auditor.audio(length, index * 20));
    });
    expect(kinds).toEqual(['odd-length', 'frame-size', 'frame-size', 'odd-length']);
  });

  it('notices 6 frames within 5 ms, once', () => {
    const kinds = audit((auditor) => {
      auditor.start(0);
      stream(auditor, [0, 90, 90, 90, 90, 91, 92, 92, 93, 120, 140]);
    });
    expect(kinds).toEqual(['burst']);
  });

  it('lets 5 frames at once pass', () =>
    expect(
      audit((auditor) => {
        auditor.start(0);
        stream(auditor, [0, 90, 90, 90, 90, 90, 95]);
      }),
    ).toEqual([]));

  it('notices 16 frames within 100 ms, and the next burst again', () => {
    const crowded = Array.from({ length: 16 }, (_, i) => i * 6.6);
    const kinds = audit((auditor) => {
      auditor.start(0);
      stream(auditor, [...crowded, ...every20Ms(20, 120), ...crowded.map((atMs) => atMs + 530)]);
    });
    expect(kinds).toEqual(['burst', 'burst']);
  });

  it('does not blame the client for what its own thread came late to', () => {
    const kinds: string[] = [];
    const stalledMs = (sinceMs: number, untilMs: number): number =>
      Math.max(0, Math.min(untilMs, 200) - Math.max(sinceMs, 40));
    const auditor = new UplinkAudit(({ kind }) => kinds.push(kind), 640, stalledMs);
    auditor.start(0);
    stream(auditor, [0, 20, 40, 200, 200, 200, 200, 200, 200, 200, 220, 240]);
    expect(kinds).toEqual([]);
    stream(auditor, [480, 500, 500, 500, 500, 500, 500]);
    expect(kinds).toEqual(['gap', 'burst']);
  });

  it('notices gaps between frames and before the end', () => {
    const kinds = audit((auditor) => {
      auditor.start(0);
      stream(auditor, [0, 20, 121, 141]);
      auditor.end(242);
      auditor.end(9_999);
    });
    expect(kinds).toEqual(['gap', 'gap']);
  });

  it('notices a client that never speaks', () => {
    const silentFor = (ms: number): string[] =>
      audit((auditor) => {
        auditor.start(0);
        auditor.end(ms);
      });
    expect(silentFor(1_000)).toEqual([]);
    expect(silentFor(1_001)).toEqual(['no-audio']);
    expect(audit((auditor) => auditor.end(60_000))).toEqual([]);
  });

  it('expects nothing of a client it has said goodbye to', () => {
    const kinds = audit((auditor) => {
      auditor.start(0);
      stream(auditor, [0]);
      auditor.end(20);
      auditor.audio(3, 500);
    });
    expect(kinds).toEqual([]);
  });
});
