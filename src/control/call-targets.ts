import type { AgentAddress } from '../bridge/messages.js';
import type { Clock } from '../clock.js';
import type { Route, Target } from '../config/types.js';
import type { AgentEnding } from '../pranthora/endings.js';
import type { TargetBreaker } from './target-breaker.js';
import { orderTargets } from './target-order.js';

export interface CallTargetsOptions {
  readonly breaker: TargetBreaker;
  readonly clock: Clock;
  readonly random: () => number;
  /** What every agent of the call is told about it. */
  readonly about: Pick<AgentAddress, 'callSid' | 'customParameters'>;
}

/** The targets of a call's route, one after the other, leaving out those known to be unreachable. */
export class CallTargets {
  readonly #route: Route;
  readonly #options: CallTargetsOptions;
  readonly #order: readonly Target[];
  #index = -1;
  /** Let through by the breaker, which has not been told yet how it went. */
  #trying = false;
  #lastEnding: AgentEnding = { kind: 'unreachable', detail: 'no target' };

  constructor(route: Route, options: CallTargetsOptions) {
    this.#route = route;
    this.#options = options;
    this.#order = orderTargets(route.targets, options.random);
  }

  /** The one being tried or talking; before the first, the one that will be. */
  get current(): Target | undefined {
    return this.#order[Math.max(0, this.#index)];
  }

  /** Why the last one did not take the call. */
  get lastEnding(): AgentEnding {
    return this.#lastEnding;
  }

  /** The next one to connect to; undefined when there is none left. */
  next(): AgentAddress | undefined {
    const { breaker, clock } = this.#options;
    for (this.#index += 1; this.#index < this.#order.length; this.#index += 1) {
      const closedOff = breaker.whyClosedOff(this.#key(), clock.nowMs());
      if (!closedOff) {
        this.#trying = true;
        return this.#address();
      }
      this.#lastEnding = closedOff;
    }
    this.#index = this.#order.length - 1;
    return undefined;
  }

  succeeded(): void {
    this.#trying = false;
    this.#options.breaker.succeeded(this.#key());
  }

  failed(ending: AgentEnding): void {
    this.#trying = false;
    this.#lastEnding = ending;
    this.#options.breaker.failed(this.#key(), ending, this.#options.clock.nowMs());
  }

  /** The call is over; an attempt still going on says nothing about its target. */
  release(): void {
    if (this.#trying) this.#options.breaker.abandoned(this.#key());
    this.#trying = false;
  }

  #address(): AgentAddress | undefined {
    const target = this.current;
    if (!target) return undefined;
    const { mode, url, apiKey, encoding } = this.#route;
    const { agentId, workflowId } = target;
    const agent = agentId === undefined ? { workflowId } : { agentId };
    return { mode, baseUrl: url, target: agent, apiKey, encoding, ...this.#options.about };
  }

  #key(): string {
    const { agentId, workflowId } = this.current ?? {};
    return `${this.#route.url} ${agentId ?? ''} ${workflowId ?? ''}`;
  }
}
