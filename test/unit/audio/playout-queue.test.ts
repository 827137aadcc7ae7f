import { describe, expect, it } from 'vitest';
import { PlayoutQueue } from '../../../src/audio/playout-queue.js';
import { seededRandom } from '../../support/signal.js';

const FRAME = 320;

function newQueue(maxMs = 120_000): PlayoutQueue {
  return new PlayoutQueue({ rateHz: 16_000, bytesPerSample: 2, maxMs });
}

/** Samples 1, 2, 3, … as little-endian bytes, in a buffer of their own. */
function countingBytes(samples: number, first = 1): Uint8Array {
  const bytes = new Uint8Array(2 * samples);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < samples; i++) view.setInt16(2 * i, ((first + i) << 16) >> 16, true);
  return bytes;
}

function readAll(queue: PlayoutQueue, frame = FRAME): number[] {
  const output = new Int16Array(frame);
  const all: number[] = [];
  for (let count = queue.readSamples(output, frame); count > 0; count = queue.readSamples(output, frame)) {
    all.push(...output.subarray(0, count));
  }
  return all;
}

const counting = (samples: number): number[] => Array.from({ length: samples }, (_, i) => ((1 + i) << 16) >> 16);

describe('PlayoutQueue', () => {
  it.each([1, 3, 639, 640, 641, 2048, 2049, 3201, 64_000])(
    'gives every sample once, in order, from chunks of %d bytes',
    (size) => {
      const queue = newQueue();
      const bytes = countingBytes(50_000);
      for (let at = 0; at < bytes.length; at += size) queue.push(bytes.slice(at, at + size));
      expect(queue.overflowedMs).toBe(0);
      expect(queue.queuedMs).toBe(50_000 / 16);
      expect(readAll(queue)).toEqual(counting(50_000));
      expect(queue.isEmpty).toBe(true);
    },
  );

  it('survives chunks of any size read while they come', () => {
    const random = seededRandom(7);
    const queue = newQueue();
    const bytes = countingBytes(200_000);
    const heard: number[] = [];
    const output = new Int16Array(FRAME);
    for (let at = 0; at < bytes.length;) {
      const size = 1 + Math.floor(random() ** 4 * 70_000);
      queue.push(bytes.slice(at, at + size));
      at += size;
      for (let frames = Math.floor(random() * 40); frames > 0; frames--) {
        heard.push(...output.subarray(0, queue.readSamples(output, 1 + Math.floor(random() * FRAME))));
      }
    }
    heard.push(...readAll(queue));
    expect(heard).toEqual(counting(200_000));
  });

  it('reads chunks that start at an odd address', () => {
    const queue = newQueue();
    const padded = new Uint8Array(8001);
    padded.set(countingBytes(4000), 1);
    queue.push(padded.subarray(1));
    expect(readAll(queue)).toEqual(counting(4000));
  });

  it('keeps no long buffer alive for a short slice of it', () => {
    const queue = newQueue();
    const long = new Uint8Array(64 * 1024);
    queue.push(long.subarray(0, 4000));
    long.fill(1);
    expect(readAll(queue).every((sample) => sample === 0)).toBe(true);
  });

  it('holds a million chunks of a byte in little more than their bytes', () => {
    const queue = newQueue();
    const chunks = [Uint8Array.of(1), Uint8Array.of(0)];
    const before = process.memoryUsage();
    for (let i = 0; i < 1_000_000; i++) queue.push(chunks[i % 2] ?? new Uint8Array());
    const after = process.memoryUsage();
    expect(queue.queuedMs).toBe(500_000 / 16);
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(8_000_000);
    expect(readAll(queue, 4096).every((sample) => sample === 1)).toBe(true);
  });

  it('takes an utterance of 60 s in one chunk, reading it at a steady cost', () => {
    const queue = newQueue();
    queue.push(new Uint8Array(60 * 32_000));
    expect(queue.queuedMs).toBe(60_000);
    const output = new Int16Array(FRAME);
    let frames = 0;
    while (queue.readSamples(output, FRAME) === FRAME) frames++;
    expect(frames).toBe(3000);
  });

  it('gives what there is and leaves the rest of the output alone', () => {
    const queue = newQueue();
    queue.push(countingBytes(3));
    const output = new Int16Array(5).fill(-1);
    expect(queue.readSamples(output, 5)).toBe(3);
    expect([...output]).toEqual([1, 2, 3, -1, -1]);
    expect(queue.readSamples(output, 5)).toBe(0);
  });

  it('gives nothing of a sample whose second byte has not come', () => {
    const queue = newQueue();
    queue.push(Uint8Array.of(0x34));
    expect(queue.isEmpty).toBe(true);
    expect(readAll(queue)).toEqual([]);
    queue.push(Uint8Array.of(0x12));
    expect(readAll(queue)).toEqual([0x1234]);
    queue.push(new Uint8Array());
    expect(readAll(queue)).toEqual([]);
  });

  it('drops the odd byte when the connection changes', () => {
    const queue = newQueue();
    queue.push(Uint8Array.of(1, 0, 0x99));
    queue.dropCarry();
    queue.push(Uint8Array.of(2, 0));
    expect(readAll(queue)).toEqual([1, 2]);
  });

  it('refuses the newest whole samples when full, and stays aligned', () => {
    const queue = newQueue(1);
    expect(queue.push(countingBytes(15))).toBe(0);
    // One sample fits, one is refused, and the odd byte belongs to a sample still to come.
    expect(queue.push(Uint8Array.of(16, 0, 17, 0, 18))).toBe(2);
    expect(queue.queuedMs).toBe(1);
    expect(queue.overflowedMs).toBe(1 / 16);
    expect(readAll(queue)).toEqual(counting(16));
    expect(queue.push(Uint8Array.of(0, 19, 0))).toBe(0);
    expect(readAll(queue)).toEqual([18, 19]);
    expect(queue.push(new Uint8Array(40))).toBe(8);
    expect(queue.overflowedMs).toBe(5 / 16);
  });

  it('empties at an interruption, odd byte and marks included', () => {
    const queue = newQueue();
    queue.push(countingBytes(1600));
    queue.pushMark('said');
    queue.push(Uint8Array.of(0x77));
    expect(queue.clear()).toEqual({ discardedMs: 100, marks: ['said'] });
    expect(queue.isEmpty).toBe(true);
    expect(queue.takeMarks()).toEqual([]);
    queue.push(Uint8Array.of(5, 0));
    expect(readAll(queue)).toEqual([5]);
    expect(queue.clear()).toEqual({ discardedMs: 0, marks: [] });
  });

  it('gives marks when playback has reached their place, in order', () => {
    const queue = newQueue();
    const output = new Int16Array(FRAME);
    queue.pushMark('at once');
    expect(queue.takeMarks()).toEqual(['at once']);
    queue.push(countingBytes(320));
    queue.pushMark('first');
    queue.pushMark('second');
    queue.push(countingBytes(320));
    queue.pushMark('third');
    queue.readSamples(output, 319);
    expect(queue.takeMarks()).toEqual([]);
    queue.readSamples(output, 1);
    expect(queue.takeMarks()).toEqual(['first', 'second']);
    expect(queue.takeMarks()).toEqual([]);
    queue.readSamples(output, 320);
    expect(queue.takeMarks()).toEqual(['third']);
  });

  it('bounds the marks a peer can make it keep', () => {
    const queue = newQueue();
    const taken = Array.from({ length: 1200 }, (_, i) => queue.pushMark(String(i))).filter(Boolean).length;
    expect(taken).toBe(1000);
    expect(queue.takeMarks()).toHaveLength(1000);
    expect(queue.pushMark('again')).toBe(true);
  });

  it('passes G.711 through byte for byte', () => {
    const queue = new PlayoutQueue({ rateHz: 8000, bytesPerSample: 1, maxMs: 1000 });
    expect(queue.push(Uint8Array.of(1, 2, 3))).toBe(0);
    expect(queue.queuedMs).toBe(3 / 8);
    const output = new Uint8Array(4);
    expect(queue.readBytes(output, 2)).toBe(2);
    expect(queue.readBytes(output, 4)).toBe(1);
    expect([...output]).toEqual([3, 2, 0, 0]);
  });
});
