import { vi } from 'vitest';

/** Vitest's own second is little while others hold the processor. */
const PATIENCE_MS = 15_000;

const { waitFor } = vi;
vi.waitFor = (observe, options) =>
  waitFor(observe, typeof options === 'number' ? options : { timeout: PATIENCE_MS, ...options });
