import { readFileSync } from 'node:fs';

/** Two sockets for RTP and RTCP, one to the agent, and one for a caller's own TCP connection. */
const PER_CALL = 4;
/** Listeners, threads, probes and files. */
const BESIDE_CALLS = 64;

/** How many file descriptors this process may have: `ulimit -Hn`, for Node raises the soft limit. Undefined where unknown. */
export function descriptorLimit(): number | undefined {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    // Not Linux.
    return undefined;
  }
}

/** Why so many calls at once cannot be had with that many descriptors, in words; undefined if they can. */
export function tooFewDescriptors(maxConcurrent: number, limit = descriptorLimit()): string | undefined {
  const needed = maxConcurrent * PER_CALL + BESIDE_CALLS;
  if (limit === undefined || limit >= needed) return undefined;
  const room = Math.max(0, Math.floor((limit - BESIDE_CALLS) / PER_CALL));
  return `${limit} file descriptors (ulimit -n) are enough for some ${room} calls; ${maxConcurrent} (call.maxConcurrent) may need ${needed}`;
}
