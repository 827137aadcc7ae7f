import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { ConfigError, formatFault } from '../../../src/config/faults.js';
import { loadConfig } from '../../../src/config/load.js';
import type { LoadOptions, LoadedConfig } from '../../../src/config/load.js';

export const KEY = 'test-key-0123456789';
export const ROUTES = 'routes: [{default: true, agentId: a1}]\n';

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** A file in a folder of its own, both gone after the test. */
export function temporaryFile(content: string, name = 'bridge.yaml'): string {
  const folder = mkdtempSync(join(tmpdir(), 'bridge-config-'));
  folders.push(folder);
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

/** What comes out of a file's text, with a key in the environment. */
export function load(content: string, options: Omit<LoadOptions, 'file'> = {}): LoadedConfig {
  return loadConfig({ ...options, file: temporaryFile(content), env: { PRANTHORA_API_KEY: KEY, ...options.env } });
}

/** The faults of a file's text, as they are printed; fails if there is none. */
export function faultsOf(content: string, options: Omit<LoadOptions, 'file'> = {}): string[] {
  return faultsIn(() => load(content, options));
}

export function faultsIn(attempt: () => unknown): string[] {
  try {
    attempt();
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map(formatFault);
    throw error;
  }
  throw new Error('no fault was found');
}
