/** How much of its thread's event loop a scheduler may use. */
export interface EventLoop {
  /** Runs `run` in this turn of the loop, once the packets already waiting in sockets have been read. */
  afterPolling(run: () => void): void;
  /** Blocks the thread for `ms`, fractions included. Absent where the thread has other work than the scheduler's. */
  readonly rest?: (ms: number) => void;
}

export const sharedEventLoop: EventLoop = { afterPolling: setImmediate };

const NEVER_WOKEN = new Int32Array(new SharedArrayBuffer(4));

/** Of a thread with nothing but media to see to. */
export const mediaEventLoop: EventLoop = {
  afterPolling: setImmediate,
  rest(ms) {
    Atomics.wait(NEVER_WOKEN, 0, 0, ms);
  },
};
