import { describe, expect, it } from 'vitest';
import { decodeG711 } from '../../../src/audio/g711.js';
import { Downlink } from '../../../src/bridge/downlink/downlink.js';
import { fitSine, tone } from '../../support/signal.js';

const HALF_A_SAMPLE = new Uint8Array(1);

const speech = (frequencyHz: number, durationMs: number): Uint8Array =>
  new Uint8Array(tone({ rateHz: 16_000, frequencyHz, levelDbm0: -10, durationMs }).slice().buffer);

/** What `frames` ticks sound like. */
function play(downlink: Downlink, frames: number): Int16Array {
  const payloads = new Uint8Array(frames * 160);
  for (let i = 0; i < frames; i++) downlink.nextPayload(payloads, i * 160);
  const samples = new Int16Array(payloads.length);
  decodeG711('mulaw', payloads, 0, payloads.length, samples, 0);
  return samples;
}

const snrDb = (samples: Int16Array, frequencyHz: number): number =>
  fitSine(samples.subarray(1_600, 3_200), 8_000, frequencyHz).snrDb;

describe('half a sample at the end of an utterance', () => {
  it.each([20, 50, 500])('does not shift what comes after %d frames of nothing', (pauseFrames) => {
    const downlink = new Downlink();
    downlink.push(speech(500, 400));
    downlink.push(HALF_A_SAMPLE);
    play(downlink, 20 + pauseFrames);
    downlink.push(speech(800, 600));
    expect(snrDb(play(downlink, 30), 800)).toBeGreaterThan(35);
  });

  it('does not either while the utterance is still being played', () => {
    const downlink = new Downlink();
    downlink.push(speech(500, 2_000));
    downlink.push(HALF_A_SAMPLE);
    play(downlink, 50);
    downlink.push(speech(800, 600));
    play(downlink, 50);
    expect(snrDb(play(downlink, 30), 800)).toBeGreaterThan(35);
  });

  it.each([0, 1, 5, 19])('is the first half of what comes %d frames later', (pauseFrames) => {
    const downlink = new Downlink();
    const bytes = speech(500, 2_000);
    downlink.push(bytes.slice(0, 641));
    play(downlink, pauseFrames);
    downlink.push(bytes.slice(641));
    expect(snrDb(play(downlink, 50), 500)).toBeGreaterThan(35);
  });

  it('is so however small the pieces are, and however long they take', () => {
    const downlink = new Downlink();
    const bytes = speech(500, 1_000);
    const heard: Int16Array[] = [];
    for (let at = 0; at < bytes.length; at += 641) {
      downlink.push(bytes.slice(at, at + 641));
      heard.push(play(downlink, 1));
    }
    expect(snrDb(Int16Array.from(heard.flatMap((samples) => [...samples])), 500)).toBeGreaterThan(30);
  });
});

it('a greeting waits until it may be played, and is then whole', () => {
  const downlink = new Downlink();
  downlink.push(speech(500, 600));
  const payload = new Uint8Array(160);
  for (let i = 0; i < 25; i++) {
    downlink.wait(payload, 0);
    expect(payload.every((codeWord) => codeWord === 0xff)).toBe(true);
  }
  expect(downlink.stats).toMatchObject({ queuedMs: 600, playedMs: 0, underruns: 0 });
  expect(snrDb(play(downlink, 30), 500)).toBeGreaterThan(35);
});
