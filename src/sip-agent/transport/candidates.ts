import type { Flow } from './flow.js';
import type { Hop } from './locate.js';
import type { Outages } from './blocklist.js';

/** A place to try, and whether the protocol was only our choice. */
export interface Way extends Hop {
  /** A request too large for UDP may go by TCP. */
  readonly mayUseTcp: boolean;
}

export interface WaysOptions {
  /** Best first; never empty. */
  readonly ways: readonly Way[];
  readonly outages: Outages;
  /** Rejects with an Error when there is no route. */
  readonly open: (way: Way) => Promise<Flow>;
}

/** The ways one request may take, each to be tried when the one before it has failed (RFC 3263 section 4.3). */
export class Ways {
  readonly #options: WaysOptions;
  #left: Way[];
  /** The one given last. */
  #current: Way | undefined;
  #error: unknown = new Error('no way to the target');
  #used = false;

  constructor(options: WaysOptions) {
    this.#options = options;
    this.#left = options.outages.last(options.ways);
  }

  /** Nothing is left to try. */
  get exhausted(): boolean {
    return this.#left.length === 0;
  }

  /** The next way's flow; undefined when none is left. Rejects when there never was one. */
  async next(): Promise<Flow | undefined> {
    for (let way = this.#left.shift(); way; way = this.#left.shift()) {
      this.#current = way;
      try {
        const flow = await this.#options.open(way);
        this.#used = true;
        return flow;
      } catch (error) {
        this.#error = error;
      }
    }
    if (!this.#used) throw this.#error;
    return undefined;
  }

  /** The way given last does not work; nothing is sent that way first for a while, unless it is the only one. */
  failed(): void {
    if (this.#current) this.#options.outages.note(this.#current);
  }

  /**
   * The request is too large for UDP (RFC 3261 section 18.1.1): TCP goes first from now on, and UDP where that fails.
   * True when the way given last is to be left for a better one.
   */
  preferTcp(): boolean {
    const udp = this.#current;
    if (!udp?.mayUseTcp) return false;
    const ways = [udp, ...this.#left].flatMap((way) => (way.mayUseTcp ? [overTcp(way), overUdp(way)] : [way]));
    this.#left = this.#options.outages.last(ways);
    return true;
  }
}

function overTcp(way: Way): Way {
  return { ...way, protocol: 'tcp', mayUseTcp: false };
}

function overUdp(way: Way): Way {
  return { ...way, mayUseTcp: false };
}
