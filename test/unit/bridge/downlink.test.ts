import { describe, expect, it } from 'vitest';
import { decodeG711, encodeG711, G711_SILENCE, type G711Law } from '../../../src/audio/g711.js';
import { Downsampler2x } from '../../../src/audio/resampler.js';
import { Downlink, MAX_QUEUED_MS } from '../../../src/bridge/downlink/downlink.js';
import { fitSine, seededRandom, tone } from '../../support/signal.js';

const PAYLOAD_BYTES = 160;

const speech = (durationMs: number, frequencyHz = 1_004): Int16Array =>
  tone({ rateHz: 16_000, frequencyHz, levelDbm0: -10, durationMs });

/** The same, its last 5 ms silent: what ends so is not faded out. */
function utterance(durationMs: number, frequencyHz = 1_004): Int16Array {
  const samples = speech(durationMs, frequencyHz);
  return samples.fill(0, samples.length - 80);
}

/** An interruption is a fade of 5 ms; the resampler's answer to it takes as long again. */
const FADE_8K = 80;

const bytesOf = (samples: Int16Array): Uint8Array => new Uint8Array(samples.slice().buffer);

/** What the caller must hear of `samples` (16 kHz): all of it resampled at once, to the end of the last frame played. */
function expectedPayloads(samples: Int16Array, frames: number, law: G711Law = 'mulaw'): Uint8Array {
  const padded = new Int16Array(frames * 320);
  padded.set(samples.subarray(0, padded.length));
  const output = new Int16Array(frames * 160);
  new Downsampler2x().process(padded, 0, padded.length, output, 0);
  const payloads = new Uint8Array(output.length);
  encodeG711(law, output, 0, output.length, payloads, 0);
  return payloads;
}

/** Plays `frames` ticks. */
function play(downlink: Downlink, frames: number): { payloads: Uint8Array; speech: boolean[] } {
  const payloads = new Uint8Array(frames * PAYLOAD_BYTES);
  const carried: boolean[] = [];
  for (let i = 0; i < frames; i++) carried.push(downlink.nextPayload(payloads, i * PAYLOAD_BYTES));
  return { payloads, speech: carried };
}

const isSilence = (payloads: Uint8Array, law: G711Law = 'mulaw'): boolean =>
  payloads.every((codeWord) => codeWord === G711_SILENCE[law]);

