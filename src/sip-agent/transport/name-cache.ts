import { lookup, Resolver } from 'node:dns/promises';
import type { NaptrRecord, SrvRecord } from 'node:dns';
import { LRUCache } from 'lru-cache';
import type { AgentClock } from '../environment.js';

/** Name lookups. Each rejects with an Error when there is no such record, or no answer. */
export interface NameService {
  naptr(name: string): Promise<readonly NaptrRecord[]>;
  srv(name: string): Promise<readonly SrvRecord[]>;
  /** IP addresses, best first. */
  addresses(name: string): Promise<readonly string[]>;
}

/** A call waits for the lookup: at most 2 s for each server, instead of the resolver's 20 s. */
const QUERY = { timeout: 1_000, tries: 2 };

/**
 * The machine's name service: NAPTR and SRV records from DNS; addresses as every program gets them, from the hosts file and
 * with the search list too.
 */
export class SystemNames implements NameService {
  readonly #resolver: Resolver;

  constructor(resolver = new Resolver(QUERY)) {
    this.#resolver = resolver;
  }

  naptr(name: string): Promise<readonly NaptrRecord[]> {
    return this.#resolver.resolveNaptr(name);
  }

  srv(name: string): Promise<readonly SrvRecord[]> {
    return this.#resolver.resolveSrv(name);
  }

  async addresses(name: string): Promise<readonly string[]> {
    const found = await lookup(name, { all: true });
    return found.map(({ address }) => address);
  }
}

/** How long an answer is kept: neither the system's resolver nor Node's returns its TTL. */
const KEEP_MS = 30_000;
/** The same for a failed lookup (negative caching). */
const KEEP_FAILURE_MS = 5_000;
const MAX_ANSWERS = 1_000;
/** Pending lookups beyond which further ones fail at once: peers choose the names, and may choose slow ones. */
const MAX_PENDING = 64;

interface Answer {
  readonly records: Promise<readonly unknown[]>;
  /** When the lookup is repeated; Infinity while it is pending. */
  expiresMs: number;
}

/** DNS cache: concurrent and repeated lookups of one name share one query while the answer is fresh. */
export class NameCache implements NameService {
  readonly #names: NameService;
  readonly #clock: AgentClock;
  /** Only an answer of its own counts as a use. */
  readonly #answers = new LRUCache<string, Answer>({ max: MAX_ANSWERS });
  #pending = 0;

  constructor(names: NameService, clock: AgentClock) {
    this.#names = names;
    this.#clock = clock;
  }

  naptr(name: string): Promise<readonly NaptrRecord[]> {
    return this.#ask(`naptr ${name}`, () => this.#names.naptr(name));
  }

  srv(name: string): Promise<readonly SrvRecord[]> {
    return this.#ask(`srv ${name}`, () => this.#names.srv(name));
  }

  addresses(name: string): Promise<readonly string[]> {
    return this.#ask(`addresses ${name}`, () => this.#names.addresses(name));
  }

  /** Answers kept. */
  get size(): number {
    return this.#answers.size;
  }

  #ask<T>(question: string, ask: () => Promise<readonly T[]>): Promise<readonly T[]> {
    const known = this.#answers.peek(question);
    // The key holds the record type, so the records have the type asked for.
    if (known && known.expiresMs > this.#clock.nowMs()) return known.records as Promise<readonly T[]>;
    if (this.#pending >= MAX_PENDING) return Promise.reject(new Error('too many names are being looked up'));
    const records = ask();
    this.#remember(question, records);
    return records;
  }

  #remember(question: string, records: Promise<readonly unknown[]>): void {
    const answer: Answer = { records, expiresMs: Infinity };
    const keep = (forMs: number) => {
      this.#pending--;
      answer.expiresMs = this.#clock.nowMs() + forMs;
    };
    this.#pending++;
    this.#answers.set(question, answer);
    records.then(
      () => keep(KEEP_MS),
      () => keep(KEEP_FAILURE_MS),
    );
  }
}
