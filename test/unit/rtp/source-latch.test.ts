import { describe, expect, it } from 'vitest';
import { SourceLatch } from '../../../src/rtp/source-latch.js';

const SDP = { address: '192.0.2.10', port: 4000 };
const MOVED = { address: '192.0.2.20', port: 5000 };
const NAT = { address: '198.51.100.1', port: 33_333 };
const STRANGER = { address: '203.0.113.66', port: 666 };

type Address = typeof SDP;

/** Lets a plausible packet come, as the endpoint does. Returns whether it was taken. */
function arrive(latch: SourceLatch, { address, port }: Address, nowMs: number): boolean {
  const verdict = latch.judge(address, port, nowMs);
  if (verdict === 'candidate') latch.lock(address, port, nowMs);
  return verdict === 'candidate' || verdict === 'current';
}

function expecting(remote: Address | undefined, mode: 'any' | 'expected' = 'any'): SourceLatch {
  const latch = new SourceLatch();
  latch.expect(remote, mode, 0);
  return latch;
}

describe('SourceLatch', () => {
  it('admits nobody, and sends nowhere, before anything is known', () => {
    const latch = new SourceLatch();
    expect(arrive(latch, STRANGER, 0)).toBe(false);
    expect(latch.target).toBeUndefined();
  });

  it("sends to the SDP's address until something comes", () => {
    const latch = expecting(SDP);
    expect(latch.target).toEqual(SDP);
    expect(latch.source).toBeUndefined();
    expect(arrive(latch, NAT, 10)).toBe(true);
    expect(latch.target).toEqual(NAT);
    expect(latch.source).toEqual(NAT);
  });

  it('keeps strangers out once locked, for good', () => {
    const latch = expecting(SDP);
    expect(arrive(latch, SDP, 0)).toBe(true);
    expect(arrive(latch, STRANGER, 1)).toBe(false);
    expect(arrive(latch, STRANGER, 3_600_000)).toBe(false);
    expect(arrive(latch, { ...SDP, port: 4002 }, 3_600_000)).toBe(false);
    expect(arrive(latch, SDP, 3_600_000)).toBe(true);
    expect(latch.target).toEqual(SDP);
  });

  it('takes another source for the same one moved only when that has been silent for a second', () => {
    const latch = expecting(SDP);
    arrive(latch, NAT, 0);
    arrive(latch, NAT, 5_000);
    expect(latch.judge(MOVED.address, MOVED.port, 5_999)).toBe('refused');
    expect(latch.judge(MOVED.address, MOVED.port, 6_000)).toBe('moved');
    expect(latch.judge(MOVED.address, 0, 6_000)).toBe('refused');
    arrive(latch, NAT, 6_001);
    expect(latch.judge(MOVED.address, MOVED.port, 6_100)).toBe('refused');
    const strict = expecting(SDP, 'expected');
    arrive(strict, SDP, 0);
    expect(strict.judge(MOVED.address, MOVED.port, 60_000)).toBe('refused');
  });

  it("lets the SDP's exact address win over another within the first second", () => {
    const latch = expecting(SDP);
    expect(arrive(latch, STRANGER, 0)).toBe(true);
    expect(arrive(latch, SDP, 999)).toBe(true);
    expect(latch.source).toEqual(SDP);
    expect(arrive(latch, STRANGER, 1000)).toBe(false);
  });

  it('but not after it', () => {
    const latch = expecting(SDP);
    arrive(latch, NAT, 0);
    expect(arrive(latch, SDP, 1000)).toBe(false);
    expect(latch.source).toEqual(NAT);
  });

  it("admits only the SDP's address, from any port, when told so", () => {
    const latch = expecting(SDP, 'expected');
    expect(arrive(latch, STRANGER, 0)).toBe(false);
    expect(arrive(latch, { ...SDP, port: 4444 }, 1)).toBe(true);
    expect(latch.target).toEqual({ ...SDP, port: 4444 });
    expect(arrive(latch, SDP, 2)).toBe(true);
    expect(latch.target).toEqual(SDP);
  });

  it('moves when the SDP does, and keeps the last packets of the old source out', () => {
    const latch = expecting(SDP);
    arrive(latch, NAT, 0);
    latch.expect(MOVED, 'any', 60_000);
    expect(latch.target).toEqual(MOVED);
    expect(arrive(latch, NAT, 60_020)).toBe(false);
    expect(arrive(latch, MOVED, 60_040)).toBe(true);
    expect(arrive(latch, NAT, 62_000)).toBe(false);
  });

  it('lets the old source in again after a second, if nothing came from the new address', () => {
    const latch = expecting(SDP);
    arrive(latch, NAT, 0);
    latch.expect(MOVED, 'any', 5000);
    expect(arrive(latch, NAT, 5999)).toBe(false);
    expect(arrive(latch, NAT, 6000)).toBe(true);
  });

  it('stays locked when the SDP says the same again, or names the source itself', () => {
    const latch = expecting(SDP);
    arrive(latch, NAT, 0);
    latch.expect({ ...SDP }, 'any', 2000);
    expect(arrive(latch, STRANGER, 2001)).toBe(false);
    latch.expect(NAT, 'any', 3000);
    expect(arrive(latch, STRANGER, 3001)).toBe(false);
    expect(latch.target).toEqual(NAT);
  });

  it('keeps to what it knows while the SDP names no address, as on hold', () => {
    const latch = expecting(SDP);
    arrive(latch, NAT, 0);
    latch.expect(undefined, 'any', 2000);
    expect(latch.target).toEqual(NAT);
    expect(arrive(latch, STRANGER, 2001)).toBe(false);
    latch.expect(SDP, 'any', 4000);
    expect(arrive(latch, NAT, 4001)).toBe(true);
  });

  it('lets an address named later take its place from a source that came before it was', () => {
    const latch = expecting(undefined);
    expect(arrive(latch, NAT, 0)).toBe(true);
    latch.expect(SDP, 'any', 10_000);
    expect(arrive(latch, NAT, 10_001)).toBe(true);
    expect(arrive(latch, SDP, 10_002)).toBe(true);
    expect(latch.source).toEqual(SDP);
    expect(arrive(latch, NAT, 10_003)).toBe(false);
  });

  it('never locks to port 0, which cannot be sent to', () => {
    const latch = expecting(SDP);
    expect(arrive(latch, { ...NAT, port: 0 }, 0)).toBe(false);
    expect(latch.target).toEqual(SDP);
  });
});
