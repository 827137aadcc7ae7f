import { LRUCache } from 'lru-cache';
import type { AgentLogFields, AgentLogger, StopTimer, AgentClock } from '../environment.js';

/** Refusals sent to an unknown source before its requests are ignored: enough to see the reason of a wrong setup. */
const REFUSALS = 3;
/** A source that is silent for this long is forgotten. */
const QUIET_MS = 10 * 60_000;
const SUMMARY_INTERVAL_MS = 60 * 60_000;
const SWEEP_INTERVAL_MS = 60_000;
/** Sources remembered; beyond this the one silent for longest is forgotten earlier. */
const MAX_SOURCES = 10_000;
/** Log lines about new sources between two sweeps: with forged source addresses each request would be a line. */
const MAX_LINES = 20;

interface UnknownSource {
  lastMs: number;
  requests: number;
  /** Requests that the log has reported. */
  loggedRequests: number;
  loggedMs: number;
  readonly logged: boolean;
}

/** How a request of an unknown source is treated. */
export type UnknownSourceVerdict = 'refuse' | 'ignore';

/** Log fields of the first request of an unknown source: what it was, and which setting refused it. */
export type RefusedRequest = Omit<AgentLogFields, 'event' | 'address'>;

/**
 * Unknown sources, mostly scanners: the first requests of each are refused, later ones are ignored. The log gets one line for
 * a new source and a summary every hour, however much it sends.
 */
export class UnknownSources {
  readonly #clock: AgentClock;
  readonly #logger: AgentLogger;
  readonly #sources = new LRUCache<string, UnknownSource>({ max: MAX_SOURCES });
  #lines = 0;
  #unloggedSources = 0;
  #refused = 0;
  #ignored = 0;
  #sweep: StopTimer | undefined;

  constructor(clock: AgentClock, logger: AgentLogger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Requests refused, since the start. */
  get refused(): number {
    return this.#refused;
  }

  /** Requests that got no response, since the start. */
  get ignored(): number {
    return this.#ignored;
  }

  /** Sources remembered. */
  get sources(): number {
    return this.#sources.size;
  }

  /** `describe` is called when the source is new. */
  judge(address: string, describe: () => RefusedRequest): UnknownSourceVerdict {
    const source = this.#sources.get(address) ?? this.#add(address, describe);
    source.lastMs = this.#clock.nowMs();
    source.requests += 1;
    this.#scheduleSweep();
    if (source.requests > REFUSALS) {
      this.#ignored += 1;
      return 'ignore';
    }
    this.#refused += 1;
    return 'refuse';
  }

  /** Forgets everything. */
  close(): void {
    this.#sweep?.();
    this.#sources.clear();
  }

  #add(address: string, describe: () => RefusedRequest): UnknownSource {
    const logged = this.#lines < MAX_LINES;
    if (logged) {
      this.#lines += 1;
      this.#logger.warn({ event: 'sip.forbidden', address, ...describe() });
    } else this.#unloggedSources += 1;
    const nowMs = this.#clock.nowMs();
    const source = { lastMs: nowMs, requests: 0, loggedRequests: 1, loggedMs: nowMs, logged };
    this.#sources.set(address, source);
    return source;
  }

  #scheduleSweep(): void {
    this.#sweep ??= this.#clock.after(SWEEP_INTERVAL_MS, () => {
      this.#sweep = undefined;
      this.#logSummaries();
      if (this.#sources.size > 0) this.#scheduleSweep();
    });
  }

  #logSummaries(): void {
    const nowMs = this.#clock.nowMs();
    // A copy of the keys, as the loop deletes; least recently used first.
    for (const address of [...this.#sources.rkeys()]) {
      const source = this.#sources.peek(address);
      if (!source) continue;
      const gone = nowMs - source.lastMs >= QUIET_MS;
      if (gone || nowMs - source.loggedMs >= SUMMARY_INTERVAL_MS) this.#summarise(address, source, nowMs);
      if (gone) this.#sources.delete(address);
    }
    if (this.#unloggedSources > 0) {
      this.#logger.warn({ event: 'sip.forbidden_sources', more: this.#unloggedSources });
    }
    this.#lines = 0;
    this.#unloggedSources = 0;
  }

  #summarise(address: string, source: UnknownSource, nowMs: number): void {
    const requests = source.requests - source.loggedRequests;
    if (requests > 0 && source.logged) {
      this.#logger.warn({
        event: 'sip.forbidden_summary',
        address,
        requests,
        overMs: Math.round(nowMs - source.loggedMs),
      });
    }
    source.loggedRequests = source.requests;
    source.loggedMs = nowMs;
  }
}
