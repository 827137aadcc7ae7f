import { describe, expect, it } from 'vitest';
import { newRtpPacket, parseRtp, type RtpPacket } from '../../../src/rtp/packet.js';
import { RtpSender } from '../../../src/rtp/sender.js';

function newSender(...starts: number[]): RtpSender {
  const random32 = (): number => starts.shift() ?? 0;
  return new RtpSender({ payloadType: 0, payloadBytes: 160, samplesPerPacket: 160, random32 });
}

function next(sender: RtpSender): RtpPacket {
  const packet = newRtpPacket();
  expect(parseRtp(sender.nextPacket(), packet)).toBe(true);
  return packet;
}

describe('RtpSender', () => {
  it('starts where it is told, and marks no packet', () => {
    const sender = newSender(0xabcd_1234, 5, 7);
    expect(sender.ssrc).toBe(7);
    expect(next(sender)).toMatchObject({
      payloadType: 0,
      marker: false,
      sequenceNumber: 0x1234,
      timestamp: 5,
      ssrc: 7,
      payloadOffset: 12,
      payloadLength: 160,
    });
    expect(next(sender)).toMatchObject({ marker: false, sequenceNumber: 0x1235, timestamp: 165 });
    expect(sender.packets).toBe(2);
  });

  it('wraps sequence number and timestamp', () => {
    const sender = newSender(0xffff, 0xffff_ffff, 0xffff_ffff);
    expect(next(sender)).toMatchObject({ sequenceNumber: 65_535, timestamp: 0xffff_ffff, ssrc: 0xffff_ffff });
    expect(next(sender)).toMatchObject({ sequenceNumber: 0, timestamp: 159 });
  });

  it('lets time pass without a packet', () => {
    const sender = newSender(0, 0, 0);
    next(sender);
    sender.skip();
    sender.skip();
    expect(next(sender)).toMatchObject({ marker: false, sequenceNumber: 1, timestamp: 480 });
    expect(next(sender)).toMatchObject({ marker: false, sequenceNumber: 2, timestamp: 640 });
  });

  it('changes the payload type within the stream', () => {
    const sender = newSender(0, 0, 9);
    next(sender);
    sender.setPayloadType(8);
    expect(next(sender)).toMatchObject({ payloadType: 8, marker: false, sequenceNumber: 1, timestamp: 160, ssrc: 9 });
  });

  it('does not write a packet again while the socket may still hold it', () => {
    const sender = newSender(0, 0, 0);
    const recent = Array.from({ length: 16 }, () => sender.nextPacket());
    expect(new Set(recent).size).toBe(16);
    expect(recent.map((packet) => packet.readUInt16BE(2))).toEqual(recent.map((_, i) => i));
  });

  it('starts at random by default', () => {
    const options = { payloadType: 0, payloadBytes: 160, samplesPerPacket: 160 };
    const starts = Array.from({ length: 8 }, () => next(new RtpSender(options)));
    expect(new Set(starts.map((packet) => packet.ssrc)).size).toBe(8);
    expect(new Set(starts.map((packet) => packet.timestamp)).size).toBe(8);
    expect(new Set(starts.map((packet) => packet.sequenceNumber)).size).toBeGreaterThan(4);
  });
});
