import type { Clock } from '../../clock.js';
import { sourceNetwork } from '../source-address.js';

/** Wrong answers in a row before there is waiting: a phone that is being set up has a few. */
const FREE_GUESSES = 10;
const FIRST_WAIT_MS = 1_000;
const MAX_WAIT_MS = 10 * 60_000;
/** A source that has not guessed for this long, since its last wait was over, is met as a new one. */
const FORGET_MS = 10 * 60_000;
/** Sources remembered. More of them at once than this do not come from guessing at one machine. */
const MAX_SOURCES = 10_000;

interface GuessingSource {
  guesses: number;
  /** Of the wait of now, or of the last one; 0 before the first. */
  waitMs: number;
  waitUntilMs: number;
}

/** What a wrong answer has led to. */
export interface Guess {
  /** How often this source has guessed, this time included. */
  readonly guesses: number;
  /** `counted`: no waiting yet. `begins`: a wait begins with this one. `waits`: it came during one. */
  readonly state: 'counted' | 'begins' | 'waits';
  /** To the end of the wait; 0 without one. */
  readonly waitMs: number;
}

/**
 * Slows down who guesses passwords: after some wrong answers their source waits, twice as long each time. It concerns wrong
 * answers alone: who else is behind that address is none the worse for it. No timers.
 */
export class GuessBackOff {
  readonly #clock: Clock;
  /** The one that guessed longest ago first. */
  readonly #sources = new Map<string, GuessingSource>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#sources.size;
  }

  /** A wrong answer from there. */
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

  /** The one remembered or a new one, as the latest of all. */
  #take(key: string): GuessingSource {
    const known = this.#sources.get(key);
    this.#sources.delete(key);
    const [oldest] = this.#sources.keys();
    if (this.#sources.size >= MAX_SOURCES && oldest !== undefined) this.#sources.delete(oldest);
    const isForgotten = !known || this.#clock.nowMs() >= known.waitUntilMs + FORGET_MS;
    const source = isForgotten ? { guesses: 0, waitMs: 0, waitUntilMs: -Infinity } : known;
    this.#sources.set(key, source);
    return source;
  }
}