describe('Downlink, playing', () => {
  it.each(['mulaw', 'alaw'] as const)('plays silence in %s when there is nothing to say', (law) => {
    const downlink = new Downlink();
    downlink.encoding = law === 'alaw' ? 'PCMA' : 'PCMU';
    const { payloads, speech: carried } = play(downlink, 100);
    expect(isSilence(payloads, law)).toBe(true);
    expect(carried.every((each) => !each)).toBe(true);
  });

  it('writes its 160 bytes at the offset and no others', () => {
    const downlink = new Downlink();
    downlink.push(bytesOf(speech(100)));
    const packet = new Uint8Array(12 + PAYLOAD_BYTES + 3).fill(0xaa);
    downlink.nextPayload(packet, 12);
    expect([...packet.subarray(0, 12), ...packet.subarray(-3)].every((byte) => byte === 0xaa)).toBe(true);
    expect(packet.subarray(12, -3)).toEqual(expectedPayloads(speech(20), 1));
  });

  it.each([1, 2, 639, 640, 641, 3_201, 64_000])('plays chunks of %d bytes without losing a sample', (chunkBytes) => {
    const samples = utterance(4_000);
    const bytes = bytesOf(samples);
    const downlink = new Downlink();
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      expect(downlink.push(bytes.slice(at, at + chunkBytes))).toBe(0);
    }
    const { payloads, speech: carried } = play(downlink, 210);
    expect(Buffer.compare(payloads, expectedPayloads(samples, 210))).toBe(0);
    expect(carried.lastIndexOf(true)).toBe(199);
    expect(downlink.stats).toMatchObject({
      receivedMs: 4_000,
      playedMs: 4_000,
      discardedMs: 0,
      overflowedMs: 0,
      queuedMs: 0,
    });
    expect(downlink.isEmpty).toBe(true);
  });

  it('plays an utterance that comes in pieces of any size, a little ahead of its time', () => {
    const samples = utterance(20_000);
    const bytes = bytesOf(samples);
    const random = seededRandom(2);
    const downlink = new Downlink();
    const payloads = new Uint8Array(1_001 * PAYLOAD_BYTES);
    let pushed = 0;
    for (let i = 0; i < 1_001; i++) {
      while (pushed < Math.min(bytes.length, (i + 2) * 640)) {
        const length = 1 + Math.floor(random() * 700);
        downlink.push(bytes.slice(pushed, pushed + length));
        pushed += length;
      }
      downlink.nextPayload(payloads, i * PAYLOAD_BYTES);
    }
    expect(Buffer.compare(payloads, expectedPayloads(samples, 1_001))).toBe(0);
  });

  it('plays an utterance of 60 s pushed at once, at the quality of G.711', () => {
    const samples = speech(60_000);
    const downlink = new Downlink();
    expect(downlink.push(bytesOf(samples))).toBe(0);
    expect(downlink.stats.queuedMs).toBe(60_000);
    const { payloads } = play(downlink, 3_000);
    expect(Buffer.compare(payloads, expectedPayloads(samples, 3_000))).toBe(0);
    expect(downlink.stats.playedMs).toBe(60_000);
    const heard = decoded(payloads.subarray(8_000, 16_000));
    const { snrDb, levelDbm0 } = fitSine(heard, 8_000, 1_004);
    expect(snrDb).toBeGreaterThan(36);
    expect(Math.abs(levelDbm0 + 10)).toBeLessThan(0.3);
  });

  it('starts at the next tick when a whole frame is there', () => {
    const downlink = new Downlink();
    downlink.push(bytesOf(speech(20)));
    expect(play(downlink, 1).speech).toEqual([true]);
  });

  it('waits one tick for the rest of a first fragment, no longer', () => {
    const downlink = new Downlink();
    downlink.push(bytesOf(speech(5)));
    const first = play(downlink, 1);
    expect(first.speech).toEqual([false]);
    expect(isSilence(first.payloads)).toBe(true);
    expect(play(downlink, 1).speech).toEqual([true]);
    expect(downlink.isEmpty).toBe(true);
  });

  it('plays the tail of an utterance to its last sample, also what is still in the resampler', () => {
    const samples = utterance(53); // two frames and a bit
    const downlink = new Downlink();
    downlink.push(bytesOf(samples));
    const { payloads, speech: carried } = play(downlink, 6);
    expect(carried).toEqual([true, true, true, false, false, false]);
    expect(Buffer.compare(payloads, expectedPayloads(samples, 6))).toBe(0);
    expect(isSilence(payloads.subarray(5 * PAYLOAD_BYTES))).toBe(true);
  });

  it('begins an utterance after a pause as if nothing had been said before', () => {
    const downlink = new Downlink();
    downlink.push(bytesOf(utterance(100, 440)));
    play(downlink, 30);
    downlink.push(bytesOf(speech(100)));
    expect(Buffer.compare(play(downlink, 5).payloads, expectedPayloads(speech(100), 5))).toBe(0);
  });

  it('refuses the newest of what is beyond two minutes, and counts it', () => {
    const downlink = new Downlink();
    const samples = speech(MAX_QUEUED_MS);
    expect(downlink.push(bytesOf(samples))).toBe(0);
    expect(downlink.push(bytesOf(speech(1_000, 440)))).toBe(32_000);
    expect(downlink.stats).toMatchObject({ overflowedMs: 1_000, queuedMs: MAX_QUEUED_MS });
    const { payloads } = play(downlink, MAX_QUEUED_MS / 20);
    expect(Buffer.compare(payloads, expectedPayloads(samples, MAX_QUEUED_MS / 20))).toBe(0);
    expect(downlink.push(bytesOf(speech(20)))).toBe(0);
  });
});

