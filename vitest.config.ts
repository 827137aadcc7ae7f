import { defineConfig } from 'vitest/config';
import { SkipReporter } from './test/support/skip-reporter.js';

export default defineConfig({
  test: {
    // None of these asserts anything: they are for a machine whose processors others hold.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 15_000 } },
    reporters: ['default', new SkipReporter()],
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
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
