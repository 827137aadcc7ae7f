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
}

function eventPacket({ event, timestamp, duration = 160, end = false, ssrc = 1 }: EventFields): RtpPacket {
  const bytes = new Uint8Array([0xff, 0xff, event, (end ? 0x80 : 0) | 10, duration >> 8, duration, 0xff]);
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

function detect(packets: RtpPacket[]): string {
  const detector = new TelephoneEventDetector();
  return packets.map((packet) => detector.receive(packet) ?? '').join('');
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

  it('tells the same digit pressed twice', () => {
    expect(detect([...wholeEvent(5, 0), ...wholeEvent(5, 2000)])).toBe('55');
  });

  it.each([0, 1, 2, 3, 4, 5, 6])('tells a digit of which packet %d alone has come', (index) => {
    const packets = wholeEvent(7, 90).slice(index, index + 1);
    expect(detect([...packets, ...wholeEvent(8, 4000)])).toBe('78');
  });

  it('is not misled by an old packet come late', () => {
    const [first, ...rest] = wholeEvent(1, 0);
    expect(detect([...rest, ...wholeEvent(2, 2000), first ?? eventPacket({ event: 0, timestamp: 0 })])).toBe('12');
  });

  it('goes on over the wrap of the timestamp', () => {
    expect(detect([...wholeEvent(1, 0xffff_fff0), ...wholeEvent(2, 0x400)])).toBe('12');
  });

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

  it('tells nothing of events that are no digit', () => {
    expect(detect([...wholeEvent(16, 0), ...wholeEvent(255, 1000), ...wholeEvent(4, 2000)])).toBe('4');
  });
});
