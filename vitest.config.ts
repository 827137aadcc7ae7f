import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 20_000,
    // Two cores: more processes than that only add jitter to the tests that measure audio on the wire.
    maxWorkers: 2,
    reporters: ['default'],
  },
});
