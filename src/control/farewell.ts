import type { BridgeEvent, BridgeHandle } from '../bridge/messages.js';
import type { Report } from './call-reporter.js';

/** The farewell (`call.farewellMs`): what an agent that is gone has said is played out before the call ends or goes on. */
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

  /** The bridge has played out all but `leftMs`. */
  onPlayedOut({ leftMs }: Extract<BridgeEvent, { kind: 'played-out' }>): void {
    if (leftMs > 0) this.#report({ event: 'call.farewell_cut', leftMs });
    this.end();
  }

  /** Ends the wait, whatever is still queued. */
  end(): void {
    const then = this.#then;
    this.#then = undefined;
    then?.();
  }
}
