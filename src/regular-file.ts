import { closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import type { Stats } from 'node:fs';

/**
 * The content of a file, or undefined when it has more than `maxBytes`.
 * @throws Error when it cannot be read, or is a FIFO or a device, which would be waited for, or never end
 */
export function readRegularFile(path: string, maxBytes: number): Buffer | undefined {
  const stats = statSync(path);
  const what = kindOf(stats);
  if (what !== undefined) throw new Error(`it is ${what}, not a regular file`);
  if (stats.size > maxBytes) return undefined;
  // Not to wait for what looks like a file and is none, such as /proc/kmsg, or was one a moment ago.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return readAll(fd, maxBytes);
  } finally {
    closeSync(fd);
  }
}

/** The same as text; too large a file is an error, too. */
export function readRegularText(path: string, maxBytes: number): string {
  const content = readRegularFile(path, maxBytes);
  if (!content) throw new RangeError(`${path} has more than ${maxBytes} bytes`);
  return content.toString('utf8');
}

/** What the system says of the size is not to be relied on: files in /proc have none. */
function readAll(fd: number, maxBytes: number): Buffer | undefined {
  const pieces: Buffer[] = [];
  for (let total = 0; total <= maxBytes;) {
    const piece = Buffer.alloc(Math.min(maxBytes + 1 - total, 64 * 1024));
    const length = readSync(fd, piece);
    if (length === 0) return Buffer.concat(pieces);
    pieces.push(piece.subarray(0, length));
    total += length;
  }
  return undefined;
}

/** Undefined for a file, and for a directory, of which the system itself says so. */
function kindOf(stats: Stats): string | undefined {
  if (stats.isFIFO()) return 'a FIFO (a named pipe)';
  if (stats.isSocket()) return 'a socket';
  return stats.isCharacterDevice() || stats.isBlockDevice() ? 'a device' : undefined;
}
