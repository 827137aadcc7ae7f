import { beforeEach, describe, expect, it } from 'vitest';
import type { BridgeMedia } from '../../../src/bridge/messages.js';
import { PathMonitor } from '../../../src/bridge/path-monitor.js';
import { newRtpPacket, type RtpPacket } from '../../../src/rtp/packet.js';

const MEDIA: BridgeMedia = {
  encoding: 'PCMU',
  payloadType: 0,
  telephoneEventPayloadType: 101,
  remote: { address: '192.0.2.1', port: 4_000 },
  sending: true,
  receiving: true,
};
const SENT = Buffer.alloc(172);

let monitor: PathMonitor;

beforeEach(() => {
  monitor = new PathMonitor({ nowMs: 0, wallMs: 0, ssrc: 1 });
});

const packet = (sequenceNumber: number, payloadType = 0): RtpPacket => ({
  ...newRtpPacket(),
  payloadType,
  sequenceNumber,
  timestamp: sequenceNumber * 160,
});

/** The stream as agreed, but for the changes, from `nowMs` on. */
function agree(nowMs: number, changes: Partial<BridgeMedia> = {}): void {
  monitor.setMedia({ ...MEDIA, ...changes }, 8_000, nowMs);
}

describe('PathMonitor', () => {
  it('counts from the answer on how long each side was to send', () => {
    agree(0);
    expect(monitor.stats(undefined, 900)).toMatchObject({ activeMs: 0, sendingMs: 0, receivingMs: 0 });
    monitor.start(1_000);
    agree(3_000, { sending: false });
    agree(4_000, { sending: false, receiving: false });
    expect(monitor.stats(undefined, 8_000)).toMatchObject({ activeMs: 7_000, sendingMs: 2_000, receivingMs: 3_000 });
    agree(8_000);
    expect(monitor.stats(undefined, 9_000)).toMatchObject({ activeMs: 8_000, sendingMs: 3_000, receivingMs: 4_000 });
  });

  it('knows how long the caller has been silent, but for a hold', () => {
    agree(0);
    monitor.start(0);
    expect(monitor.stats(undefined, 5_000)).not.toHaveProperty('silentMs');
    monitor.arrived(packet(1), 'PCMU', 5_000);
    expect(monitor.stats(undefined, 7_000).silentMs).toBe(2_000);
    agree(8_000, { receiving: false });
    expect(monitor.stats(undefined, 20_000)).not.toHaveProperty('silentMs');
    agree(20_000);
    expect(monitor.stats(undefined, 20_500).silentMs).toBe(500);
  });

  it('tells payload types nobody agreed on from audio, digits and comfort noise', () => {
    agree(0);
    for (const [index, carried] of (['PCMU', 'telephone-event', 'comfort-noise'] as const).entries()) {
      monitor.arrived(packet(index), carried, 20 * index);
    }
    expect(monitor.stats(undefined, 40)).toMatchObject({ foreignPayloads: 0, expectedPackets: 3 });
    monitor.arrived(packet(3, 18), undefined, 60);
    expect(monitor.stats(undefined, 40)).toMatchObject({ foreignPayloads: 1, foreignPayloadType: 18 });
  });

  it('measures what the reorder buffer and the framing add on the way up', () => {
    agree(0);
    monitor.start(0);
    // Two wait for the one before them.
    monitor.arrived(packet(65_535), 'PCMU', 100);
    monitor.arrived(packet(0), 'PCMU', 120);
    for (const number of [65_535, 0]) monitor.taken(packet(number), { isSent: true, clockRateHz: 8_000 }, 130);
    // Its end goes out with the next packet's beginning.
    monitor.arrived(packet(1), 'PCMU', 140);
    monitor.taken(packet(1), { isSent: false, clockRateHz: 8_000 }, 140);
    monitor.frameMade(160);
    monitor.frameMade(180);
    expect(monitor.stats(undefined, 200).addedDelay.uplink).toMatchObject({ count: 3, maxMs: 30 });
    expect(monitor.stats(undefined, 200).addedDelay.uplink?.p50Ms).toBeCloseTo(20, -1);
  });

  it('measures how long speech after a silence waits on the way down', () => {
    agree(0);
    monitor.speechBegan(0);
    monitor.start(10);
    monitor.sent(SENT, true, 20); // said before the answer
    monitor.speechBegan(100);
    monitor.speechBegan(105);
    monitor.sent(SENT, false, 108);
    monitor.sent(SENT, true, 112);
    monitor.sent(SENT, true, 132);
    monitor.speechBegan(200);
    monitor.speechDiscarded();
    monitor.sent(SENT, true, 300);
    expect(monitor.stats(undefined, 400).addedDelay.downlink).toMatchObject({ count: 1, maxMs: 12 });
  });
});
