import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  HISTORY,
  INPUT_SAMPLES,
  MAX_BLOCK,
  PlainKernel,
  type HalfBandKernel,
} from '../../../src/audio/half-band-kernel.js';
import { compileVectors } from '../../../src/audio/half-band-vectors.js';
import { HALF_TAPS } from '../../../src/audio/half-band.js';
import { seededRandom } from '../../support/signal.js';

const COUNTS = [1, 2, 3, 4, 5, 7, 8, 80, 159, 160, MAX_BLOCK];

/** Every processor the tests are run on has them. */
const vectors = compileVectors();
if (vectors === undefined) throw new Error('no vectors');
const formula = new PlainKernel();

function noise(seed: number): Int16Array {
  const random = seededRandom(seed);
  return Int16Array.from({ length: INPUT_SAMPLES }, () => Math.floor(random() * 65_536) - 32_768);
}

function upsample(kernel: HalfBandKernel, input: Int16Array, count: number): Int16Array {
  kernel.input.set(input);
  kernel.upsample(count);
  return kernel.output.slice(0, 2 * count);
}

function downsample(kernel: HalfBandKernel, input: Int16Array, count: number): Int16Array {
  kernel.input.set(input);
  kernel.downsample(count);
  return kernel.output.slice(0, count);
}

const differences = (a: Int16Array, b: Int16Array): number[] =>
  Array.from(a, (sample, i) => Math.abs(sample - (b[i] ?? 0))).filter((difference) => difference > 0);

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

describe.each([
  { name: 'upsample', work: upsample, perInstant: 1 },
  { name: 'downsample', work: downsample, perInstant: 2 },
])('$name in vectors', ({ work, perInstant }) => {
  it.each(COUNTS)('gives what the formula does, but for the rounding of very few samples: %d instants', (count) => {
    for (let seed = 1; seed <= 10; seed++) {
      const found = differences(work(vectors, noise(seed), count), work(formula, noise(seed), count));
      expect(found.filter((difference) => difference > 1)).toEqual([]);
      expect(found.length).toBeLessThanOrEqual(1 + 0.01 * count);
    }
  });

  it.each([1, 3, 5, 159])('reads nothing beyond its %d instants', (count) => {
    const input = noise(1);
    const cleared = input.slice().fill(0, perInstant * (HISTORY + count));
    expect(work(vectors, input, count)).toEqual(work(vectors, cleared, count));
  });
});

it('rounds halves upwards when it downsamples, in vectors as in the formula', () => {
  // What goes through the centre tap alone is halved exactly.
  const halves = Int16Array.of(1, -1, 3, -3, 20_001, -20_001, 32_767, -32_767);
  const input = new Int16Array(INPUT_SAMPLES);
  halves.forEach((sample, i) => (input[2 * (HALF_TAPS + i)] = sample));
  const rounded = halves.map((sample) => Math.round(sample / 2));
  expect(downsample(vectors, input, halves.length)).toEqual(rounded);
  expect(downsample(formula, input, halves.length)).toEqual(rounded);
});

describe('where there are no vectors', () => {
  const NO_VECTORS = {
    Module: function () {
      throw new SyntaxError('Wasm SIMD unsupported');
    },
  };

  it.each([
    ['no WebAssembly', undefined],
    ['no vectors in it', NO_VECTORS],
  ])('the formula does: %s', async (_, engine) => {
    const { Upsampler2x: InVectors } = await import('../../../src/audio/resampler.js');
    vi.resetModules();
    vi.stubGlobal('WebAssembly', engine);
    expect(compileVectors()).toBeUndefined();
    const { Upsampler2x: Plain } = await import('../../../src/audio/resampler.js');
    const input = noise(2).subarray(0, 160);
    const [expected, output] = [new Int16Array(320), new Int16Array(320)];
    new InVectors().process(input, 0, 160, expected, 0);
    new Plain().process(input, 0, 160, output, 0);
    expect(output.some((sample) => sample !== 0)).toBe(true);
    expect(differences(output, expected).filter((difference) => difference > 1)).toEqual([]);
  });
});
