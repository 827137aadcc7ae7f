/** How often each thread of the bridge reports. */
export const PROBE_PERIOD_MS = 5_000;

/** `event` of a report among the lines of the bridge's log. */
export const PROBE_EVENT = 'soak.probe';

/** What one thread of the bridge tells of itself. */
export interface ProbeReport {
  readonly event: typeof PROBE_EVENT;
  /** 0 is the main thread; the others carry media. */
  readonly thread: number;
  /** How much later than due the event loop came to a timer, over the last period. */
  readonly delayP99Ms: number;
  /** What keeps the event loop alive, by kind: sockets, servers, timers and so on. */
  readonly handles: Readonly<Record<string, number>>;
}
