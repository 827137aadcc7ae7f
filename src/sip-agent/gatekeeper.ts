import { isScanner } from './admission.js';
import type { AgentLogger, Clock } from './environment.js';
import type { Flow } from './flow.js';
import type { Envelope, SipRequest } from './message.js';
import { RequestRates } from './request-rates.js';
import { Strangers } from './strangers.js';
import { replyStateless } from './transaction-layer.js';
import type { UsageStore } from './usage-store.js';
import { stampSource } from './via.js';

export interface GatekeeperOptions {
  readonly clock: Clock;
  readonly logger: AgentLogger;
  readonly usages: UsageStore;
  readonly allow: (address: string) => boolean;
  /** Requests a second one source may send outside its calls. */
  readonly maxRequestsPerSec: number;
}

/** A rate of a second or two ago is over soon. */
const RETRY_AFTER_SEC = '2';

/** Which requests are worth a transaction. It refuses the others without one: they shall cost no memory. */
export class Gatekeeper {
  readonly strangers: Strangers;
  readonly rates: RequestRates;
  readonly #options: GatekeeperOptions;

  constructor(options: GatekeeperOptions) {
    const { clock, logger, maxRequestsPerSec } = options;
    this.#options = options;
    this.strangers = new Strangers(clock, logger);
    this.rates = new RequestRates(maxRequestsPerSec, clock, logger);
  }

  /** False: the request has been dealt with. */
  admits(request: SipRequest, envelope: Envelope, flow: Flow): boolean {
    // An ACK is never answered, and what belongs to a call may come from wherever the peer sends.
    if (request.method === 'ACK' || this.#options.usages.match(envelope)) return true;
    const { address } = flow.remote;
    const isOutside = envelope.to.tag === undefined;
    if (isOutside && (!this.#options.allow(address) || isScanner(request))) {
      const verdict = this.strangers.judge(address, request.method, request.get('user-agent'));
      if (verdict === 'refuse') refuse(request, envelope, flow, 403);
      return false;
    }
    const verdict = this.rates.judge(address);
    if (verdict === 'refuse') refuse(request, envelope, flow, 503, ['retry-after', RETRY_AFTER_SEC]);
    return verdict === 'take';
  }

  /** Whether something malformed is to be answered. */
  answersMalformed(address: string): boolean {
    return this.#options.allow(address) && this.rates.judge(address) === 'take';
  }

  close(): void {
    this.strangers.close();
  }
}

function refuse(
  request: SipRequest,
  envelope: Envelope,
  flow: Flow,
  status: number,
  header?: readonly [name: string, value: string],
): void {
  stampSource(request, envelope.via, flow.remote);
  replyStateless(request, envelope, flow, status, header);
}
