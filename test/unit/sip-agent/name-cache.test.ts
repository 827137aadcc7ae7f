import { beforeEach, describe, expect, test } from 'vitest';
import { NameCache } from '../../../src/sip-agent/transport/name-cache.js';
import { FakeClock } from '../../support/fake-clock.js';

let clock: FakeClock;
let asked: string[];
let answer: (name: string) => Promise<readonly string[]>;
let cache: NameCache;

beforeEach(() => {
  clock = new FakeClock();
  asked = [];
  answer = (name) => Promise.resolve([name]);
  const names = {
    naptr: () => Promise.resolve([]),
    srv: () => Promise.resolve([]),
    addresses: (name: string) => {
      asked.push(name);
      return answer(name);
    },
  };
  cache = new NameCache(names, clock);
});

describe('an answer', () => {
  test('is good for thirty seconds, for everybody who asks meanwhile too', async () => {
    expect(await Promise.all([cache.addresses('a'), cache.addresses('a')])).toEqual([['a'], ['a']]);
    clock.advance(29_999);
    await cache.addresses('a');
    expect(asked).toEqual(['a']);
    clock.advance(1);
    await cache.addresses('a');
    expect(asked).toEqual(['a', 'a']);
  });

  test('that is none is good for five', async () => {
    answer = () => Promise.reject(new Error('ENOTFOUND'));
    await expect(cache.addresses('a')).rejects.toThrow('ENOTFOUND');
    clock.advance(4_999);
    await expect(cache.addresses('a')).rejects.toThrow('ENOTFOUND');
    expect(asked).toEqual(['a']);
    clock.advance(1);
    answer = () => Promise.resolve(['192.0.2.1']);
    expect(await cache.addresses('a')).toEqual(['192.0.2.1']);
  });

  test('is forgotten when there are too many others', async () => {
    for (let n = 0; n < 1_001; n++) await cache.addresses(`${n}`);
    expect(cache.size).toBe(1_000);
    await cache.addresses('1');
    expect(asked).toHaveLength(1_001);
    await cache.addresses('0');
    expect(asked).toHaveLength(1_002);
  });

  test('is not waited for beside sixty-four others', async () => {
    let release: (names: readonly string[]) => void = () => undefined;
    const slow = new Promise<readonly string[]>((resolve) => (release = resolve));
    answer = () => slow;
    const waiting = Array.from({ length: 64 }, (_, n) => cache.addresses(`${n}`));
    await expect(cache.addresses('another')).rejects.toThrow('too many names');
    release(['192.0.2.1']);
    await Promise.all(waiting);
    expect(await cache.addresses('another')).toEqual(['192.0.2.1']);
  });
});
