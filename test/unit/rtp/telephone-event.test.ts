import { describe, expect, it } from 'vitest';
import { newRtpPacket, type RtpPacket } from '../../../src/rtp/packet.js';
import { RtpReceiver } from '../../../src/rtp/receiver.js';
import { parseTelephoneEvent, TelephoneEventDetector } from '../../../src/rtp/telephone-event.js';
import { seededRandom } from '../../support/signal.js';

interface EventFields {
  event: number;
  timestamp: number;
  duration?: number;
  end?: boolean;
  ssrc?: number;
  /** The E bit apart: the reserved bit and the volume. */
  flags?: number;
}

function eventPacket({ event, timestamp, duration = 160, end = false, ssrc = 1, flags = 10 }: EventFields): RtpPacket {
  const bytes = new Uint8Array([0xff, 0xff, event, (end ? 0x80 : 0) | flags, duration >> 8, duration, 0xff]);
  return { ...newRtpPacket(), payloadType: 101, ssrc, timestamp, bytes, payloadOffset: 2, payloadLength: 4 };
}

/** An event as it is sent: updates every 20 ms, the end three times (RFC 4733 section 2.5.1.4). */
function wholeEvent(event: number, timestamp: number): RtpPacket[] {
  const updates = [160, 320, 480, 640].map((duration) => eventPacket({ event, timestamp, duration }));
  const ends = [1, 2, 3].map(() => eventPacket({ event, timestamp, duration: 800, end: true }));
  return [...updates, ...ends];
}

/** Keys of 50 ms every 100 ms, with speech between them, over a network that loses, doubles and delays packets. */
function dialling(events: readonly number[], random: () => number): { packet: RtpPacket; atMs: number }[] {
  const arrivals: { packet: RtpPacket; atMs: number }[] = [];
  let sequenceNumber = 65_000;
  const send = (packet: RtpPacket, sentMs: number): void => {
    const numbered = { ...packet, sequenceNumber: sequenceNumber++ & 0xffff };
    for (let copies = random() < 0.03 ? 2 : 1; copies > 0; copies--) {
      if (random() >= 0.05) arrivals.push({ packet: numbered, atMs: sentMs + random() * 30 });
    }
  };
  events.forEach((event, n) => {
    const [startMs, timestamp] = [n * 100, (4_294_000_000 + n * 800) >>> 0];
    send(eventPacket({ event, timestamp, duration: 160 }), startMs + 20);
    send(eventPacket({ event, timestamp, duration: 320 }), startMs + 40);
    for (let copy = 0; copy < 3; copy++)
      send(eventPacket({ event, timestamp, duration: 400, end: true }), startMs + 50);
    send({ ...newRtpPacket(), ssrc: 1, timestamp: (timestamp + 400) >>> 0 }, startMs + 70);
  });
  return arrivals.sort((a, b) => a.atMs - b.atMs);
}

/** Packets of audio between those of events. */
const audio = (count: number): 'audio'[] => Array.from({ length: count }, () => 'audio');

/** What is told of packets sent one after the other; with `lost`, where only the others come. */
function detect(sent: readonly (RtpPacket | 'audio')[], lost: (index: number) => boolean = () => false): string {
  const detector = new TelephoneEventDetector();
  return sent
    .map((packet, i) =>
      packet === 'audio' || lost(i)
        ? ''
        : (detector.receive({ ...packet, sequenceNumber: (65_530 + i) & 0xffff }) ?? ''),
    )
    .join('');
}

interface PressFields {
  readonly timestamp?: number;
  /** By which the timestamps of the updates, and of the ends, grow. */
  readonly each?: number;
  readonly eachEnd?: number;
  readonly updates?: number;
  readonly ends?: number;
  readonly flags?: number;
}

/** One press as a sender of the field may send it. */
function press(
  event: number,
  { timestamp = 0, each = 0, eachEnd = each, updates = 6, ends = 3, flags = 10 }: PressFields = {},
): RtpPacket[] {
  const last = timestamp + each * Math.max(0, updates - 1);
  return [
    ...Array.from({ length: updates }, (_, i) =>
      eventPacket({ event, timestamp: (timestamp + each * i) >>> 0, duration: 160 * (i + 1), flags }),
    ),
    ...Array.from({ length: ends }, (_, i) =>
      eventPacket({ event, timestamp: (last + eachEnd * i) >>> 0, duration: 160 * updates, end: true, flags }),
    ),
  ];
}

