import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';
import type { CallEvent } from './call-events.js';

/**
 * Is handed each event, in the order they were published. One that returns a promise gets the next event when that is
 * settled. It must not change the event: all subscribers are handed the same object.
 */
export type CallSubscriber = (event: CallEvent) => void | Promise<void>;

export interface CallEventBusOptions {
  readonly clock: Clock;
  /** Gets `events.dropped` and `events.subscriber_failed`, each at most once a minute for a subscriber. */
  readonly logger: Logger;
  /** The most events kept for a subscriber that is behind. */
  readonly maxQueued?: number;
}

/** How a subscriber fares. */
export interface SubscriberState {
  readonly name: string;
  /** Events it has yet to be handed. */
  readonly queued: number;
  /** Events it never got, because it was too far behind. */
  readonly dropped: number;
  /** Events it threw at, or whose promise it rejected. */
  readonly failed: number;
}

interface CallSubscription {
  readonly name: string;
  readonly onEvent: CallSubscriber;
  /** Number of the next event to hand it. */
  next: number;
  /** Its promise is not settled yet. */
  isBusy: boolean;
  readonly dropped: Trouble;
  readonly failed: Trouble;
}

/** What is counted of a subscriber, and when the log last had the count. */
interface Trouble {
  count: number;
  loggedAtMs: number | undefined;
}

/** Several thousand calls may end in one turn. */
const MAX_QUEUED = 20_000;
/** Events delivered before the event loop gets its turn. */
const MAX_PER_TURN = 256;
const LOG_INTERVAL_MS = 60_000;
const FLUSH_LIMIT_MS = 1_000;

/**
 * The stream of call events, from the calls to their subscribers (log, records, health, …). Publishing only queues the event:
 * subscribers run later in the event loop's turn, outside the call's logic, so that none of them can delay or fail a call.
 *
 * One queue serves all, and each subscriber has its own place in it: those that keep up get event after event in the order
 * of their subscription. One that is `maxQueued` events behind loses the oldest; one that throws or rejects loses that event.
 * Both are counted and logged, and touch no other subscriber.
 */
export class CallEventBus {
  readonly #options: CallEventBusOptions;
  readonly #maxQueued: number;
  readonly #subscriptions = new Set<CallSubscription>();
  /** By number; those that all subscribers have got are removed. */
  readonly #events = new Map<number, CallEvent>();
  /** Numbers of the oldest event kept, and of the next to be published. */
  #first = 0;
  #end = 0;
  #isScheduled = false;
  readonly #whenIdle = new Set<() => void>();

  constructor(options: CallEventBusOptions) {
    this.#options = options;
    this.#maxQueued = options.maxQueued ?? MAX_QUEUED;
  }

  /** From the next event on. @returns what ends the subscription. */
  subscribe(name: string, onEvent: CallSubscriber): () => void {
    const subscription: CallSubscription = {
      ...{ name, onEvent, next: this.#end, isBusy: false },
      dropped: { count: 0, loggedAtMs: undefined },
      failed: { count: 0, loggedAtMs: undefined },
    };
    this.#subscriptions.add(subscription);
    return () => {
      this.#subscriptions.delete(subscription);
      this.#removeDelivered();
    };
  }

  /** Queues an event. Never throws, and calls no subscriber. */
  publish(event: CallEvent): void {
    if (this.#subscriptions.size === 0) return;
    this.#events.set(this.#end++, event);
    if (this.#events.size > this.#maxQueued) this.#dropOldest();
    this.#schedule();
  }

  /** Hands what is queued to the subscribers that are not busy, without waiting for the event loop's next turn. */
  deliverNow(): void {
    while (this.#deliverNext());
  }

  /** For the end: delivers what is queued. Resolves when the busy subscribers have had it too, or after `limitMs`. */
  flush(limitMs = FLUSH_LIMIT_MS): Promise<void> {
    this.deliverNow();
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        this.#whenIdle.delete(done);
        resolve();
      };
      const cancel = this.#options.clock.after(limitMs, done);
      this.#whenIdle.add(done);
    });
  }

  states(): SubscriberState[] {
    return [...this.#subscriptions].map(({ name, next, dropped, failed }) => ({
      ...{ name, queued: this.#end - next, dropped: dropped.count, failed: failed.count },
    }));
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    let left = MAX_PER_TURN;
    while (left > 0 && this.#deliverNext()) left -= 1;
    this.#isScheduled = false;
    if (left === 0) this.#schedule();
    if (this.#isIdle()) for (const done of this.#whenIdle) done();
  }

  /** Hands the oldest event that can be handed to those whose next one it is. False when there is none. */
  #deliverNext(): boolean {
    let number = this.#end;
    for (const { isBusy, next } of this.#subscriptions) if (!isBusy && next < number) number = next;
    const event = this.#events.get(number);
    if (!event) return false;
    for (const subscription of this.#subscriptions) {
      if (!subscription.isBusy && subscription.next === number) this.#hand(event, subscription);
    }
    this.#removeDelivered();
    return true;
  }

  #hand(event: CallEvent, subscription: CallSubscription): void {
    subscription.next += 1;
    try {
      const handled = subscription.onEvent(event);
      if (handled instanceof Promise) this.#waitFor(handled, subscription);
    } catch (error) {
      this.#onFailed(subscription, error);
    }
  }

  #waitFor(handled: Promise<void>, subscription: CallSubscription): void {
    subscription.isBusy = true;
    void handled
      .catch((error: unknown) => this.#onFailed(subscription, error))
      .then(() => {
        subscription.isBusy = false;
        this.#schedule();
      });
  }

  #isIdle(): boolean {
    for (const { isBusy, next } of this.#subscriptions) if (isBusy || next < this.#end) return false;
    return true;
  }

  #removeDelivered(): void {
    let kept = this.#end;
    for (const { next } of this.#subscriptions) if (next < kept) kept = next;
    while (this.#first < kept) this.#events.delete(this.#first++);
  }

  #dropOldest(): void {
    const number = this.#first++;
    this.#events.delete(number);
    for (const subscription of this.#subscriptions) {
      if (subscription.next !== number) continue;
      subscription.next += 1;
      if (!this.#isToBeLogged(subscription.dropped)) continue;
      const { name: subscriber, dropped } = subscription;
      this.#options.logger.warn({ event: 'events.dropped', subscriber, dropped: dropped.count });
    }
  }

  #onFailed(subscription: CallSubscription, error: unknown): void {
    if (!this.#isToBeLogged(subscription.failed)) return;
    const { name: subscriber, failed } = subscription;
    this.#options.logger.error({ event: 'events.subscriber_failed', subscriber, failed: failed.count, err: error });
  }

  /** Counts one more. */
  #isToBeLogged(trouble: Trouble): boolean {
    const nowMs = this.#options.clock.nowMs();
    trouble.count += 1;
    if (trouble.loggedAtMs !== undefined && nowMs - trouble.loggedAtMs < LOG_INTERVAL_MS) return false;
    trouble.loggedAtMs = nowMs;
    return true;
  }
}
