import { describe, expect, it } from 'vitest';
import { Downlink } from '../../../src/bridge/downlink/downlink.js';
import { StopGuard } from '../../../src/bridge/downlink/stop-guard.js';

const FRAME_16K_BYTES = 640;
const PCMU_SILENCE = 0xff;

const speech = (ms: number): Buffer => {
  const samples = Int16Array.from({ length: 16 * ms }, (_, n) => Math.round(9_000 * Math.sin(n / 5)));
  return Buffer.from(samples.buffer);
};

/** Plays `frames`, of which the marks are kept, and tells which of them carried speech. */
function play(downlink: Downlink, frames: number, marks: string[] = []): string {
  const payload = Buffer.alloc(160);
  return Array.from({ length: frames }, () => {
    payload.fill(PCMU_SILENCE);
    const isSpeech = downlink.nextPayload(payload, 0);
    marks.push(...downlink.takeMarks());
    return isSpeech ? 'S' : '.';
  }).join('');
}

/** In the middle of a long answer, that has just been stopped. */
function stopped(): Downlink {
  const downlink = new Downlink({ cushionMs: 0, guardsStop: true });
  downlink.push(speech(3_000));
  play(downlink, 25);
  downlink.interrupt(1_000);
  return downlink;
}

describe('speech that arrives right behind "stop"', () => {
  it('is the end of the old answer when little comes and nothing follows', () => {
    const downlink = stopped();
    for (let n = 0; n < 2; n++) downlink.push(speech(40));
    const first = play(downlink, 1);
    for (let n = 0; n < 3; n++) downlink.push(speech(40));
    expect(first + play(downlink, 30)).not.toContain('S');
    expect(downlink.isEmpty).toBe(true);
    expect(downlink.stats.discardedMs).toBe(2_500 + 200);
  });

  it('does not keep the new answer from being played, some hundred ms later', () => {
    const downlink = stopped();
    downlink.push(speech(100));
    play(downlink, 10);
    downlink.push(speech(100));
    expect(play(downlink, 8)).toBe('SSSSS...');
  });

  it.each([1, 2, 3])('is the beginning of the new answer when more follows after %i frames', (after) => {
    const downlink = stopped();
    downlink.push(speech(20));
    expect(play(downlink, 1)).toBe('.');
    if (after > 1) {
      downlink.push(speech(20));
      expect(play(downlink, 1)).toBe('.');
    }
    if (after > 2) expect(play(downlink, 1)).toBe('.');
    downlink.push(speech(20));
    const expected = after === 1 ? 2 : 3;
    // The second of two in the first 20 ms still leaves it open.
    if (after === 1) {
      expect(play(downlink, 1)).toBe('.');
      downlink.push(speech(20));
      expect(play(downlink, 4)).toBe('SSS.');
    } else expect(play(downlink, expected + 1)).toBe(`${'S'.repeat(expected)}.`);
  });

  it('is an answer at once when it is more than a word', () => {
    const downlink = stopped();
    downlink.push(speech(260));
    downlink.push(speech(20));
    expect(play(downlink, 15)).toBe('SSSSSSSSSSSSSS.');
  });

  it('gives back the marks of what it drops', () => {
    const downlink = stopped();
    downlink.push(speech(60));
    downlink.pushMark('said');
    const marks: string[] = [];
    play(downlink, 3, marks);
    expect(marks).toEqual([]);
    play(downlink, 3, marks);
    expect(marks).toEqual(['said']);
  });

  it('is nothing special once 40 ms have passed', () => {
    const downlink = stopped();
    play(downlink, 2);
    downlink.push(speech(40));
    expect(play(downlink, 3)).toBe('SS.');
  });
});

it('plays all that no "stop" came before', () => {
  const guard = new StopGuard();
  guard.pushed(20);
  expect(guard.next(0)).toBe('play');
  expect(FRAME_16K_BYTES).toBe(speech(20).length);
});
