import { describe, expect, it } from 'vitest';
import { CallEventBus, type CallSubscriber } from '../../../src/events/call-event-bus.js';
import type { CallEvent } from '../../../src/events/call-events.js';
import type { CallFacts } from '../../../src/events/call-record.js';
import { FakeClock } from '../../support/fake-clock.js';
import { RecordingLogger } from '../../support/recording-logger.js';

const MINUTE_MS = 60_000;

/** The event loop's next turn: what was published before has been delivered, as far as one turn goes. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function busUnderTest(maxQueued?: number): { bus: CallEventBus; clock: FakeClock; logger: RecordingLogger } {
  const clock = new FakeClock();
  const logger = new RecordingLogger();
  const bus = new CallEventBus({ clock, logger, ...(maxQueued === undefined ? {} : { maxQueued }) });
  return { bus, clock, logger };
}

/** The event number `n` of a call. */
function happening(n: number, callId = 'call-1'): CallEvent {
  const call: CallFacts = {
    ...{ callId, agentCallId: `uuid of ${callId}`, from: 'alice', to: '100', did: '100' },
    ...{ sipEngine: 'embedded', mediaEngine: 'embedded', receivedAt: '2026-01-02T03:04:05.000Z' },
  };
  return { event: 'call.transfer_progress', status: n, call, atMs: n, wallMs: n };
}

const publish = (bus: CallEventBus, from: number, to: number): void => {
  for (let n = from; n <= to; n++) bus.publish(happening(n));
};

const numberOf = (event: CallEvent): number => event.atMs;

/** Keeps the numbers of what it gets. */
class Listener {
  readonly got: number[] = [];
  readonly onEvent: CallSubscriber = (event) => void this.got.push(numberOf(event));
}

