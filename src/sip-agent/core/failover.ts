import { composeOutside, type ComposedRequest } from './compose-request.js';
import type { Flow } from '../transport/flow.js';
import type { SipRequest } from '../syntax/message.js';
import type { Ways } from '../transport/candidates.js';

/** Octets beyond which a request goes by TCP, as nobody knows the path's MTU (RFC 3261 section 18.1.1). */
const MAX_UDP_BYTES = 1_300;
/** A Via of ours with the longest address there is. */
const VIA_BYTES = 120;
/** Ways tried for one request: each may take 64·T1 to fail. */
const MAX_LEGS = 4;

/** A request as it goes one way. */
export interface Leg {
  readonly composed: ComposedRequest;
  readonly flow: Flow;
}

/**
 * A request outside a dialog and its ways to the target: each leg is the same request, Call-ID, From tag and CSeq, made
 * for the next way (RFC 3263 section 4.3).
 */
export class Journey {
  readonly #ways: Ways;
  /** The client's request; from the first leg on with the names that leg was given. */
  readonly #given: SipRequest;
  readonly #complete: (request: SipRequest) => void;
  #legs = 0;

  /** `complete` is given every leg's request to add what is ours to say in it. */
  constructor(ways: Ways, given: SipRequest, complete: (request: SipRequest) => void) {
    this.#ways = ways;
    this.#given = given;
    this.#complete = complete;
  }

  /**
   * The first leg, or the one after a leg that failed; undefined when there is none. Rejects when nothing can be sent at
   * all, with an Error that says why.
   */
  async next(): Promise<Leg | undefined> {
    if (this.#legs > 0) this.#ways.failed();
    this.#legs++;
    const leg = await this.#compose();
    const tooLarge = leg && !leg.flow.reliable && leg.composed.request.toBuffer().length + VIA_BYTES > MAX_UDP_BYTES;
    return tooLarge && this.#ways.preferTcp() ? this.#compose() : leg;
  }

  /**
   * Goes on after a leg that has failed: `go` is given the next one and says whether it took it. If not, or if there is
   * none, `giveUp` is called, and at once when nothing was left to try.
   */
  async goOn(go: (leg: Leg) => boolean, giveUp: () => void): Promise<void> {
    if (this.#ways.exhausted || this.#legs >= MAX_LEGS || !(await this.#offer(go))) giveUp();
  }

  async #offer(go: (leg: Leg) => boolean): Promise<boolean> {
    try {
      const leg = await this.next();
      return leg !== undefined && go(leg);
    } catch {
      return false;
    }
  }

  async #compose(): Promise<Leg | undefined> {
    const flow = await this.#ways.next();
    if (!flow) return undefined;
    const composed = composeOutside(this.#given, flow);
    this.#complete(composed.request);
    for (const name of ['from', 'call-id', 'cseq'] as const) {
      this.#given.set(name, composed.request.get(name) ?? '');
    }
    return { composed, flow };
  }
}
