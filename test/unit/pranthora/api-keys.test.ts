import { expect, it } from 'vitest';
import { ApiKeys } from '../../../src/pranthora/api-keys.js';

it('shows the first until it is refused, then the second, and each once', () => {
  const keys = new ApiKeys(['one', 'two']);
  expect(keys.current).toBe('one');
  expect([keys.refuse('one'), keys.current]).toEqual([true, 'two']);
  expect(keys.refuse('two')).toBe(false);
});

it('stays with the one that was taken, and tries the other when that is refused later', () => {
  const keys = new ApiKeys(['one', 'two']);
  keys.refuse('one');
  keys.accept();
  expect(keys.current).toBe('two');
  expect([keys.refuse('two'), keys.current]).toEqual([true, 'one']);
  expect(keys.refuse('one')).toBe(false);
});

it('shows a new one although the old one, still on its way, is refused after the change', () => {
  const keys = new ApiKeys(['old']);
  keys.renew(['new']);
  expect([keys.current, keys.refuse('old'), keys.current]).toEqual(['new', true, 'new']);
});

it('is not impressed by a change that is none, nor by there being none', () => {
  const keys = new ApiKeys(['one', 'two']);
  keys.refuse('one');
  keys.renew(['one', 'two']);
  keys.renew([]);
  expect([keys.current, keys.refuse('two')]).toEqual(['two', false]);
  expect([new ApiKeys([]).current, new ApiKeys([]).refuse('')]).toEqual(['', false]);
});
