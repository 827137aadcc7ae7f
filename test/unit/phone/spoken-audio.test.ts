import { describe, expect, it } from 'vitest';
import { SpokenAudio } from '../../../src/phone/spoken-audio.js';

const numbers = (from: number, count: number): Int16Array => Int16Array.from({ length: count }, (_, n) => from + n);

function take(audio: SpokenAudio, samples = 4): number[] {
  const frame = new Int16Array(samples).fill(-1);
  audio.next(frame);
  return [...frame];
}

describe('SpokenAudio', () => {
  it('is silent when there is nothing to say', () => {
    const audio = new SpokenAudio(100);
    expect(take(audio)).toEqual([0, 0, 0, 0]);
    expect(audio.length).toBe(4);
  });

  it('says one utterance after the other without a gap', async () => {
    const audio = new SpokenAudio(100);
    const spoken: string[] = [];
    const first = audio.play(numbers(1, 6)).then(() => spoken.push('first'));
    const second = audio.play(numbers(7, 3)).then(() => spoken.push('second'));
    expect(take(audio)).toEqual([1, 2, 3, 4]);
    await Promise.resolve();
    expect(spoken).toEqual([]);
    expect(take(audio)).toEqual([5, 6, 7, 8]);
    await first;
    expect(spoken).toEqual(['first']);
    expect(take(audio)).toEqual([9, 0, 0, 0]);
    await second;
    expect([...audio.timeline()]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0]);
  });

  it('says nothing at once when there is nothing in it', async () => {
    const audio = new SpokenAudio(100);
    const spoken = audio.play(new Int16Array(0));
    const next = audio.play(numbers(1, 4));
    expect(take(audio)).toEqual([1, 2, 3, 4]);
    await Promise.all([spoken, next]);
  });

  it('forgets the rest when stopped, and lets nobody wait for it', async () => {
    const audio = new SpokenAudio(100);
    const spoken = audio.play(numbers(1, 100));
    take(audio);
    audio.stop();
    await spoken;
    expect(take(audio)).toEqual([0, 0, 0, 0]);
  });

  it('leaves a hole in the record where time went by without it', () => {
    const audio = new SpokenAudio(100);
    void audio.play(numbers(1, 8));
    take(audio);
    audio.pass(4);
    take(audio);
    expect([...audio.timeline()]).toEqual([1, 2, 3, 4, 0, 0, 0, 0, 5, 6, 7, 8]);
  });

  it('keeps no more than it may', () => {
    const audio = new SpokenAudio(10);
    void audio.play(numbers(1, 16));
    for (let n = 0; n < 4; n++) take(audio);
    expect(audio.length).toBe(16);
    expect(audio.timeline()).toHaveLength(10);
    expect([...audio.timeline().subarray(0, 8)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });
});
