import { randomInt } from 'node:crypto';

/** How long a port rests by default: packets still on their way to the last call must not reach the next. */
const DEFAULT_REST_MS = 5_000;

export interface PortPoolOptions {
  /** First and last port of the range, both included. */
  minPort: number;
  maxPort: number;
  restMs?: number;
  /** Where in the range to begin, in [0, 1): random, so that the ports of a restarted process are not the same again. */
  start?: number;
}

/**
 * The even ports of a range, each with the odd one after it for RTCP (RFC 3550 section 11), given out round-robin: the
 * pair unused for longest first, and none before it has rested.
 */
export class PortPool {
  readonly #restMs: number;
  readonly #inUse = new Set<number>();
  /** Free ports as a ring, in the order they came back; that is also the order in which they are rested. */
  readonly #ports: Uint16Array;
  readonly #restedAtMs: Float64Array;
  #head = 0;
  #free: number;

  /** Throws RangeError if there is no such pair in the range, or it is not a range of ports. */
  constructor({ minPort, maxPort, restMs = DEFAULT_REST_MS, start = randomInt(2 ** 32) / 2 ** 32 }: PortPoolOptions) {
    const first = minPort + (minPort % 2);
    const count = Math.floor((maxPort + 1 - first) / 2);
    if (!Number.isInteger(minPort) || !Number.isInteger(maxPort) || minPort < 1 || maxPort > 65_535 || count < 1) {
      throw new RangeError(`No even port and the one after it in ${minPort}-${maxPort}`);
    }
    const begin = Math.floor(start * count);
    this.#restMs = restMs;
    this.#ports = Uint16Array.from({ length: count }, (_, i) => first + 2 * ((begin + i) % count));
    this.#restedAtMs = new Float64Array(count).fill(-Infinity);
    this.#free = count;
  }

  /** Pairs given out. */
  get inUse(): number {
    return this.#inUse.size;
  }

  /** Pairs not given out, those that rest included. */
  get free(): number {
    return this.#free;
  }

  /** The even port of a pair, or undefined if none is free and rested. */
  acquire(nowMs: number): number | undefined {
    const port = this.#ports[this.#head];
    if (port === undefined || this.#free === 0 || (this.#restedAtMs[this.#head] ?? 0) > nowMs) return undefined;
    this.#head = (this.#head + 1) % this.#ports.length;
    this.#free -= 1;
    this.#inUse.add(port);
    return port;
  }

  /** Takes a port back. Throws if it was not given out: a call that releases twice would give its port to two others. */
  release(port: number, nowMs: number): void {
    if (!this.#inUse.delete(port)) throw new Error(`Port ${port} is not in use`);
    const tail = (this.#head + this.#free) % this.#ports.length;
    this.#ports[tail] = port;
    this.#restedAtMs[tail] = nowMs + this.#restMs;
    this.#free += 1;
  }

  /** Takes back a port that turned out to be somebody else's: it is tried again in its turn, after a rest. */
  discard(port: number, nowMs: number): void {
    this.release(port, nowMs);
  }
}
