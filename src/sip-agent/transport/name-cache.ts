import { lookup, Resolver } from 'node:dns/promises';
import type { NaptrRecord, SrvRecord } from 'node:dns';
import type { AgentClock } from '../environment.js';

/** What is known of a name. Each rejects with an Error when that is nothing, or nobody answers. */
export interface NameService {
  naptr(name: string): Promise<readonly NaptrRecord[]>;
  srv(name: string): Promise<readonly SrvRecord[]>;
  /** IP addresses, best first. */
  addresses(name: string): Promise<readonly string[]>;
}

/** A call waits for the answer: two seconds a server, in place of the resolver's own 20. */
const QUERY = { timeout: 1_000, tries: 2 };

/**
 * The machine's own: DNS for NAPTR and SRV, which nobody else has; for addresses what every program sees, hosts file
 * and search list included.
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

/** Neither the system's resolver nor Node's tells how long an answer is good for, so it is asked again after this. */
const KEEP_MS = 30_000;
/** The same for a name that has nothing of the kind, or that nobody answers for. */
const KEEP_FAILURE_MS = 5_000;
const MAX_ANSWERS = 1_000;
/** Questions under way beyond which further ones fail at once: peers choose the names, and may choose slow ones. */
const MAX_PENDING = 64;

interface Answer {
  readonly records: Promise<readonly unknown[]>;
  /** When it is asked again; not while it is being asked. */
  expiresMs: number;
}

/** Asks for each thing once while the answer is fresh, however many want it. */
export class NameCache implements NameService {
  readonly #names: NameService;
  readonly #clock: AgentClock;
  /** Oldest first. */
  readonly #answers = new Map<string, Answer>();
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
    const known = this.#answers.get(question);
    // What a question is answered with is of the question's type.
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
    this.#answers.delete(question);
    const [oldest] = this.#answers.keys();
    if (this.#answers.size >= MAX_ANSWERS && oldest !== undefined) this.#answers.delete(oldest);
    this.#answers.set(question, answer);
    records.then(
      () => keep(KEEP_MS),
      () => keep(KEEP_FAILURE_MS),
    );
  }
}
