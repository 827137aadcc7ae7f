import { spawnSync } from 'node:child_process';
import { hostPath } from './testbed.js';

/**
 * Stands for the `docker run` of drachtio-srf's tests: runs the sipp of this machine with the arguments that were meant for
 * the one in the container, and ends as it does.
 */
const [, , ...words] = process.argv;
const at = words.indexOf('sipp');
if (words[0] !== 'run' || at < 0) throw new Error(`not understood: docker ${words.join(' ')}`);

const volumes = words.slice(0, at).filter((_, n) => words[n - 1] === '-v');
const args = words.slice(at + 1).map((word) => hostPath(word, volumes, '/'));
const { status } = spawnSync('sipp', [...args, '-i', ownAddress(process.pid)], { stdio: 'inherit' });
process.exitCode = status ?? 1;

/** An address of the test bed's network that no service has, and no other sipp that runs now. */
function ownAddress(pid: number): string {
  return `172.29.${1 + ((pid >> 8) & 0x7f)}.${1 + (pid % 253)}`;
}