describe('Downlink, interrupted', () => {
  it('fades within the next payload, and is then digital silence', () => {
    const downlink = new Downlink();
    downlink.push(bytesOf(speech(5_000)));
    const before = decoded(play(downlink, 50).payloads);
    downlink.interrupt(1_000);
    const { payloads, speech: carried } = play(downlink, 50);
    expect(isSilence(payloads.subarray(FADE_8K))).toBe(true);
    const fade = decoded(payloads.subarray(0, FADE_8K));
    // It goes on where it was, and no step is steeper than the tone's own.
    expect(fade.some((sample) => Math.abs(sample) > 3_000)).toBe(true);
    expect(steepest([...before.subarray(-80), ...fade])).toBeLessThanOrEqual(steepest(before));
    expect(carried.every((each) => !each)).toBe(true);
    expect(downlink.isEmpty).toBe(true);
  });

  it('leaves nothing of the old speech in the tail either', () => {
    const downlink = new Downlink();
    downlink.push(bytesOf(speech(50)));
    play(downlink, 3); // all of it played but for what the resampler holds
    downlink.interrupt(1_000);
    expect(isSilence(play(downlink, 3).payloads)).toBe(true);
  });

  it('plays new speech right behind it from its first sample, with nothing of the old', () => {
    const downlink = new Downlink();
    downlink.push(bytesOf(speech(5_000, 440)));
    downlink.push(Uint8Array.of(0x55)); // half a sample: it must not shift what follows
    play(downlink, 33);
    downlink.interrupt(1_000);
    const answer = utterance(400);
    downlink.push(bytesOf(answer));
    const { payloads, speech: carried } = play(downlink, 23);
    expect(carried.indexOf(false)).toBe(20);
    expect(Buffer.compare(payloads.subarray(FADE_8K), expectedPayloads(answer, 23).subarray(FADE_8K))).toBe(0);
    const [heard, expected] = [decoded(payloads), decoded(expectedPayloads(answer, 23))];
    expect(steepest(heard)).toBeLessThan(1.2 * steepest(expected));
  });

  it('changes nothing of an utterance that had just been played to its end, nor of the next', () => {
    const downlink = new Downlink();
    const [said, answer] = [utterance(100), utterance(200, 440)];
    downlink.push(bytesOf(said));
    const before = play(downlink, 5).payloads;
    downlink.interrupt(1_000);
    const between = play(downlink, 5).payloads;
    expect(Buffer.compare(Buffer.concat([before, between]), expectedPayloads(said, 10))).toBe(0);
    downlink.push(bytesOf(answer));
    expect(Buffer.compare(play(downlink, 12).payloads, expectedPayloads(answer, 12))).toBe(0);
  });

  it('waits for a whole frame of new speech again', () => {
    const downlink = new Downlink();
    downlink.push(bytesOf(speech(1_000)));
    play(downlink, 3);
    downlink.interrupt(1_000);
    downlink.push(bytesOf(speech(5)));
    expect(play(downlink, 2).speech).toEqual([false, true]);
  });

  it('reports once what it discarded and how long it took', () => {
    const downlink = new Downlink();
    downlink.push(bytesOf(speech(1_010)));
    play(downlink, 10);
    downlink.interrupt(5_000.5);
    expect(play(downlink, 1).speech).toEqual([false]);
    expect(downlink.takeInterruption(5_013)).toEqual({ reactionMs: 12.5, discardedMs: 810 });
    expect(downlink.takeInterruption(5_033)).toBeUndefined();
    expect(downlink.stats).toMatchObject({ receivedMs: 1_010, playedMs: 200, discardedMs: 810, queuedMs: 0 });
  });

  it('takes two interruptions before a tick as one, reckoned from the first', () => {
    const downlink = new Downlink();
    downlink.push(bytesOf(speech(100)));
    downlink.interrupt(1_000);
    downlink.push(bytesOf(speech(60)));
    downlink.interrupt(1_008);
    expect(downlink.takeInterruption(1_020)).toEqual({ reactionMs: 20, discardedMs: 160 });
    expect(downlink.stats.discardedMs).toBe(160);
  });

  it('forgets half a sample when a new connection begins', () => {
    const downlink = new Downlink();
    downlink.push(Uint8Array.of(0x55));
    downlink.dropCarry();
    downlink.push(bytesOf(speech(100)));
    expect(Buffer.compare(play(downlink, 5).payloads, expectedPayloads(speech(100), 5))).toBe(0);
  });
});

const steepest = (samples: ArrayLike<number>): number =>
  Math.max(
    ...Array.from({ length: samples.length - 1 }, (_, i) => Math.abs((samples[i + 1] ?? 0) - (samples[i] ?? 0))),
  );

function decoded(payloads: Uint8Array): Int16Array {
  const samples = new Int16Array(payloads.length);
  decodeG711('mulaw', payloads, 0, payloads.length, samples, 0);
  return samples;
}

