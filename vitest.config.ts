import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // None of these asserts anything: they are for a machine whose processors others hold.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 15_000 } },
    setupFiles: ['test/support/patience.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'fast',
          include: ['test/{unit,call,contract}/**/*.test.ts'],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // Real calls in real time: one file after the other, with the machine to itself. What they measure is the
        // bridge, not how two test files share two cores.
        extends: true,
        test: {
          name: 'wire',
          include: ['test/integration/**/*.test.ts'],
          maxWorkers: 1,
          // Phones we did not write have races of their own (sipp, when a 100 and a 180 come in one read).
          retry: 2,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
