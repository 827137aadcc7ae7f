import { describe, expect, it } from 'vitest';
import { PortPool } from '../../../src/rtp/port-pool.js';

const acquireAll = (pool: PortPool, nowMs: number): number[] => {
  const ports: number[] = [];
  for (let port = pool.acquire(nowMs); port !== undefined; port = pool.acquire(nowMs)) ports.push(port);
  return ports;
};

describe('PortPool', () => {
  it('gives the even port of each pair in the range once', () => {
    const pool = new PortPool({ minPort: 4001, maxPort: 4010 });
    expect(pool.free).toBe(4);
    expect(acquireAll(pool, 0).sort()).toEqual([4002, 4004, 4006, 4008]);
    expect(pool).toMatchObject({ inUse: 4, free: 0 });
  });

  it('lets a port rest before it is given again', () => {
    const pool = new PortPool({ minPort: 4000, maxPort: 4001 });
    expect(acquireAll(pool, 0)).toEqual([4000]);
    pool.release(4000, 1000);
    expect(pool).toMatchObject({ inUse: 0, free: 1 });
    expect(pool.acquire(5999)).toBeUndefined();
    expect(pool.acquire(6000)).toBe(4000);
  });

  it('draws among all that have rested, and no other', () => {
    const draws: number[] = [];
    const random = (count: number): number => {
      draws.push(count);
      return count - 1;
    };
    const pool = new PortPool({ minPort: 4000, maxPort: 4005, restMs: 10, random });
    expect(acquireAll(pool, 0)).toEqual([4004, 4002, 4000]);
    pool.release(4004, 1);
    pool.release(4000, 2);
    pool.release(4002, 3);
    expect(pool.acquire(11)).toBe(4004);
    expect(pool.acquire(11)).toBeUndefined();
    expect(acquireAll(pool, 13)).toEqual([4002, 4000]);
    expect(draws).toEqual([3, 2, 1, 1, 2, 1]);
  });

  it('shows who has seen ports nothing of the next one', () => {
    const pool = new PortPool({ minPort: 20_000, maxPort: 29_999 });
    const ports = acquireAll(pool, 0);
    const steps = ports.slice(1).map((port, i) => port - (ports[i] ?? 0));
    expect(new Set(steps).size).toBeGreaterThan(1_000);
    expect(new Set(ports).size).toBe(5_000);
  });

  it('does not take a port back twice, nor one it never gave', () => {
    const pool = new PortPool({ minPort: 4000, maxPort: 4003 });
    const port = pool.acquire(0) ?? 0;
    pool.release(port, 0);
    expect(() => pool.release(port, 0)).toThrow(/not in use/);
    expect(() => pool.discard(5000, 0)).toThrow(/not in use/);
    expect(pool).toMatchObject({ inUse: 0, free: 2 });
  });

  it('may draw a port that was taken by somebody else again after a rest', () => {
    const pool = new PortPool({ minPort: 4000, maxPort: 4003, random: () => 0 });
    expect(pool.acquire(0)).toBe(4000);
    pool.discard(4000, 0);
    expect(acquireAll(pool, 0)).toEqual([4002]);
    expect(pool.acquire(5000)).toBe(4000);
  });

  it('loses and doubles no port over many calls', () => {
    const pool = new PortPool({ minPort: 20_000, maxPort: 20_199 });
    const inUse: number[] = [];
    for (let nowMs = 0; nowMs < 1_000_000; nowMs += 100) {
      const port = pool.acquire(nowMs);
      if (port !== undefined) inUse.push(port);
      expect(new Set(inUse).size).toBe(inUse.length);
      if (inUse.length > 30) pool.release(inUse.shift() ?? 0, nowMs);
    }
    for (const port of inUse) pool.release(port, 1_000_000);
    expect(pool).toMatchObject({ inUse: 0, free: 100 });
    expect(new Set(acquireAll(pool, 2_000_000)).size).toBe(100);
  });

  it.each([
    [4001, 4001],
    [4000, 4000],
    [4001, 4002],
    [4004, 4002],
    [0, 10],
    [60_000, 65_536],
    [NaN, 4000],
    [4000.5, 4010],
  ])('refuses %d-%d', (minPort, maxPort) => expect(() => new PortPool({ minPort, maxPort })).toThrow(RangeError));

  it('begins anywhere', () => {
    const first = Array.from({ length: 8 }, () => new PortPool({ minPort: 20_000, maxPort: 29_999 }).acquire(0));
    expect(new Set(first).size).toBeGreaterThan(4);
  });
});
