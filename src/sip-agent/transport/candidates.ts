import type { Flow } from './flow.js';
import type { Hop } from './locate.js';
import type { Blocklist } from './blocklist.js';

/** One server a request may be sent to. */
export interface Candidate extends Hop {
  /** UDP was our choice and not the URI's: a request too large for it may go by TCP. */
  readonly mayUseTcp: boolean;
}

export interface CandidatesOptions {
  /** Best first; never empty. */
  readonly candidates: readonly Candidate[];
  readonly blocklist: Blocklist;
  /** Rejects with an Error when there is no route. */
  readonly open: (candidate: Candidate) => Promise<Flow>;
}

/** The servers one request may be sent to, each tried when the one before it has failed (RFC 3263 section 4.3). */
export class Candidates {
  readonly #options: CandidatesOptions;
  #left: Candidate[];
  /** The one tried last. */
  #current: Candidate | undefined;
  #error: unknown = new Error('no route to the target');
  #used = false;

  constructor(options: CandidatesOptions) {
    this.#options = options;
    this.#left = options.blocklist.blockedLast(options.candidates);
  }

  /** No candidate is left to try. */
  get exhausted(): boolean {
    return this.#left.length === 0;
  }

  /** The flow to the next candidate; undefined when none is left. Rejects when no candidate could be opened at all. */
  async next(): Promise<Flow | undefined> {
    for (let candidate = this.#left.shift(); candidate; candidate = this.#left.shift()) {
      this.#current = candidate;
      try {
        const flow = await this.#options.open(candidate);
        this.#used = true;
        return flow;
      } catch (error) {
        this.#error = error;
      }
    }
    if (!this.#used) throw this.#error;
    return undefined;
  }

  /** The candidate tried last has failed: for a while it is tried after all others. */
  failed(): void {
    if (this.#current) this.#options.blocklist.block(this.#current);
  }

  /**
   * The request is too large for UDP (RFC 3261 section 18.1.1): from now on TCP is tried first, and UDP where TCP fails.
   * True when `next` has to be called again for a better candidate.
   */
  preferTcp(): boolean {
    const udp = this.#current;
    if (!udp?.mayUseTcp) return false;
    const candidates = [udp, ...this.#left].flatMap((each) =>
      each.mayUseTcp ? [overTcp(each), overUdp(each)] : [each],
    );
    this.#left = this.#options.blocklist.blockedLast(candidates);
    return true;
  }
}

function overTcp(candidate: Candidate): Candidate {
  return { ...candidate, protocol: 'tcp', mayUseTcp: false };
}

function overUdp(candidate: Candidate): Candidate {
  return { ...candidate, mayUseTcp: false };
}
