import { statSync } from 'node:fs';
import { isMapping } from './document.js';
import type { FaultList } from './faults.js';

const OTHERS_READ = 0o004;
const OTHERS_WRITE = 0o002;
const SECRET_KEYS = new Set(['apiKey', 'password', 'ha1']);

/** Warns of a file with a secret in it that every user of the machine can read or change. */
export function warnOfOpenSecret(path: string, file: string, faults: FaultList): void {
  warnOf(path, file, { bits: OTHERS_READ | OTHERS_WRITE, faults });
}

/** Warns of a configuration that every user of the machine can change, or read although it holds a secret. */
export function warnOfOpenConfiguration(file: string, document: unknown, faults: FaultList): void {
  warnOf('the configuration', file, {
    bits: holdsSecret(document) ? OTHERS_READ | OTHERS_WRITE : OTHERS_WRITE,
    faults,
  });
}

function warnOf(what: string, file: string, { bits, faults }: { bits: number; faults: FaultList }): void {
  // On Windows the bits say nothing of other users.
  const mode = process.platform === 'win32' ? 0 : (statSync(file, { throwIfNoEntry: false })?.mode ?? 0) & bits;
  if (mode === 0) return;
  const verbs = [mode & OTHERS_READ ? 'read' : '', mode & OTHERS_WRITE ? 'change' : ''].filter((verb) => verb !== '');
  faults.warn(`${what}: every user of this machine can ${verbs.join(' and ')} ${file}; chmod o-rwx takes that away`);
}

function holdsSecret(node: unknown): boolean {
  if (Array.isArray(node)) return node.some(holdsSecret);
  if (!isMapping(node)) return false;
  return Object.entries(node).some(([key, value]) =>
    SECRET_KEYS.has(key) ? typeof value === 'string' && value !== '' : holdsSecret(value),
  );
}
