import { randomInt } from 'node:crypto';

/** How long a port rests by default: packets still on their way to the last call must not reach the next. */
const DEFAULT_REST_MS = 5_000;

export interface PortPoolOptions {
  /** First and last port of the range, both included. */
  minPort: number;
  maxPort: number;
  restMs?: number;
  /** A whole number of at least 0 and below `count`: which of that many ports is next. */
  random?: (count: number) => number;
}

/**
 * The even ports of a range, each with the odd one after it for RTCP (RFC 3550 section 11). Each is drawn at random among
 * those that have rested, so that who has seen one call's port knows nothing of the next one's (RFC 6056 section 3.3).
 */
export class PortPool {
  readonly #restMs: number;
  readonly #random: (count: number) => number;
  readonly #inUse = new Set<number>();
  /** Free and rested, in no order: the first `#rested` of them. */
  readonly #ports: Uint16Array;
  #rested: number;
  /** Free and resting: a ring in the order they came back, which is also the order in which they are rested. */
  readonly #resting: Uint16Array;
  readonly #restedAtMs: Float64Array;
  #head = 0;
  #restingCount = 0;

  /** Throws RangeError if there is no such pair in the range, or it is not a range of ports. */
  constructor({ minPort, maxPort, restMs = DEFAULT_REST_MS, random = (count) => randomInt(count) }: PortPoolOptions) {
    const first = minPort + (minPort % 2);
    const count = Math.floor((maxPort + 1 - first) / 2);
    if (!Number.isInteger(minPort) || !Number.isInteger(maxPort) || minPort < 1 || maxPort > 65_535 || count < 1) {
      throw new RangeError(`No even port and the one after it in ${minPort}-${maxPort}`);
    }
    this.#restMs = restMs;
    this.#random = random;
    this.#ports = Uint16Array.from({ length: count }, (_, i) => first + 2 * i);
    this.#rested = count;
    this.#resting = new Uint16Array(count);
    this.#restedAtMs = new Float64Array(count);
  }

  /** Pairs given out. */
  get inUse(): number {
    return this.#inUse.size;
  }

  /** Pairs not given out, those that rest included. */
  get free(): number {
    return this.#rested + this.#restingCount;
  }

  /** The even port of a pair, or undefined if none is free and rested. */
  acquire(nowMs: number): number | undefined {
    this.#wake(nowMs);
    if (this.#rested === 0) return undefined;
    const drawn = this.#random(this.#rested);
    const port = this.#ports[drawn];
    if (port === undefined) throw new RangeError(`${drawn} is not one of ${this.#rested} ports`);
    this.#rested -= 1;
    this.#ports[drawn] = this.#ports[this.#rested] ?? 0;
    this.#inUse.add(port);
    return port;
  }

  /** Takes a port back. Throws if it was not given out: a call that releases twice would give its port to two others. */
  release(port: number, nowMs: number): void {
    if (!this.#inUse.delete(port)) throw new Error(`Port ${port} is not in use`);
    const tail = (this.#head + this.#restingCount) % this.#resting.length;
    this.#resting[tail] = port;
    this.#restedAtMs[tail] = nowMs + this.#restMs;
    this.#restingCount += 1;
  }

  /** Takes back a port that turned out to be somebody else's: it may be drawn again after a rest. */
  discard(port: number, nowMs: number): void {
    this.release(port, nowMs);
  }

  /** Each port is moved once for each time it was given out. */
  #wake(nowMs: number): void {
    while (this.#restingCount > 0 && (this.#restedAtMs[this.#head] ?? 0) <= nowMs) {
      this.#ports[this.#rested] = this.#resting[this.#head] ?? 0;
      this.#rested += 1;
      this.#restingCount -= 1;
      this.#head = (this.#head + 1) % this.#resting.length;
    }
  }
}