function withFlags(packet: RtpPacket, flags: number): RtpPacket {
  const bytes = Uint8Array.from(packet.bytes);
  bytes[3] = ((bytes[3] ?? 0) & 0x80) | flags;
  return { ...packet, bytes };
}

function withDuration(packet: RtpPacket, duration: number): RtpPacket {
  const bytes = Uint8Array.from(packet.bytes);
  bytes.set([duration >> 8, duration & 0xff], 4);
  return { ...packet, bytes };
}

describe('a telephone event', () => {
  it('is read as RFC 4733 draws it', () => {
    const packet = eventPacket({ event: 11, timestamp: 0, duration: 0x1234, end: true });
    expect(parseTelephoneEvent(packet)).toEqual({ event: 11, end: true, volume: 10, duration: 0x1234 });
  });

  it('needs four bytes', () => {
    const packet = { ...eventPacket({ event: 1, timestamp: 0 }), payloadLength: 3 };
    expect(parseTelephoneEvent(packet)).toBeUndefined();
    expect(new TelephoneEventDetector().receive(packet)).toBeUndefined();
  });
});

describe('TelephoneEventDetector', () => {
  it('tells every digit once', () => {
    const packets = Array.from({ length: 16 }, (_, event) => wholeEvent(event, 1000 * event));
    expect(detect(packets.flat())).toBe('0123456789*#ABCD');
  });

  it('tells the same digit pressed twice', () =>
    expect(detect([...wholeEvent(5, 0), ...wholeEvent(5, 2000)])).toBe('55'));

  it.each([0, 1, 2, 3, 4, 5, 6])('tells a digit of which packet %d alone has come', (index) => {
    const sent = [...wholeEvent(7, 90), ...audio(5), ...wholeEvent(7, 4000)];
    expect(detect(sent, (i) => i < 7 && i !== index)).toBe('77');
  });

  it('goes on over the wrap of the timestamp', () =>
    expect(detect([...wholeEvent(1, 0xffff_fff0), ...wholeEvent(2, 0x400)])).toBe('12'));

  it('takes the segments of a key held for ten seconds as one', () => {
    const long = [
      eventPacket({ event: 3, timestamp: 0, duration: 160 }),
      eventPacket({ event: 3, timestamp: 0, duration: 0xffff }),
      eventPacket({ event: 3, timestamp: 0xffff, duration: 160 }),
      eventPacket({ event: 3, timestamp: 0xffff, duration: 14_465, end: true }),
    ];
    expect(detect([...long, ...wholeEvent(3, 100_000)])).toBe('33');
  });

  it('takes them as one also when the packet between two segments is lost, or a whole segment', () => {
    const long = [
      eventPacket({ event: 3, timestamp: 0, duration: 64_000 }),
      eventPacket({ event: 3, timestamp: 0xffff, duration: 160 }),
      eventPacket({ event: 3, timestamp: 3 * 0xffff, duration: 160 }),
      eventPacket({ event: 3, timestamp: 3 * 0xffff, duration: 320, end: true }),
    ];
    expect(detect([...long, ...wholeEvent(3, 400_000)])).toBe('33');
  });

  it('tells a thousand digits of 50 ms through 5 % of loss, reordering and duplicates, none twice', () => {
    const random = seededRandom(9);
    const dialled = Array.from({ length: 1_000 }, () => Math.floor(random() * 16));
    const told: string[] = [];
    const detector = new TelephoneEventDetector();
    const receiver = new RtpReceiver({
      reorderMs: 40,
      maxHeld: 32,
      onPacket: (packet) => {
        const digit = packet.payloadType === 101 ? detector.receive(packet) : undefined;
        if (digit !== undefined) told.push(digit);
      },
    });
    for (const { packet, atMs } of dialling(dialled, random)) {
      receiver.flush(atMs);
      receiver.receive(packet, atMs);
    }
    receiver.flush(Infinity);
    expect(told.join('')).toBe(dialled.map((event) => '0123456789*#ABCD'[event]).join(''));
  });

  it('starts anew with another sender, and after a great leap back', () => {
    expect(
      detect([eventPacket({ event: 1, timestamp: 500 }), eventPacket({ event: 1, timestamp: 500, ssrc: 2 })]),
    ).toBe('11');
    expect(detect([...wholeEvent(1, 1_000_000), ...wholeEvent(2, 0)])).toBe('12');
  });

  it.each<[string, readonly (RtpPacket | 'audio')[], string]>([
    ['a timestamp that grows with each packet', press(3, { each: 160 }), '3'],
    ['one that grows while the duration does not', press(3, { each: 160 }).map((p) => withDuration(p, 160)), '3'],
    ['ends with timestamps of their own', press(4, { eachEnd: 160 }), '4'],
    ['ends with timestamps that step back', press(4, { timestamp: 4_000, eachEnd: -160 }), '4'],
    ['the timestamp used again by the next key', [...press(5), ...audio(3), ...press(6)], '56'],
    ['the timestamp used again by the same key', [...press(5), ...audio(3), ...press(5)], '55'],
    ['the timestamp used again at once', [...press(5), ...press(6), ...press(6)], '566'],
    ['no end', [...press(7, { ends: 0 }), ...audio(20), ...press(7, { timestamp: 9_000, ends: 0 })], '77'],
    ['no end, and the next key at once', [...press(7, { ends: 0 }), ...press(8, { timestamp: 1_000, ends: 0 })], '78'],
    ['ends only', [...press(9, { updates: 0 }), ...audio(5), ...press(9, { updates: 0, timestamp: 1_600 })], '99'],
    [
      'ends only, all with one timestamp',
      [...press(9, { updates: 0 }), ...audio(15), ...press(9, { updates: 0 })],
      '99',
    ],
    ['one packet a key', [...press(1, { updates: 0, ends: 1 }), ...press(2, { updates: 0, ends: 1 })], '12'],
    ['the same key within 60 ms', [...press(8), ...audio(3), ...press(8, { timestamp: 1_440 })], '88'],
    ['more ends than three', [...press(2, { ends: 12 }), ...press(3, { timestamp: 4_000 })], '23'],
    ['audio between the packets', press(2, { each: 160 }).flatMap((p) => [p, 'audio' as const]), '2'],
    [
      'the reserved bit and every volume',
      [...press(1, { flags: 0x7f }), ...press(1, { flags: 0x40, timestamp: 5_000 })],
      '11',
    ],
    ['a volume that changes', press(1).map((packet, i) => withFlags(packet, i)), '1'],
    ['a duration that stands still at its limit', press(1).map((packet) => withDuration(packet, 0xffff)), '1'],
    [
      'a duration that begins again at its limit',
      [...press(1, { ends: 0 }).map((p) => withDuration(p, 65_500)), ...press(1)],
      '1',
    ],
    [
      'timestamps that begin anew',
      [...press(1, { timestamp: 9_000 }), ...audio(9), ...press(1, { timestamp: 100 })],
      '11',
    ],
  ])('understands %s', (_, sent, digits) => expect(detect(sent)).toBe(digits));

  it.each([65_535, 65_536, 64_000, 60_000])('takes segments of %d without an end as one press', (segment) => {
    const updates = (timestamp: number): RtpPacket[] =>
      Array.from({ length: Math.floor(segment / 160) }, (_, i) =>
        eventPacket({ event: 3, timestamp, duration: Math.min(0xffff, 160 * (i + 1)) }),
      );
    expect(detect([...updates(0), ...updates(segment), ...updates(2 * segment)])).toBe('3');
  });

  it.each([0, 1, 2, 3])('tells each press once whatever one packet in four is lost (%d)', (phase) => {
    const sent = Array.from({ length: 40 }, (_, i) => [
      ...press(i % 3, { timestamp: 4_000 * i, each: i % 2 === 0 ? 160 : 0, eachEnd: i % 5 === 0 ? 160 : 0 }),
      ...audio(4),
    ]).flat();
    expect(detect(sent, (i) => i % 4 === phase)).toBe('012'.repeat(14).slice(0, 40));
  });

  it('tells nothing of events that are no digit', () =>
    expect(detect([...wholeEvent(16, 0), ...wholeEvent(255, 1000), ...wholeEvent(4, 2000)])).toBe('4'));
});
