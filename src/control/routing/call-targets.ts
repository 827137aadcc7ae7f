import type { AgentAddress } from '../../bridge/messages.js';
import type { Clock } from '../../clock.js';
import type { Route, Target } from '../../config/types.js';
import { agentTargetOf, describeTarget } from '../../pranthora/agent-target.js';
import type { AgentEnding } from '../../pranthora/endings.js';
import type { TargetBreaker } from './target-breaker.js';

export interface CallTargetsOptions {
  readonly breaker: TargetBreaker;
  readonly clock: Clock;
  readonly random: () => number;
  /** What `encoding: auto` stands for. */
  readonly callerLaw: AgentAddress['encoding'];
  /** What every agent of the call learns of it. */
  readonly about: Pick<AgentAddress, 'callSid' | 'agentCallId' | 'customParameters'>;
}

/**
 * The targets of a call's route, one after the other. Those whose breaker is open are skipped, and tried last where the
 * call has no other way.
 */
export class CallTargets {
  readonly #route: Route;
  readonly #options: CallTargetsOptions;
  readonly #left: Target[];
  /** Skipped so far. */
  readonly #skipped: Target[] = [];
  /** Keys that have changed since the call began. */
  readonly #renewed = new Map<Target, readonly string[]>();
  #current: Target | undefined;
  /** The breaker has let this call try the target, and waits for the result. */
  #trying = false;
  #lastEnding: AgentEnding = { kind: 'unreachable', detail: 'no target' };

  constructor(route: Route, options: CallTargetsOptions) {
    this.#route = route;
    this.#options = options;
    this.#left = [...orderTargets(route.targets, options.random)];
    this.#current = this.#left[0];
  }

  /** The one being tried or talking; before the first, the one that will be. */
  get current(): Target | undefined {
    return this.#current;
  }

  /** Why the last one did not take the call. */
  get lastEnding(): AgentEnding {
    return this.#lastEnding;
  }

  /** The next one to connect to; undefined when there is none left. */
  next(): AgentAddress | undefined {
    const { breaker, clock } = this.#options;
    for (let target = this.#left.shift(); target; target = this.#left.shift()) {
      const whyNot = breaker.whyNotTried(keyOf(target), clock.nowMs());
      if (!whyNot) return this.#try(target);
      this.#skip(target, whyNot);
    }
    return this.#nextSkipped();
  }

  succeeded(): void {
    this.#trying = false;
    if (this.#current) this.#options.breaker.succeeded(keyOf(this.#current));
  }

  failed(ending: AgentEnding): void {
    this.#trying = false;
    this.#lastEnding = ending;
    if (this.#current) this.#options.breaker.failed(keyOf(this.#current), ending, this.#options.clock.nowMs());
  }

  /** The call is over; an attempt still going on says nothing about its target. */
  release(): void {
    if (this.#trying && this.#current) this.#options.breaker.abandoned(keyOf(this.#current));
    this.#trying = false;
  }

  /** The configuration has changed. @returns the keys to show to the current target from now on. */
  renewKeys(routes: readonly Route[]): readonly string[] {
    for (const target of [...this.#left, ...this.#skipped, ...(this.#current ? [this.#current] : [])]) {
      const keys = keysAfterReload(target, this.#route.name, routes);
      if (keys) this.#renewed.set(target, keys);
    }
    return this.#current ? this.#keysFor(this.#current) : [];
  }

  #skip(target: Target, why: AgentEnding): void {
    this.#skipped.push(target);
    this.#current = target;
    this.#lastEnding = why;
  }

  /** A call that can be redirected has another way. */
  #nextSkipped(): AgentAddress | undefined {
    const { breaker, clock } = this.#options;
    const { fallback } = this.#route;
    if (fallback && 'redirect' in fallback) return undefined;
    for (let target = this.#skipped.shift(); target; target = this.#skipped.shift()) {
      if (!breaker.whyNotTriedAsLast(keyOf(target), clock.nowMs())) return this.#try(target);
    }
    return undefined;
  }

  #try(target: Target): AgentAddress {
    this.#current = target;
    this.#trying = true;
    const { mode, url } = target;
    const { about, callerLaw } = this.#options;
    const encoding = target.encoding === 'auto' ? callerLaw : target.encoding;
    return { mode, baseUrl: url, target: agentTargetOf(target), apiKeys: this.#keysFor(target), encoding, ...about };
  }

  #keysFor(target: Target): readonly string[] {
    return this.#renewed.get(target) ?? target.apiKeys;
  }
}

/** By mode too: the handshake's POST may be down while the pure WebSocket works. */
const keyOf = (target: Target): string => `${target.mode} ${target.url} ${describeTarget(target)}`;

/**
 * The keys a target of a call in progress has in a new configuration: those of the same agent on the route of that
 * name, else of that route or any other at the same URL. A key is never taken to another URL than it is configured for.
 * Undefined when the new configuration has none of these.
 */
function keysAfterReload(target: Target, routeName: string, routes: readonly Route[]): readonly string[] | undefined {
  const ofRoute = routes.find(({ name }) => name === routeName)?.targets ?? [];
  const ofAll = (): readonly Target[] => routes.flatMap(({ targets }) => targets);
  const isSame = (other: Target): boolean => isAtUrlOf(other) && describeTarget(other) === describeTarget(target);
  const isAtUrlOf = (other: Target): boolean => other.url === target.url;
  return (ofRoute.find(isSame) ?? ofRoute.find(isAtUrlOf) ?? ofAll().find(isSame))?.apiKeys;
}

/** Whether all of a route's targets are known to be unreachable. */
export function isUnreachable(route: Route, breaker: TargetBreaker, nowMs: number): boolean {
  return route.targets.every((target) => breaker.isUnreachable(keyOf(target), nowMs));
}

/**
 * The order in which a call tries its route's targets: as written, or, when any has a weight, drawn anew for each call
 * with the weights as odds (1 where none is given). A weight of 0 is a target that is only tried when the others fail.
 * `random` gives numbers in [0, 1).
 */
function orderTargets(targets: readonly Target[], random: () => number): readonly Target[] {
  if (targets.every(({ weight }) => weight === undefined)) return targets;
  const left = [...targets];
  const order: Target[] = [];
  while (left.length > 0) {
    const total = left.reduce((sum, target) => sum + weightOf(target), 0);
    let drawn = random() * total;
    let index = left.findIndex((target) => (drawn -= weightOf(target)) < 0);
    if (index < 0) index = 0;
    order.push(...left.splice(index, 1));
  }
  return order;
}

const weightOf = ({ weight = 1 }: Target): number => weight;
