import { lookup, Resolver } from 'node:dns/promises';
import type { NaptrRecord, SrvRecord } from 'node:dns';

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
