import { describe, expect, it } from 'vitest';
import { Downlink } from '../../../src/bridge/downlink/downlink.js';
import { FRAME_BYTES, type AudioFormat } from '../../../src/pranthora/protocols/protocol.js';
import { seededRandom } from '../../support/signal.js';

const FORMATS = ['pcm16k', 'mulaw', 'alaw'] as const;

function newDownlink(format: AudioFormat): Downlink {
  const downlink = new Downlink();
  downlink.format = format;
  return downlink;
}

/** Speech of `durationMs`, not silence. */
const speech = (format: AudioFormat, durationMs: number): Uint8Array =>
  new Uint8Array((durationMs * FRAME_BYTES[format]) / 20).fill(0x11);

/** One tick: the payload goes to the socket, and these marks have been reached. */
function tick(downlink: Downlink): readonly string[] {
  downlink.nextPayload(new Uint8Array(640), 0);
  return downlink.takeMarks();
}

const ticks = (downlink: Downlink, count: number): (readonly string[])[] =>
  Array.from({ length: count }, () => tick(downlink));

describe.each(FORMATS)('marks in %s', (format) => {
  it('are reached with the payload that carries the last of the speech before them', () => {
    const downlink = newDownlink(format);
    downlink.push(speech(format, 60));
    downlink.pushMark('sixty');
    downlink.push(speech(format, 25));
    downlink.pushMark('eighty-five');
    expect(ticks(downlink, 6)).toEqual([[], [], ['sixty'], [], ['eighty-five'], []]);
  });

  it('are reached at the next tick when there is nothing before them', () => {
    const downlink = newDownlink(format);
    expect(downlink.pushMark('now')).toBe(true);
    expect(ticks(downlink, 2)).toEqual([['now'], []]);
  });

  it('that stand together are reached together, in order', () => {
    const downlink = newDownlink(format);
    downlink.push(speech(format, 20));
    for (const name of ['b', 'a', 'a']) downlink.pushMark(name);
    expect(ticks(downlink, 2)).toEqual([['b', 'a', 'a'], []]);
  });

  it('wait with the first fragment of an utterance for the rest of it', () => {
    const downlink = newDownlink(format);
    downlink.push(speech(format, 5));
    downlink.pushMark('short');
    expect(ticks(downlink, 3)).toEqual([[], ['short'], []]);
  });

  it('come back at once with the speech an interruption discards, and only those not yet reached', () => {
    const downlink = newDownlink(format);
    for (const name of ['first', 'second', 'third']) {
      downlink.push(speech(format, 40));
      downlink.pushMark(name);
    }
    expect(ticks(downlink, 3)).toEqual([[], ['first'], []]);
    expect(downlink.interrupt(1_000)).toEqual(['second', 'third']);
    expect(ticks(downlink, 3)).toEqual([[], [], []]);
    downlink.push(speech(format, 20));
    downlink.pushMark('after');
    expect(ticks(downlink, 2)).toEqual([['after'], []]);
  });

  it('of an agent that is gone are forgotten, its speech is not', () => {
    const downlink = newDownlink(format);
    downlink.push(speech(format, 40));
    downlink.pushMark('old');
    downlink.dropMarks();
    downlink.push(speech(format, 20));
    downlink.pushMark('new');
    expect(ticks(downlink, 4)).toEqual([[], [], ['new'], []]);
    expect(downlink.stats.playedMs).toBe(60);
  });

  it('keep their places in ten minutes of speech that comes anyhow', () => {
    const downlink = newDownlink(format);
    const random = seededRandom(7);
    const bytesPerMs = FRAME_BYTES[format] / 20;
    const expected: (string[] | undefined)[] = [];
    const reached: (readonly string[])[] = [];
    let pushedBytes = 0;
    let mark = 0;
    for (let n = 0; n < 30_000; n++) {
      // Well ahead, so that no tick goes by without a whole frame.
      while (pushedBytes < (n + 50) * FRAME_BYTES[format]) {
        const bytes = 2 * Math.ceil(random() * 100 * bytesPerMs);
        downlink.push(new Uint8Array(bytes).fill(0x11));
        pushedBytes += bytes;
        const name = `mark-${mark++}`;
        downlink.pushMark(name);
        (expected[Math.ceil(pushedBytes / FRAME_BYTES[format]) - 1] ??= []).push(name);
      }
      reached.push(tick(downlink));
    }
    expect(mark).toBeGreaterThan(5_000);
    expect(reached.findIndex((names, n) => String(names) !== String(expected[n] ?? []))).toBe(-1);
  });
});

it('what ends with a mark is not faded out, for it is meant to end there', () => {
  const downlink = newDownlink('mulaw');
  const payload = new Uint8Array(160);
  for (const isMarked of [true, false]) {
    downlink.push(speech('mulaw', 20));
    if (isMarked) downlink.pushMark('end');
    downlink.nextPayload(payload, 0);
    downlink.takeMarks();
    downlink.nextPayload(payload, 0);
    expect(payload.every((codeWord) => codeWord === 0xff)).toBe(isMarked);
  }
});

describe('marks across a change of format', () => {
  it('count as reached: what they stood behind is lost', () => {
    const downlink = newDownlink('pcm16k');
    downlink.push(speech('pcm16k', 100));
    downlink.pushMark('one');
    downlink.push(speech('pcm16k', 100));
    downlink.pushMark('two');
    downlink.format = 'mulaw';
    downlink.push(speech('mulaw', 40));
    downlink.pushMark('three');
    expect(ticks(downlink, 3)).toEqual([['one', 'two'], ['three'], []]);
    expect(downlink.stats).toMatchObject({ receivedMs: 240, playedMs: 40, discardedMs: 200, queuedMs: 0 });
  });

  it('stay where they are when the format is the one it was, or the encoding changes', () => {
    const downlink = newDownlink('alaw');
    downlink.push(speech('alaw', 40));
    downlink.pushMark('end');
    downlink.format = 'alaw';
    downlink.encoding = 'L16';
    expect(ticks(downlink, 2)).toEqual([[], ['end']]);
    expect(downlink.stats).toMatchObject({ playedMs: 40, discardedMs: 0 });
  });
});

it('no more than a thousand wait', () => {
  const downlink = newDownlink('mulaw');
  downlink.push(speech('mulaw', 20));
  for (let i = 0; i < 1_000; i++) expect(downlink.pushMark(`${i}`)).toBe(true);
  expect(downlink.pushMark('one too many')).toBe(false);
  expect(tick(downlink)).toHaveLength(1_000);
  expect(downlink.pushMark('again')).toBe(true);
});