/** Has one event in its hands at a time, until the test takes it. */
class SlowListener {
  readonly got: number[] = [];
  readonly #taken: { resolve: () => void; reject: (error: Error) => void }[] = [];
  readonly onEvent = (event: CallEvent): Promise<void> => {
    this.got.push(numberOf(event));
    return new Promise((resolve, reject) => this.#taken.push({ resolve, reject }));
  };

  async take(): Promise<void> {
    this.#taken.shift()?.resolve();
    await turn();
    await turn();
  }

  async fail(): Promise<void> {
    this.#taken.shift()?.reject(new Error('receiver gone'));
    await turn();
    await turn();
  }
}

const oneTo = (n: number): number[] => Array.from({ length: n }, (_, index) => index + 1);

describe('the bus of call events', () => {
  it('calls no subscriber while an event is published', async () => {
    const { bus } = busUnderTest();
    const listener = new Listener();
    bus.subscribe('listener', listener.onEvent);
    publish(bus, 1, 3);
    await Promise.resolve();
    expect(listener.got).toEqual([]);
    await turn();
    expect(listener.got).toEqual([1, 2, 3]);
  });

  it('hands each event to all subscribers, in the order of their subscription, before the next one', async () => {
    const { bus } = busUnderTest();
    const seen: string[] = [];
    for (const name of ['a', 'b']) bus.subscribe(name, (event) => void seen.push(`${name}${numberOf(event)}`));
    publish(bus, 1, 2);
    await turn();
    expect(seen).toEqual(['a1', 'b1', 'a2', 'b2']);
  });

  it('puts what a subscriber publishes behind what is there', async () => {
    const { bus } = busUnderTest();
    const listener = new Listener();
    bus.subscribe('records', (event) => {
      if (numberOf(event) === 1) bus.publish(happening(10));
    });
    bus.subscribe('listener', listener.onEvent);
    publish(bus, 1, 2);
    await turn();
    expect(listener.got).toEqual([1, 2, 10]);
  });

  it('begins with the next event, and ends with the subscription', async () => {
    const { bus } = busUnderTest();
    const [first, second] = [new Listener(), new Listener()];
    bus.subscribe('first', first.onEvent);
    publish(bus, 1, 1);
    const end = bus.subscribe('second', second.onEvent);
    publish(bus, 2, 2);
    await turn();
    publish(bus, 3, 3);
    end();
    await turn();
    expect([first.got, second.got]).toEqual([[1, 2, 3], [2]]);
    expect(bus.states().map(({ name }) => name)).toEqual(['first']);
  });

  it('leaves the event loop its turns while much is queued', async () => {
    const { bus } = busUnderTest();
    const listener = new Listener();
    bus.subscribe('listener', listener.onEvent);
    publish(bus, 1, 1_000);
    await turn();
    expect(listener.got).toEqual(oneTo(256));
    for (let turns = 1; turns < 4; turns++) await turn();
    expect(listener.got).toEqual(oneTo(1_000));
  });

  it('keeps nothing when nobody listens, nor when all have had it', async () => {
    const { bus } = busUnderTest(10);
    publish(bus, 1, 100);
    const listener = new Listener();
    bus.subscribe('listener', listener.onEvent);
    for (let n = 1; n <= 30; n++) {
      publish(bus, n, n);
      await turn();
    }
    expect(listener.got).toEqual(oneTo(30));
    expect(bus.states()).toEqual([{ name: 'listener', queued: 0, dropped: 0, failed: 0 }]);
  });
});

describe('a subscriber that throws', () => {
  it('loses that event alone, and touches no other', async () => {
    const { bus } = busUnderTest();
    const [faulty, listener] = [new Listener(), new Listener()];
    bus.subscribe('faulty', (event) => {
      if (numberOf(event) % 2 === 0) throw new Error('cannot count');
      return faulty.onEvent(event);
    });
    bus.subscribe('listener', listener.onEvent);
    publish(bus, 1, 5);
    await turn();
    expect([faulty.got, listener.got]).toEqual([[1, 3, 5], oneTo(5)]);
    expect(bus.states()).toEqual([
      { name: 'faulty', queued: 0, dropped: 0, failed: 2 },
      { name: 'listener', queued: 0, dropped: 0, failed: 0 },
    ]);
  });

  it('is in the log once a minute, with the count', async () => {
    const { bus, clock, logger } = busUnderTest();
    const error = new Error('always');
    bus.subscribe('faulty', () => {
      throw error;
    });
    publish(bus, 1, 50);
    await turn();
    clock.advance(MINUTE_MS);
    publish(bus, 1, 50);
    await turn();
    expect(logger.lines).toEqual([
      { event: 'events.subscriber_failed', subscriber: 'faulty', failed: 1, err: error, level: 'error' },
      { event: 'events.subscriber_failed', subscriber: 'faulty', failed: 51, err: error, level: 'error' },
    ]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('may throw later: a promise that is rejected counts as well', async () => {
    const { bus } = busUnderTest();
    const slow = new SlowListener();
    bus.subscribe('slow', slow.onEvent);
    publish(bus, 1, 2);
    await turn();
    await slow.fail();
    await slow.take();
    expect(slow.got).toEqual([1, 2]);
    expect(bus.states()).toEqual([{ name: 'slow', queued: 0, dropped: 0, failed: 1 }]);
  });
});

describe('a subscriber that is slow', () => {
  it('gets one event at a time, all of them in order, and keeps no other waiting', async () => {
    const { bus } = busUnderTest();
    const [slow, listener] = [new SlowListener(), new Listener()];
    bus.subscribe('slow', slow.onEvent);
    bus.subscribe('listener', listener.onEvent);
    publish(bus, 1, 4);
    await turn();
    expect([slow.got, listener.got]).toEqual([[1], oneTo(4)]);
    publish(bus, 5, 6);
    await turn();
    expect(listener.got).toEqual(oneTo(6));
    for (let n = 2; n <= 6; n++) {
      await slow.take();
      expect(slow.got).toEqual(oneTo(n));
    }
    await slow.take();
    expect(bus.states().map(({ queued, dropped }) => [queued, dropped])).toEqual([
      [0, 0],
      [0, 0],
    ]);
  });

  it('loses the oldest events when too many wait, which are counted, and goes on with what is left', async () => {
    const { bus, clock, logger } = busUnderTest(10);
    const [slow, listener] = [new SlowListener(), new Listener()];
    bus.subscribe('slow', slow.onEvent);
    bus.subscribe('listener', listener.onEvent);
    for (let n = 1; n <= 100; n++) {
      publish(bus, n, n);
      await turn();
    }
    expect(listener.got).toEqual(oneTo(100));
    expect(bus.states()).toEqual([
      { name: 'slow', queued: 10, dropped: 89, failed: 0 },
      { name: 'listener', queued: 0, dropped: 0, failed: 0 },
    ]);
    expect(logger.lines).toEqual([{ event: 'events.dropped', subscriber: 'slow', dropped: 1, level: 'warn' }]);
    clock.advance(MINUTE_MS);
    publish(bus, 101, 101);
    expect(logger.of('events.dropped').map(({ dropped }) => dropped)).toEqual([1, 90]);
    await slow.take();
    expect(slow.got).toEqual([1, 92]);
  });

  it('may never return: what others get and what is kept for it stay the same', async () => {
    const { bus, clock } = busUnderTest(10);
    const listener = new Listener();
    bus.subscribe('stuck', () => new Promise<void>(() => undefined));
    bus.subscribe('listener', listener.onEvent);
    publish(bus, 1, 5);
    await turn();
    const flushed = bus.flush(1_000);
    expect(listener.got).toEqual(oneTo(5));
    clock.advance(1_000);
    await flushed;
    expect(bus.states()[0]).toEqual({ name: 'stuck', queued: 4, dropped: 0, failed: 0 });
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('flush', () => {
  it('delivers at once what those who return at once have not had', async () => {
    const { bus, clock } = busUnderTest();
    const listener = new Listener();
    bus.subscribe('listener', listener.onEvent);
    publish(bus, 1, 1_000);
    const flushed = bus.flush();
    expect(listener.got).toEqual(oneTo(1_000));
    await flushed;
    expect(clock.pendingTimers).toBe(0);
  });

  it('waits for those who take their time', async () => {
    const { bus, clock } = busUnderTest();
    const slow = new SlowListener();
    bus.subscribe('slow', slow.onEvent);
    publish(bus, 1, 2);
    let isFlushed = false;
    const flushed = bus.flush().then(() => (isFlushed = true));
    await slow.take();
    expect([slow.got, isFlushed]).toEqual([[1, 2], false]);
    await slow.take();
    await flushed;
    expect(clock.pendingTimers).toBe(0);
  });
});
