import { describe, expect, it } from 'vitest';
import { encodeG711, G711_SILENCE } from '../../../src/audio/g711.js';
import { newRtpPacket, parseRtp, writeRtpHeader, type RtpPacket } from '../../../src/rtp/packet.js';
import { HeardAudio } from '../../../src/phone/heard-audio.js';
import { createPhoneCodec } from '../../../src/phone/phone-codec.js';

const FRAME = 160;

interface Sent {
  sequenceNumber: number;
  timestamp: number;
  ssrc?: number;
  value?: number;
  samples?: number;
}

/** A packet that holds one and the same sample all over; 0 is the digital silence of the law. */
function packet({ sequenceNumber, timestamp, ssrc = 1, value = 0, samples = FRAME }: Sent): RtpPacket {
  const bytes = new Uint8Array(12 + samples);
  writeRtpHeader(bytes, { payloadType: 0, marker: false, sequenceNumber, timestamp: timestamp >>> 0, ssrc });
  if (value === 0) bytes.fill(G711_SILENCE.mulaw, 12);
  else encodeG711('mulaw', new Int16Array(samples).fill(value), 0, samples, bytes, 12);
  const parsed = newRtpPacket();
  expect(parseRtp(bytes, parsed)).toBe(true);
  return parsed;
}

function heard(sent: (Sent & { atMs: number })[], maxPackets = 1_000): HeardAudio {
  const audio = new HeardAudio(createPhoneCodec('PCMU'), maxPackets);
  for (const { atMs, ...fields } of sent) audio.add(packet(fields), atMs);
  return audio;
}

/** `count` packets of a sender that does everything right, from just before both wraps on. */
function steady(count: number): (Sent & { atMs: number })[] {
  return Array.from({ length: count }, (_, n) => ({
    atMs: 20 * n,
    sequenceNumber: (65_534 + n) & 0xffff,
    timestamp: 2 ** 32 - FRAME + n * FRAME,
    value: 8_031,
  }));
}

const NO_FAULTS = { lost: 0, duplicated: 0, sequenceBreaks: 0, timestampBreaks: 0, restarts: 0 };

describe('what is counted', () => {
  it('is nothing but packets for a steady stream, over the wraps of sequence and timestamp', () => {
    const audio = heard(steady(100));
    expect(audio.report()).toMatchObject({ packets: 100, longestGapMs: 20, firstPacketAtMs: 0, ...NO_FAULTS });
    expect(audio.timeline()).toHaveLength(100 * FRAME);
  });

  it('is a lost packet', () => {
    const audio = heard(steady(10).filter((_, n) => n !== 4));
    expect(audio.report()).toMatchObject({ ...NO_FAULTS, lost: 1, sequenceBreaks: 1, longestGapMs: 40 });
  });

  it('is a packet that came twice', () => {
    const sent = steady(10);
    const audio = heard([...sent.slice(0, 5), ...sent.slice(4)]);
    expect(audio.report()).toMatchObject({ ...NO_FAULTS, packets: 11, duplicated: 1, sequenceBreaks: 1 });
    expect(audio.timeline()).toHaveLength(10 * FRAME);
  });

  it('is a change of order, in which nothing is lost', () => {
    const sent = steady(10);
    const [early, late] = sent.splice(3, 2);
    if (early && late) sent.splice(3, 0, late, early);
    expect(heard(sent).report()).toMatchObject({ ...NO_FAULTS, sequenceBreaks: 3 });
  });

  it('is a timestamp that does not continue where the payload before ended', () => {
    const sent = steady(10).map((fields, n) => (n < 5 ? fields : { ...fields, timestamp: fields.timestamp + 1 }));
    expect(heard(sent).report()).toMatchObject({ ...NO_FAULTS, timestampBreaks: 1 });
  });

  it('is a new SSRC, whose numbers are not compared with the old ones', () => {
    const second = steady(5).map((fields) => ({ ...fields, ssrc: 2, sequenceNumber: fields.sequenceNumber ^ 0x8000 }));
    const audio = heard([...steady(5), ...second]);
    expect(audio.report()).toMatchObject({ ...NO_FAULTS, restarts: 1 });
    expect(audio.timeline()).toHaveLength(10 * FRAME);
  });
});

describe('the timeline', () => {
  it('has silence where a packet is missing, and everything else in its place', () => {
    const timeline = heard(steady(3).filter((_, n) => n !== 1)).timeline();
    expect([...new Set(timeline.subarray(0, FRAME))]).toEqual([timeline[0]]);
    expect([...new Set(timeline.subarray(FRAME, 2 * FRAME))]).toEqual([0]);
    expect(timeline[2 * FRAME]).toBe(timeline[0]);
    expect(timeline).toHaveLength(3 * FRAME);
  });

  it('has a packet that came late in its place', () => {
    const sent = steady(3).map((fields, n) => ({ ...fields, value: 1_000 * (n + 1) }));
    const inOrder = heard(sent).timeline();
    expect(heard(sent.reverse()).timeline()).toEqual(inOrder);
  });

  it('is not stretched by a timestamp that runs ahead of time', () => {
    const [first, second] = steady(2);
    if (!first || !second) throw new Error('two packets');
    const audio = heard([first, { ...second, timestamp: second.timestamp + 2 ** 30 }]);
    expect(audio.timeline()).toHaveLength(2 * FRAME);
    expect(audio.report().timestampBreaks).toBe(1);
  });
});

describe('sound', () => {
  const audio = heard(steady(10).map((fields, n) => ({ ...fields, value: n >= 3 && n < 6 ? 500 : 0 })));

  it('is anything but digital silence', () => {
    expect(audio.report()).toMatchObject({ firstSoundAtMs: 60, lastSoundAtMs: 100 });
    expect(audio.silentSinceMs()).toBe(120);
  });

  it('can be asked for from, or until, a moment', () => {
    expect(audio.firstSoundAtMs(61)).toBe(80);
    expect(audio.firstSoundAtMs(101)).toBeUndefined();
    expect(audio.lastSoundAtMs(100)).toBe(80);
    expect(audio.lastSoundAtMs(60)).toBeUndefined();
  });

  it('going on is not silence', () => {
    expect(heard(steady(3)).silentSinceMs()).toBeUndefined();
    expect(heard([]).silentSinceMs()).toBeUndefined();
    expect(heard([]).report()).toMatchObject({ packets: 0, levelDbm0: -Infinity, ...NO_FAULTS });
  });
});

it('keeps no more than it may, and no packet no telephone would send', () => {
  const audio = heard(steady(10), 4);
  audio.add(packet({ sequenceNumber: 1, timestamp: 0, samples: 1_601 }), 200);
  expect(audio.packets).toHaveLength(4);
  expect(audio.unrecorded).toBe(7);
  expect(audio.report().packets).toBe(11);
});
