import { composeOutside, type ComposedRequest } from './compose-request.js';
import type { Flow } from '../transport/flow.js';
import type { SipRequest } from '../syntax/message.js';
import type { Candidates } from '../transport/candidates.js';

/** Octets beyond which a request goes by TCP, as the path's MTU is unknown (RFC 3261 section 18.1.1). */
const MAX_UDP_BYTES = 1_300;
/** A Via of ours with the longest address there is. */
const VIA_BYTES = 120;
/** Attempts for one request: each may take 64·T1 to fail. */
const MAX_ATTEMPTS = 4;

/** A request as it is sent to one candidate. */
export interface Attempt {
  readonly composed: ComposedRequest;
  readonly flow: Flow;
}

/**
 * Failover of a request outside a dialog (RFC 3263 section 4.3): each attempt is the same request, with the same Call-ID,
 * From tag and CSeq, composed for the next candidate.
 */
export class Failover {
  readonly #candidates: Candidates;
  /** The client's request; after the first attempt it has the From, Call-ID and CSeq of that attempt. */
  readonly #given: SipRequest;
  readonly #complete: (request: SipRequest) => void;
  #attempts = 0;

  /** `complete` is called with the request of every attempt, to add the header fields that are ours to add. */
  constructor(candidates: Candidates, given: SipRequest, complete: (request: SipRequest) => void) {
    this.#candidates = candidates;
    this.#given = given;
    this.#complete = complete;
  }

  /**
   * The first attempt, or the one after an attempt that failed; undefined when there is none. Rejects with an Error that
   * says why when nothing can be sent at all.
   */
  async next(): Promise<Attempt | undefined> {
    if (this.#attempts > 0) this.#candidates.failed();
    this.#attempts++;
    const attempt = await this.#compose();
    const isTooLarge =
      attempt && !attempt.flow.reliable && attempt.composed.request.toBuffer().length + VIA_BYTES > MAX_UDP_BYTES;
    return isTooLarge && this.#candidates.preferTcp() ? this.#compose() : attempt;
  }

  /**
   * Goes on after an attempt that failed: `go` is called with the next one and returns whether it was sent. If it was not,
   * or if no candidate is left, `giveUp` is called.
   */
  async goOn(go: (attempt: Attempt) => boolean, giveUp: () => void): Promise<void> {
    if (this.#candidates.exhausted || this.#attempts >= MAX_ATTEMPTS || !(await this.#offer(go))) giveUp();
  }

  async #offer(go: (attempt: Attempt) => boolean): Promise<boolean> {
    try {
      const attempt = await this.next();
      return attempt !== undefined && go(attempt);
    } catch {
      return false;
    }
  }

  async #compose(): Promise<Attempt | undefined> {
    const flow = await this.#candidates.next();
    if (!flow) return undefined;
    const composed = composeOutside(this.#given, flow);
    this.#complete(composed.request);
    for (const name of ['from', 'call-id', 'cseq'] as const) {
      this.#given.set(name, composed.request.get(name) ?? '');
    }
    return { composed, flow };
  }
}