describe('Downlink, L16', () => {
  const L16_BYTES = 640;

  function wideband(): Downlink {
    const downlink = new Downlink();
    downlink.encoding = 'L16';
    return downlink;
  }

  /** Plays `frames` ticks; the samples they carry. */
  function playL16(downlink: Downlink, frames: number): { samples: Int16Array; speech: boolean[] } {
    const bytes = Buffer.alloc(frames * L16_BYTES);
    const carried = Array.from({ length: frames }, (_, i) => downlink.nextPayload(bytes, i * L16_BYTES));
    // Network byte order.
    return {
      samples: Int16Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readInt16BE(2 * i)),
      speech: carried,
    };
  }

  it('says how long its payload is and what it counts', () => {
    const downlink = new Downlink();
    expect(downlink.frame).toMatchObject({ unitsPerFrame: 160, payloadBytes: 160 });
    downlink.encoding = 'L16';
    expect(downlink.frame).toMatchObject({ unitsPerFrame: 320, payloadBytes: 640 });
    downlink.encoding = 'PCMA';
    expect(downlink.frame).toMatchObject({ unitsPerFrame: 160, payloadBytes: 160 });
  });

  it.each([1, 639, 641, 3_201, 64_000])('plays chunks of %d bytes to the sample, then zeros', (chunkBytes) => {
    const samples = utterance(4_000);
    const bytes = bytesOf(samples);
    const downlink = wideband();
    for (let at = 0; at < bytes.length; at += chunkBytes) downlink.push(bytes.slice(at, at + chunkBytes));
    const { samples: heard, speech: carried } = playL16(downlink, 210);
    const padded = new Int16Array(210 * 320);
    padded.set(samples);
    expect(heard.findIndex((sample, i) => sample !== padded[i])).toBe(-1);
    expect(carried.lastIndexOf(true)).toBe(199);
    expect(downlink.stats.playedMs).toBe(4_000);
  });

  it('writes its 640 bytes at the offset and no others', () => {
    const downlink = wideband();
    downlink.push(bytesOf(speech(100)));
    const packet = new Uint8Array(12 + L16_BYTES + 3).fill(0xaa);
    downlink.nextPayload(packet, 12);
    expect([...packet.subarray(0, 12), ...packet.subarray(-3)].every((byte) => byte === 0xaa)).toBe(true);
  });

  it('plays an utterance to its last sample, the part of a frame included', () => {
    const samples = utterance(53);
    const downlink = wideband();
    downlink.push(bytesOf(samples));
    const { samples: heard, speech: carried } = playL16(downlink, 5);
    expect(carried).toEqual([true, true, true, false, false]);
    expect([...heard.subarray(0, samples.length)]).toEqual([...samples]);
    expect(heard.subarray(samples.length).every((sample) => sample === 0)).toBe(true);
  });

  it('fades in 5 ms of the tick after an interruption, to zeros', () => {
    const downlink = wideband();
    downlink.push(bytesOf(speech(1_000)));
    expect(playL16(downlink, 5).speech).toEqual([true, true, true, true, true]);
    downlink.interrupt(1_000);
    const { samples } = playL16(downlink, 10);
    expect(samples.subarray(0, 40).some((sample) => Math.abs(sample) > 3_000)).toBe(true);
    expect(samples.subarray(80).every((sample) => sample === 0)).toBe(true);
    expect(downlink.takeInterruption(1_010)).toEqual({ reactionMs: 10, discardedMs: 900 });
  });
});

describe('Downlink, another encoding in the middle of speech', () => {
  const tick = (downlink: Downlink): Buffer => {
    const payload = Buffer.alloc(downlink.frame.payloadBytes);
    downlink.nextPayload(payload, 0);
    return payload;
  };
  const pcmOf = (payload: Buffer): number[] =>
    Array.from({ length: payload.length / 2 }, (_, i) => payload.readInt16BE(2 * i));

  it('goes on with the next sample', () => {
    const samples = speech(400);
    const downlink = new Downlink();
    downlink.push(bytesOf(samples));
    for (let i = 0; i < 5; i++) expect(tick(downlink)).toHaveLength(160);
    downlink.encoding = 'L16';
    const wide = Array.from({ length: 5 }, () => pcmOf(tick(downlink))).flat();
    expect(wide).toEqual([...samples.subarray(5 * 320, 10 * 320)]);
    downlink.encoding = 'PCMA';
    const narrow = Buffer.concat(Array.from({ length: 10 }, () => tick(downlink)));
    // As a stream that begins there: the old one's end is not in it.
    expect(Buffer.compare(narrow, expectedPayloads(samples.subarray(10 * 320), 10, 'alaw'))).toBe(0);
  });

  it('named again is no change', () => {
    const samples = speech(200);
    const downlink = new Downlink();
    downlink.push(bytesOf(samples));
    const payloads = Buffer.concat(
      Array.from({ length: 10 }, () => {
        downlink.encoding = 'PCMU';
        return tick(downlink);
      }),
    );
    expect(Buffer.compare(payloads, expectedPayloads(samples, 10))).toBe(0);
  });

  it('between the last word and its tail is silence', () => {
    const downlink = new Downlink();
    downlink.push(bytesOf(speech(40)));
    tick(downlink);
    tick(downlink);
    downlink.encoding = 'L16';
    for (let i = 0; i < 4; i++) expect(pcmOf(tick(downlink)).every((sample) => sample === 0)).toBe(true);
  });
});
