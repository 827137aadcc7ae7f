/**
 * Copies `count` samples. Whole arrays in one go, many times as fast; of a part a view would have to be made for that, on
 * each call.
 */
export function copySamples(
  from: Int16Array,
  fromOffset: number,
  count: number,
  to: Int16Array,
  toOffset: number,
): void {
  if (fromOffset === 0 && count === from.length) to.set(from, toOffset);
  else for (let i = 0; i < count; i++) to[toOffset + i] = from[fromOffset + i] ?? 0;
}
