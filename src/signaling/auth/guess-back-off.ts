import { LRUCache } from 'lru-cache';
import type { Clock } from '../../clock.js';
import { sourceNetwork } from '../source-address.js';

/** Wrong passwords before the first wait: a phone that is being set up sends a few. */
const FREE_GUESSES = 10;
const FIRST_WAIT_MS = 1_000;
const MAX_WAIT_MS = 10 * 60_000;
/** A source that has not guessed for this long after its last wait starts anew. */
const FORGET_MS = 10 * 60_000;
/** Sources remembered; a guessing attack on one machine comes from fewer. */
const MAX_SOURCES = 10_000;

interface GuessingSource {
  guesses: number;
  /** Length of the present wait, or of the last one; 0 before the first. */
  waitMs: number;
  waitUntilMs: number;
}

/** The consequence of a wrong password. */
export interface Guess {
  /** Number of guesses of this source, this one included. */
  readonly guesses: number;
  /** `counted`: no wait yet. `begins`: this guess starts a wait. `waits`: it came during a wait. */
  readonly state: 'counted' | 'begins' | 'waits';
  /** Time to the end of the wait; 0 without one. */
  readonly waitMs: number;
}

/**
 * Exponential back-off against password guessing: after some wrong passwords their source has to wait, twice as long each
 * time. Only wrong passwords are refused: other phones behind the same address are not affected. No timers.
 */
export class GuessBackOff {
  readonly #clock: Clock;
  readonly #sources = new LRUCache<string, GuessingSource>({ max: MAX_SOURCES });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#sources.size;
  }

  /** Counts a wrong password from an address. */
  guessed(address: string): Guess {
    const source = this.#take(sourceNetwork(address));
    source.guesses += 1;
    const nowMs = this.#clock.nowMs();
    const { guesses } = source;
    if (nowMs < source.waitUntilMs) return { guesses, state: 'waits', waitMs: source.waitUntilMs - nowMs };
    source.waitUntilMs = nowMs;
    if (guesses < FREE_GUESSES) return { guesses, state: 'counted', waitMs: 0 };
    source.waitMs = Math.min(MAX_WAIT_MS, 2 * source.waitMs || FIRST_WAIT_MS);
    source.waitUntilMs = nowMs + source.waitMs;
    return { guesses, state: 'begins', waitMs: source.waitMs };
  }

  /** The remembered source or a new one. */
  #take(key: string): GuessingSource {
    const known = this.#sources.get(key);
    if (known && this.#clock.nowMs() < known.waitUntilMs + FORGET_MS) return known;
    const source = { guesses: 0, waitMs: 0, waitUntilMs: -Infinity };
    this.#sources.set(key, source);
    return source;
  }
}
