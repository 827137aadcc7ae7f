import type { BridgeEvent, BridgeHandle } from '../bridge/messages.js';
import type { Report } from './call-reporter.js';

/** What agents that are gone have said and the caller has not heard yet: the call goes on until it is played. */
export class Farewell {
  readonly #bridge: BridgeHandle;
  readonly #report: Report;
  #then: (() => void) | undefined;

  constructor(bridge: BridgeHandle, report: Report) {
    this.#bridge = bridge;
    this.#report = report;
  }

  get isUnderWay(): boolean {
    return this.#then !== undefined;
  }

  /** `then` is called once what is queued has been played, or `call.farewellMs` is over. */
  begin(then: () => void): void {
    this.#then = then;
    this.#bridge.playOut();
  }

  /** As the bridge tells. */
  played({ leftMs }: Extract<BridgeEvent, { kind: 'played-out' }>): void {
    if (leftMs > 0) this.#report({ event: 'call.farewell_cut', leftMs: Math.round(leftMs) });
    this.end();
  }

  /** Whatever is left is not worth waiting for. */
  end(): void {
    const then = this.#then;
    this.#then = undefined;
    then?.();
  }
}
