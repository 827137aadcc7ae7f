import { describe, expect, it } from 'vitest';
import { f32x4, i32, instantiate, v128 } from '../../../src/audio/wasm-code.js';

/** Has V8 read a module that stores 1.5 at `address + offset`, and gives its memory after that. */
function storedAt(address: number, offset: number): DataView {
  const body = v128.store(i32.const(address), f32x4.splat(1.5), offset);
  const { memory, store } = instantiate([{ name: 'store', parameters: [], locals: [], body }]) as {
    memory: { buffer: ArrayBuffer };
    store: () => void;
  };
  store();
  return new DataView(memory.buffer);
}

describe('WebAssembly code', () => {
  it.each([0, 1, 63, 64, 127, 128, 8_191, 8_192, 16_383, 16_384, 65_520])('writes a number as LEB128: %d', (value) => {
    expect(storedAt(value, 0).getFloat32(value, true)).toBe(1.5);
    expect(storedAt(0, value).getFloat32(value, true)).toBe(1.5);
  });

  it('writes negative numbers as well', () => {
    // As an address it is taken for an unsigned number, beyond the memory.
    for (const value of [-1, -64, -65, -8_193]) expect(() => storedAt(value, 0)).toThrow('out of bounds');
  });
});
