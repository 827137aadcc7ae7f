import { describe, expect, it } from 'vitest';
import { newRtpPacket, parseRtp, RTP_HEADER_BYTES, writeRtpHeader, type RtpPacket } from '../../../src/rtp/packet.js';
import { RtpReceiver } from '../../../src/rtp/receiver.js';
import { sequenceDistance, timestampDistance } from '../../../src/rtp/sequence.js';
import { TelephoneEventDetector } from '../../../src/rtp/telephone-event.js';
import { seededRandom } from '../../support/signal.js';

const HEADER = { payloadType: 8, marker: true, sequenceNumber: 0xfedc, timestamp: 0x89abcdef, ssrc: 0xdeadbeef };

function datagram(payload: number[], flags = 0x80, between: number[] = []): Uint8Array {
  const bytes = new Uint8Array(RTP_HEADER_BYTES + between.length + payload.length);
  writeRtpHeader(bytes, HEADER);
  bytes[0] = flags;
  bytes.set(between, RTP_HEADER_BYTES);
  bytes.set(payload, RTP_HEADER_BYTES + between.length);
  return bytes;
}

function parse(bytes: Uint8Array): RtpPacket | undefined {
  const packet = newRtpPacket();
  return parseRtp(bytes, packet) ? packet : undefined;
}

function payloadOf(bytes: Uint8Array): number[] | undefined {
  const packet = parse(bytes);
  return packet && [...bytes.subarray(packet.payloadOffset, packet.payloadOffset + packet.payloadLength)];
}

describe('an RTP packet', () => {
  it('is written bit by bit as RFC 3550 draws it', () => {
    const bytes = new Uint8Array(RTP_HEADER_BYTES);
    writeRtpHeader(bytes, HEADER);
    expect(Buffer.from(bytes).toString('hex')).toBe('8088fedc89abcdefdeadbeef');
    writeRtpHeader(bytes, { payloadType: 0, marker: false, sequenceNumber: 1, timestamp: 160, ssrc: 2 });
    expect(Buffer.from(bytes).toString('hex')).toBe('8000000100' + '0000a000000002');
  });

  it('is read as it was written', () => {
    const bytes = datagram([1, 2, 3]);
    expect(parse(bytes)).toEqual({ ...HEADER, bytes, payloadOffset: 12, payloadLength: 3 });
    expect(payloadOf(bytes)).toEqual([1, 2, 3]);
  });

  it('may have contributing sources, an extension and padding', () => {
    expect(payloadOf(datagram([1, 2], 0x82, [9, 9, 9, 9, 9, 9, 9, 9]))).toEqual([1, 2]);
    expect(payloadOf(datagram([1, 2], 0x90, [0xbe, 0xde, 0, 1, 9, 9, 9, 9]))).toEqual([1, 2]);
    expect(payloadOf(datagram([1, 2, 0, 2], 0xa0))).toEqual([1, 2]);
    expect(payloadOf(datagram([7, 0, 0, 3], 0xb1, [9, 9, 9, 9, 0, 0, 0, 0]))).toEqual([7]);
    expect(payloadOf(datagram([0, 0, 3], 0xa0))).toEqual([]);
    expect(payloadOf(datagram([]))).toEqual([]);
  });

  it.each([
    ['empty', new Uint8Array(0)],
    ['short of a header', datagram([]).subarray(0, 11)],
    ['of version 1', datagram([1], 0x40)],
    ['of version 3', datagram([1], 0xc0)],
    ['short of its contributing sources', datagram([1, 2, 3], 0x81)],
    ['short of its extension header', datagram([1, 2, 3], 0x90)],
    ['short of its extension', datagram([0, 0, 0, 1, 9, 9, 9], 0x90)],
    ['with an extension of 256 KB announced', datagram([0, 0, 0xff, 0xff], 0x90)],
    ['with padding of no byte', datagram([1, 0], 0xa0)],
    ['with more padding than there is', datagram([1, 3], 0xa0)],
    ['with padding that reaches into the sources', datagram([1, 3], 0xa1, [9, 9, 9, 9])],
    ['a sender report', Uint8Array.from([0x80, 200, 0, 6, ...new Uint8Array(24)])],
    ['a receiver report', Uint8Array.from([0x81, 201, 0, 7, ...new Uint8Array(28)])],
    ['a STUN request', Uint8Array.from([0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, ...new Uint8Array(12)])],
  ])('is not what is %s', (_, bytes) => {
    const before = newRtpPacket();
    const packet = newRtpPacket();
    expect(parseRtp(bytes, packet)).toBe(false);
    expect(packet).toEqual(before);
  });

  it('keeps within the datagram, whatever is in it', () => {
    const random = seededRandom(42);
    const byte = (): number => Math.floor(random() * 256);
    const receiver = new RtpReceiver({ reorderMs: 40, maxHeld: 16, onPacket: () => undefined });
    const detector = new TelephoneEventDetector();
    const packet = newRtpPacket();
    let read = 0;
    for (let i = 0; i < 100_000; i++) {
      const bytes =
        i % 2 === 0
          ? Uint8Array.from({ length: Math.floor(random() * 40) }, byte)
          : datagram([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]).subarray(0, 12 + Math.floor(random() * 13));
      if (i % 2 === 1) bytes[Math.floor(random() * bytes.length)] = byte();
      if (i % 4 === 1) bytes[0] = 0x80 | byte();
      if (!parseRtp(bytes, packet)) continue;
      read += 1;
      if (packet.payloadOffset < 12 || packet.payloadLength < 0) throw new Error(`${i}: payload out of bounds`);
      if (packet.payloadOffset + packet.payloadLength > bytes.length) throw new Error(`${i}: payload out of bounds`);
      receiver.receive(packet, i);
      detector.receive(packet);
    }
    expect(read).toBeGreaterThan(20_000);
    expect(read).toBeLessThan(80_000);
  });
});

describe('distances on the circle', () =>
  it('are the shortest way round', () => {
    expect(sequenceDistance(65_535, 0)).toBe(1);
    expect(sequenceDistance(0, 65_535)).toBe(-1);
    expect(sequenceDistance(5, 5)).toBe(0);
    expect(sequenceDistance(70_000, 70_001 & 0xffff)).toBe(1);
    expect(timestampDistance(0xffff_ffff, 159)).toBe(160);
    expect(timestampDistance(159, 0xffff_ffff)).toBe(-160);
  }));
